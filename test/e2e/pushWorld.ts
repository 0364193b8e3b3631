/** A cluster with the overlay and the example for reports in it, two adapters, and pods that report to both. */
import { credentials } from '@grpc/grpc-js'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { loadPush } from '../../adapter/push/wire.ts'
import type { ControlPlane } from '../controlPlane/controlPlane.ts'
import { startControlPlane } from '../controlPlane/controlPlane.ts'
import type { Pod } from '../controlPlane/fakeKubelet.ts'
import type { KubeObject } from '../controlPlane/kubeApi.ts'
import { PushClient } from '../push/pushClient.ts'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { openBalancer } from '../setup/balancer.ts'
import { freePort } from '../setup/running.ts'
import { adapterStarter, mountSecret, runScript, writeFiles } from './install.ts'
import { kustomize, onLoopback, withoutMachines } from './objects.ts'
import { podToken } from './podTokens.ts'
import type { PodIdentity } from './podTokens.ts'
import type { ReportingPods } from './reportingPods.ts'
import { createReportingPods } from './reportingPods.ts'

export const DETECTOR = 'vision-detector'
/** As the certificate names it, and the headless Service of the overlay. */
const NAME = 'custom-metrics-adapter-push.monitoring.svc'
const WINDOW = '4s'
/** As in the example. */
export const AUDIENCE = 'tideline'

export interface PushWorld {
  readonly plane: ControlPlane
  readonly pods: ReportingPods
  readonly adapters: AdapterProcess[]
  /** Of the metrics APIs, by adapter. */
  readonly ports: readonly number[]
  start(index: number): Promise<void>
  /** A client of the port for reports of one adapter, which it verifies as pods do. */
  dial(index: number): Promise<PushClient>
  identityOf(pod: string): Promise<PodIdentity>
  stop(): Promise<void>
}

export async function startPushWorld(): Promise<PushWorld> {
  const ends: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const end of ends.toReversed()) await end()
  }
  try {
    const podPort = await freePort()
    const ports = [await freePort(), await freePort()]
    const pushPorts = [await freePort(), await freePort()]
    const place: { plane?: ControlPlane } = {}
    const ca = () => readFileSync(join(place.plane?.folder ?? '', 'tls', 'ca.crt'))
    const pods = createReportingPods(DETECTOR, podPort, async (pod) => {
      if (place.plane === undefined) throw new Error('a pod before there is a control plane')
      const token = await podToken(place.plane, identity(pod), [AUDIENCE])
      return {
        ...{ address: `${NAME}:6445`, service: 'detector', token: () => token },
        addresses: () => Promise.resolve(pushPorts.map((port) => `127.0.0.1:${port}`)),
        credentials: credentials.createSsl(ca()),
        kinds: [{ model: 'yolo', version: '8' }],
      }
    })
    const plane = await startControlPlane({ pods, hpaSyncPeriod: '1s' })
    place.plane = plane
    ends.push(() => plane.stop())
    const service = await openBalancer(ports)
    ends.push(() => service.close())
    const { kubectl } = plane.binaries
    await plane.apply(onLoopback(kustomize(kubectl, 'overlays/push'), service.port))
    const tls = join(plane.folder, 'tls')
    runScript(plane, 'make-certificate.sh')
    await mountSecret(plane, 'custom-metrics-adapter-tls', tls)
    const example = kustomize(kubectl, 'examples-push')
    const starters = await Promise.all(
      ports.map((port, index) => {
        const folder = join(plane.folder, `config-${index}`)
        const config = writeFiles(folder, quickFiles(example, pushPorts[index] ?? 0))
        return adapterStarter(plane, { config, tls, port })
      }),
    )
    const begin = (index: number) =>
      starters[index]?.() ?? Promise.reject(new Error(`no adapter ${index}`))
    const adapters = await Promise.all(ports.map((_, index) => begin(index)))
    ends.push(() => Promise.all(adapters.map((adapter) => adapter.stop('SIGKILL'))))
    const others = example.filter(({ kind }) => kind !== 'ConfigMap')
    await plane.apply(withoutMachines(others, podPort))
    return {
      ...{ plane, pods, adapters, ports, stop },
      async start(index) {
        adapters[index] = await begin(index)
      },
      async dial(index) {
        const client = new PushClient(
          pushPorts[index] ?? 0,
          await loadPush(),
          credentials.createSsl(ca()),
          { 'grpc.ssl_target_name_override': NAME },
        )
        ends.push(() => Promise.resolve(client.close()))
        return client
      },
      identityOf: async (pod) =>
        identity(await plane.api<Pod>('GET', `/api/v1/namespaces/vision/pods/${pod}`)),
    }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

function identity({ metadata: { namespace, name, uid }, spec }: Pod): PodIdentity {
  return { namespace, account: spec.serviceAccountName ?? 'default', pod: name, uid }
}

/** Reports of service `prober`, as they were counted; and the detector's by pod. */
const OTHERS = `
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: { name: by-pod, namespace: vision }
spec:
  source: services
  select: { metric: inference_requests, labels: { service: detector } }
  window: { function: rate, duration: ${WINDOW} }
  combine: { by: [pod] }
  freshFor: ${WINDOW}
  expose: { custom: { name: requests_per_second, on: pods } }
---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: { name: probes, namespace: vision }
spec:
  source: services
  select: { metric: inference_requests, labels: { service: prober } }
  window: { function: increase, duration: 5m }
  freshFor: 1m
  expose: { external: { name: vision_probes } }
`

/** The example's configuration with this port, and shorter times, so that a test takes seconds. */
function quickFiles(
  example: readonly KubeObject[],
  pushPort: number,
): Readonly<Record<string, string>> {
  const map = example.find(({ kind }) => kind === 'ConfigMap')
  const data = map?.['data'] as Readonly<Record<string, string>>
  const adapter = parseAllDocuments(data['adapter.yaml'] ?? '')[0]
  adapter?.setIn(['spec', 'metricsApi'], { drain: '0s' })
  adapter?.setIn(['spec', 'push', 'address'], '127.0.0.1')
  adapter?.setIn(['spec', 'push', 'port'], pushPort)
  const signals = parseAllDocuments(data['signals.yaml'] ?? '').map((document) => {
    document.setIn(['spec', 'window', 'duration'], WINDOW)
    document.setIn(['spec', 'freshFor'], WINDOW)
    return String(document)
  })
  return {
    'adapter.yaml': String(adapter),
    'signals.yaml': [...signals, OTHERS].join('---\n'),
  }
}
