/** A cluster with the project's manifests in it, the adapter as its own process, pods that answer, and a Redis. */
import { join } from 'node:path'
import type { ControlPlane } from '../controlPlane/controlPlane.ts'
import { startControlPlane } from '../controlPlane/controlPlane.ts'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import type { FrontDoor } from '../setup/frontDoor.ts'
import { openFrontDoor } from '../setup/frontDoor.ts'
import type { RedisServer } from '../setup/redisServer.ts'
import { startRedis } from '../setup/redisServer.ts'
import { freePort } from '../setup/running.ts'
import { adapterStarter, kubectl, mountSecret, runScript, writeFiles } from './install.ts'
import { kustomize, onLoopback, quickConfiguration, withoutMachines } from './objects.ts'
import type { PodServers } from './podServers.ts'
import { createPodServers } from './podServers.ts'

export const API_SERVICES = [
  'v1beta1.custom.metrics.k8s.io',
  'v1beta2.custom.metrics.k8s.io',
  'v1beta1.external.metrics.k8s.io',
] as const

export interface World {
  readonly plane: ControlPlane
  readonly pods: PodServers
  readonly redis: RedisServer
  /** Between the adapter and Redis. */
  readonly redisDoor: FrontDoor
  readonly adapterPort: number
  adapter(): AdapterProcess
  /** Starts the adapter again, as it was, after it ended. */
  restartAdapter(): Promise<void>
  /** Runs manifests/make-certificate.sh, and brings the Secret to the adapter as a kubelet would. */
  makeCertificate(): Promise<void>
  kubectl(...parameters: string[]): Promise<string>
  stop(): Promise<void>
}

/** Resolves when all is applied and the adapter listens; the API server may not have noticed yet. */
export async function startWorld(): Promise<World> {
  const ends: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const end of ends.toReversed()) await end()
  }
  try {
    const podPort = await freePort()
    const pods = createPodServers(podPort)
    const plane = await startControlPlane({ pods, hpaSyncPeriod: '1s' })
    ends.push(() => plane.stop())
    const redis = await startRedis()
    ends.push(() => redis.stop())
    const redisDoor = await openFrontDoor(redis)
    ends.push(() => redisDoor.close())

    const adapterPort = await freePort()
    const { binaries, folder } = plane
    const base = kustomize(binaries.kubectl, 'base')
    await plane.apply(onLoopback(base, adapterPort))
    const config = writeFiles(join(folder, 'config'), quickConfiguration(base, redisDoor.port))
    const tls = join(folder, 'tls')
    const makeCertificate = async () => {
      runScript(plane, 'make-certificate.sh')
      await mountSecret(plane, 'custom-metrics-adapter-tls', tls)
    }
    await makeCertificate()
    const start = await adapterStarter(plane, { config, tls, port: adapterPort })
    let adapter = await start()
    ends.push(() => adapter.stop('SIGKILL'))
    await plane.apply(withoutMachines(kustomize(binaries.kubectl, 'examples'), podPort))
    return {
      plane,
      pods,
      redis,
      redisDoor,
      adapterPort,
      adapter: () => adapter,
      async restartAdapter() {
        adapter = await start()
      },
      makeCertificate,
      kubectl: (...parameters) => kubectl(plane, parameters),
      stop,
    }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}
