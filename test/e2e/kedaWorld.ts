/** A cluster with KEDA, and the adapter beside it as the overlay for KEDA installs it; pods that answer; a Redis and a Kafka. */
import { join } from 'node:path'
import type { ControlPlane } from '../controlPlane/controlPlane.ts'
import { startControlPlane } from '../controlPlane/controlPlane.ts'
import type { Keda } from '../controlPlane/keda.ts'
import { startKeda } from '../controlPlane/keda.ts'
import type { KubeObject } from '../controlPlane/kubeApi.ts'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { kafkaPeer } from '../setup/kafkaPeer.ts'
import { startKafka } from '../setup/kafkaServer.ts'
import { startNameServer } from '../setup/nameServer.ts'
import type { RedisServer } from '../setup/redisServer.ts'
import { startRedis } from '../setup/redisServer.ts'
import { freePort } from '../setup/running.ts'
import { adapterStarter, kubectl, mountSecret, runScript, writeFiles } from './install.ts'
import {
  DETECTIONS,
  kustomize,
  onLoopback,
  quickConfiguration,
  quickScaling,
  withExternalScaler,
  withKafka,
  withoutMachines,
} from './objects.ts'
import { createPace } from './pace.ts'
import type { PodServers } from './podServers.ts'
import { createPodServers } from './podServers.ts'

const NAME = 'custom-metrics-adapter.monitoring.svc'

export interface KedaWorld {
  readonly plane: ControlPlane
  readonly pods: PodServers
  readonly keda: Keda
  /** `manifests/examples-keda` as it is. */
  readonly examples: readonly KubeObject[]
  /** The same ScaledObject, where the adapter is to be found here, and quick. */
  quick(scaledObject: KubeObject): KubeObject
  adapter(): AdapterProcess
  /** Starts the adapter again, as it was, after it ended. */
  restartAdapter(): Promise<void>
  redis(): RedisServer
  /** Starts an empty Redis where the one before was. */
  restartRedis(): Promise<void>
  /** Produces this many detections of persons a second to the topic, and as many of dogs. */
  setPersons(perSecond: number): void
  kubectl(...parameters: string[]): Promise<string>
  stop(): Promise<void>
}

/** Resolves when KEDA and the adapter run, with Deployments and the adapter's client certificate, no ScaledObject. */
export async function startKedaWorld(): Promise<KedaWorld> {
  const ends: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const end of ends.toReversed()) await end()
  }
  try {
    const podPort = await freePort()
    const pods = createPodServers(podPort)
    const plane = await startControlPlane({ pods, hpaSyncPeriod: '1s' })
    ends.push(() => plane.stop())
    let redis = await startRedis()
    ends.push(() => redis.stop())
    const kafka = await startKafka()
    ends.push(() => kafka.stop())
    const detections = await produceDetections(kafka.brokers)
    ends.push(() => detections.stop())
    const keda = await startKeda(plane)
    ends.push(() => keda.stop())
    // A resolver of its own is part of a gRPC address, so that KEDA verifies the name it would see in a cluster.
    const names = await startNameServer([NAME])
    ends.push(() => names.close())

    const scalerPort = await freePort()
    const sources = { redisPort: redis.port, brokers: kafka.brokers }
    const start = await installAdapter(plane, sources, scalerPort)
    let adapter = await start()
    ends.push(() => adapter.stop('SIGKILL'))
    const workloads = kustomize(plane.binaries.kubectl, 'examples').filter(
      ({ kind }) => kind === 'Deployment',
    )
    await plane.apply(withoutMachines(workloads, podPort))
    const address = `dns://127.0.0.1:${names.port}/${NAME}:${scalerPort}`
    return {
      plane,
      pods,
      keda,
      examples: kustomize(plane.binaries.kubectl, 'examples-keda'),
      quick: (scaledObject) => quickScaling([scaledObject], address)[0] ?? scaledObject,
      adapter: () => adapter,
      async restartAdapter() {
        adapter = await start()
      },
      redis: () => redis,
      async restartRedis() {
        redis = await startRedis({ port: redis.port })
      },
      setPersons: detections.setRate,
      kubectl: (...parameters) => kubectl(plane, parameters),
      stop,
    }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

/** As manifests/README.md says. */
async function installAdapter(
  plane: ControlPlane,
  { redisPort, brokers }: { readonly redisPort: number; readonly brokers: readonly string[] },
  scalerPort: number,
) {
  const port = await freePort()
  const at = (name: string) => join(plane.folder, name)
  const objects = withExternalScaler(kustomize(plane.binaries.kubectl, 'overlays/keda'), {
    port: scalerPort,
    caFile: join(at('tls-keda'), 'ca.crt'),
  })
  await plane.apply(onLoopback(objects, port))
  const namespace = kustomize(plane.binaries.kubectl, 'examples')
  await plane.apply(namespace.filter(({ kind }) => kind === 'Namespace'))
  runScript(plane, 'make-certificate.sh')
  runScript(plane, 'make-keda-certificate.sh')
  await mountSecret(plane, 'custom-metrics-adapter-tls', at('tls'))
  await mountSecret(plane, 'custom-metrics-adapter-keda', at('tls-keda'))
  const files = withKafka(quickConfiguration(objects, redisPort), brokers)
  const config = writeFiles(at('config'), files)
  return adapterStarter(plane, { config, tls: at('tls'), port })
}

const PRODUCE_EVERY_MS = 100

async function produceDetections(brokers: readonly string[]) {
  const peer = await kafkaPeer(brokers)
  await peer.topic(2, DETECTIONS)
  const pace = createPace()
  let producing = Promise.resolve()
  let sent = 0
  const timer = setInterval(() => {
    const times = pace.due()
    const messages = ['person', 'dog'].flatMap((name) => detectionsOf(name, times))
    if (messages.length === 0) return
    const partition = (sent += 1) % 2
    producing = producing.then(() => peer.send(DETECTIONS, partition, messages))
  }, PRODUCE_EVERY_MS)
  return {
    setRate: pace.setRate,
    async stop() {
      clearInterval(timer)
      await producing
      await peer.stop()
    },
  }
}

function detectionsOf(name: string, times: readonly number[]) {
  return times.map((ts) => ({ value: JSON.stringify({ class: name, ts }) }))
}
