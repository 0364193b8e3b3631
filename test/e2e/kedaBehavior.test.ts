/** The decided window on its way through a ScaledObject to the HPA that the real KEDA makes of it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import type { KedaWorld } from './kedaWorld.ts'
import { startKedaWorld } from './kedaWorld.ts'
import { becomes, hpaPath } from './observe.ts'
import { behaviorRights, restoreAll } from './ways.ts'

const WORKER = 'vision-worker'
const SCALED_OBJECT = `/apis/keda.sh/v1alpha1/namespaces/vision/scaledobjects/${WORKER}`

let world: KedaWorld

beforeAll(async () => {
  world = await startKedaWorld()
  const { plane, examples } = world
  await plane.apply(behaviorRights())
  await plane.apply(examples.filter(({ kind }) => kind !== 'ScaledObject'))
  await world.redis().admin.rpush('vision:frames', 'a', 'b', 'c')
  await world.adapter().stop('SIGINT')
  configure({ scaledObjects: true, leaseNamespace: 'monitoring' })
  await world.restartAdapter()
})
afterAll(() => world?.stop())

interface Document {
  readonly metadata: { readonly name: string }
  readonly spec: Record<string, unknown>
}

function configure(behavior: object | undefined): void {
  const at = (name: string) => join(world.plane.folder, 'config', name)
  const adapter = parse(readFileSync(at('adapter.yaml'), 'utf8')) as Document
  delete adapter.spec['behavior']
  if (behavior !== undefined) adapter.spec['behavior'] = behavior
  writeFileSync(at('adapter.yaml'), stringify(adapter))
  const signals = parseAllDocuments(readFileSync(at('signals.yaml'), 'utf8')).map((one) => {
    const signal = one.toJS() as Document
    if (signal.metadata.name === 'frames-waiting')
      signal.spec['stabilize'] = { window: '480s', act: 'behavior' }
    return stringify(signal)
  })
  writeFileSync(at('signals.yaml'), signals.join('---\n'))
}

interface Behavior {
  readonly behavior?: { readonly scaleDown?: { readonly stabilizationWindowSeconds?: number } }
}

interface Scaled {
  readonly metadata: { readonly managedFields: readonly { readonly manager: string }[] }
  readonly spec: { readonly advanced?: { readonly horizontalPodAutoscalerConfig?: Behavior } }
}

const scaled = () => world.plane.api<Scaled>('GET', SCALED_OBJECT)
const ofScaledObject = async () =>
  (await scaled()).spec.advanced?.horizontalPodAutoscalerConfig?.behavior?.scaleDown
    ?.stabilizationWindowSeconds
const hpa = () =>
  world.plane.api<{ metadata: Scaled['metadata']; spec: Behavior }>(
    'GET',
    hpaPath(`keda-hpa-${WORKER}`),
  )
const ofHpa = async () => (await hpa()).spec.behavior?.scaleDown?.stabilizationWindowSeconds

test('KEDA brings the window to its HPA, and takes it away again', async () => {
  const { plane, examples } = world
  const example = examples.find(
    ({ kind, metadata }) => kind === 'ScaledObject' && metadata.name === WORKER,
  )
  if (example === undefined) throw new Error(`no ScaledObject ${WORKER} in the examples`)
  const object = world.quick(example)
  const spec = { ...(object['spec'] as Record<string, unknown>) }
  delete spec['advanced']
  const annotations = { 'tideline.dev/scale-down-window': 'frames-waiting' }
  await plane.apply([{ ...object, metadata: { ...object.metadata, annotations }, spec }])
  await becomes(ofScaledObject, 300)
  await becomes(ofHpa, 300)

  // The load recedes: 480 s are to be held from now on, and the HPA's 300 s would be too few.
  await world.redis().admin.del('vision:frames')
  await becomes(ofHpa, 480)
  // KEDA copies the annotation to its HPA, which is left alone all the same.
  expect((await hpa()).metadata.managedFields.map(({ manager }) => manager)).not.toContain(
    'tideline',
  )

  const none = { metadata: { annotations: { 'tideline.dev/scale-down-window': null } } }
  await plane.api('PATCH', SCALED_OBJECT, none, 'application/merge-patch+json')
  await becomes(ofScaledObject, undefined)
  expect((await scaled()).metadata.managedFields.map(({ manager }) => manager)).not.toContain(
    'tideline',
  )
  await becomes(async () => (await ofHpa()) !== 480, true)
})

test('`tideline restore` takes it back from a ScaledObject too, and KEDA from its HPA', async () => {
  const annotations = { 'tideline.dev/scale-down-window': 'frames-waiting' }
  const body = { metadata: { annotations } }
  await world.plane.api('PATCH', SCALED_OBJECT, body, 'application/merge-patch+json')
  // Held from the fall before on.
  await becomes(ofHpa, 480)
  // KEDA changes its HPA only while the adapter answers, so that it goes on without `behavior`.
  await world.adapter().stop('SIGINT')
  configure(undefined)
  await world.restartAdapter()
  expect(restoreAll(world.plane.kubeconfig)).toBe(`ScaledObject vision/${WORKER}: restored\n`)
  expect(await ofScaledObject()).toBeUndefined()
  await becomes(async () => (await ofHpa()) !== 480, true)
})
