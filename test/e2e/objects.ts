/** The files of manifests/ as objects, and what a control plane without machines needs changed in them. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import type { KubeObject } from '../controlPlane/kubeApi.ts'

export const MANIFESTS = join(import.meta.dirname, '../../manifests')

/** What `kubectl apply -k` would send. */
export function kustomize(kubectl: string, folder: string): KubeObject[] {
  const text = execFileSync(kubectl, ['kustomize', join(MANIFESTS, folder)], { encoding: 'utf8' })
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject)
}

type Tree = Record<string, unknown>

/** A changed copy of the objects of a kind; the others as they are. */
export function changed(
  objects: readonly KubeObject[],
  kind: string,
  change: (object: KubeObject, spec: Tree) => void,
): KubeObject[] {
  return objects.map((object) => {
    if (object.kind !== kind) return object
    const copy = structuredClone(object)
    change(copy, copy['spec'] as Tree)
    return copy
  })
}

/** The adapter is a process on this machine: its Service is a name for the loopback address. */
export function onLoopback(objects: readonly KubeObject[], port: number): KubeObject[] {
  const services = changed(objects, 'Service', (_object, spec) => {
    for (const field of ['selector', 'ports', 'clusterIP']) delete spec[field]
    Object.assign(spec, { type: 'ExternalName', externalName: '127.0.0.1' })
  })
  return changed(services, 'APIService', (_object, spec) => {
    spec['service'] = { ...(spec['service'] as Tree), port }
  })
}

const POLICIES = [{ type: 'Pods', value: 100, periodSeconds: 1 }]
const AT_ONCE = { stabilizationWindowSeconds: 0, policies: POLICIES }

/** As long as the windows of rates, and shorter than tests watch that nothing is scaled down. */
const SCALE_DOWN_WINDOW_S = 3

/**
 * Pods run at once on a machine that does not exist and listen on `port`; HPAs act at once. Only on the way down
 * do they wait until rates have forgotten how the load was shared before, or they would swing for a long time.
 */
export function withoutMachines(objects: readonly KubeObject[], port: number): KubeObject[] {
  const deployments = changed(objects, 'Deployment', (_object, spec) => {
    const pod = (spec['template'] as { spec: Tree }).spec
    Object.assign(pod, { nodeName: 'nowhere', terminationGracePeriodSeconds: 0 })
    for (const container of pod['containers'] as { ports: Tree[] }[])
      for (const each of container.ports) each['containerPort'] = port
  })
  return changed(deployments, 'HorizontalPodAutoscaler', (_object, spec) => {
    spec['behavior'] = {
      scaleUp: AT_ONCE,
      scaleDown: { ...AT_ONCE, stabilizationWindowSeconds: SCALE_DOWN_WINDOW_S },
    }
  })
}

/** ScaledObjects that ask this address for the adapter, and whose KEDA and HPA act at once. */
export function quickScaling(objects: readonly KubeObject[], scalerAddress: string): KubeObject[] {
  return changed(objects, 'ScaledObject', (_object, spec) => {
    for (const { metadata } of spec['triggers'] as { metadata: Tree }[])
      Object.assign(metadata, { scalerAddress })
    Object.assign(spec, { pollingInterval: 1, cooldownPeriod: 2 })
    const behavior = { scaleUp: AT_ONCE, scaleDown: AT_ONCE }
    spec['advanced'] = { horizontalPodAutoscalerConfig: { behavior } }
  })
}

/** The configuration with the line for KEDA, which is a comment in the base, and this port and CA. */
export function withExternalScaler(
  objects: readonly KubeObject[],
  { port, caFile }: { readonly port: number; readonly caFile: string },
): KubeObject[] {
  return objects.map((object) => {
    if (object.kind !== 'ConfigMap') return object
    const data = { ...(object['data'] as Readonly<Record<string, string>>) }
    const text = data['adapter.yaml'] ?? ''
    const document = parseAllDocuments(text.replace('# externalScaler:', 'externalScaler:'))[0]
    document?.setIn(['spec', 'externalScaler', 'address'], '127.0.0.1')
    document?.setIn(['spec', 'externalScaler', 'port'], port)
    document?.setIn(['spec', 'externalScaler', 'auth', 'caFile'], caFile)
    return { ...object, data: { ...data, 'adapter.yaml': String(document) } }
  })
}

interface SourceDocument {
  readonly spec: Tree & { readonly sources: readonly Record<'scrape' | 'redis', Tree | undefined>[] } // prettier-ignore
}

interface SignalDocument {
  readonly spec: Tree & { readonly window?: Tree }
}

/** The base's configuration with this Redis, and everything shorter, so that a test takes seconds. */
export function quickConfiguration(
  objects: readonly KubeObject[],
  redisPort: number,
): Readonly<Record<string, string>> {
  const data = objects.find((object) => object.kind === 'ConfigMap')?.['data']
  const files = data as Readonly<Record<'adapter.yaml' | 'signals.yaml', string>>
  const adapter = parseAllDocuments(files['adapter.yaml'])[0]?.toJS() as SourceDocument
  adapter.spec['metricsApi'] = { drain: '0s' }
  for (const { scrape, redis } of adapter.spec.sources) {
    if (scrape !== undefined) Object.assign(scrape, { interval: '500ms', timeout: '400ms' })
    if (redis !== undefined)
      Object.assign(redis, { url: `redis://127.0.0.1:${redisPort}`, interval: '500ms' })
  }
  const signals = parseAllDocuments(files['signals.yaml']).map((document) => {
    const signal = document.toJS() as SignalDocument
    signal.spec['freshFor'] = '5s'
    if (signal.spec.window?.['duration'] !== undefined) signal.spec.window['duration'] = '2s'
    return stringify(signal)
  })
  return { 'adapter.yaml': stringify(adapter), 'signals.yaml': signals.join('---\n') }
}

/** The topic that `withKafka` watches. */
export const DETECTIONS = 'detections'

/** The configuration with the events of a topic of these brokers, and those of persons as signal `persons`. */
export function withKafka(
  files: Readonly<Record<string, string>>,
  brokers: readonly string[],
): Readonly<Record<string, string>> {
  const adapter = parseAllDocuments(files['adapter.yaml'] ?? '')[0]
  const kafkaEvents = {
    brokers,
    topic: DETECTIONS,
    metric: 'detections',
    labels: { class: { field: 'class' } },
    time: { field: 'ts' },
    expect: [{ class: 'person' }],
  }
  adapter?.addIn(['spec', 'sources'], adapter.createNode({ name: 'kafka', kafkaEvents }))
  const signal = {
    apiVersion: 'tideline.dev/v1alpha1',
    kind: 'Signal',
    metadata: { name: 'persons', namespace: 'vision' },
    spec: {
      source: 'kafka',
      select: { metric: 'detections', labels: { class: 'person' } },
      window: { function: 'rate', duration: '5s' },
      freshFor: '5s',
      expose: { keda: { target: 50, activation: 50 } },
    },
  }
  return { ...files, 'adapter.yaml': String(adapter), 'kafka.yaml': stringify(signal) }
}
