/**
 * Both ways to act on a decided window, with the real API server and the real HPA controller: held in the value with
 * the HPA's own window at 0, and written to the HPA's behaviour with the value as observed.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import type { KubeObject } from '../controlPlane/kubeApi.ts'
import { MANIFESTS } from './objects.ts'
import { becomes, hpaPath, replicas } from './observe.ts'
import type { World } from './world.ts'
import { startWorld } from './world.ts'

const WORKER = 'vision-worker'
const WINDOW_S = 15
/** Frames waiting, once a second, of the shape that loads have: one recedes, one is a pulse that comes back. 10 a replica. */
const DECLINE = [58, 52, 47, 43, 38, 33, 29, 26, 22, 18, 15]
const PULSE = [58, 15, 12, 15, 57, 15]

let world: World

beforeAll(async () => {
  world = await startWorld()
  await world.plane.apply(component())
})
afterAll(() => world?.stop())

function component(): KubeObject[] {
  const file = join(MANIFESTS, 'components/hpa-behavior/rbac.yaml')
  return parseAllDocuments(readFileSync(file, 'utf8')).map((one) => one.toJS() as KubeObject)
}

interface Hpa {
  readonly metadata: {
    readonly annotations?: Readonly<Record<string, string>>
    readonly managedFields: readonly { readonly manager: string }[]
  }
  readonly spec: {
    readonly behavior?: {
      readonly scaleDown?: {
        readonly stabilizationWindowSeconds?: number
        readonly policies?: readonly { readonly periodSeconds: number }[]
      }
    }
  }
}

const hpa = () => world.plane.api<Hpa>('GET', hpaPath(WORKER))
const scaleDown = async () => (await hpa()).spec.behavior?.scaleDown
const seconds = async () => (await scaleDown())?.stabilizationWindowSeconds
const ours = async () =>
  (await hpa()).metadata.managedFields.some(({ manager }) => manager === 'tideline')

async function queue(length: number): Promise<void> {
  const { admin } = world.redis
  const frames = Array.from({ length }, () => 'frame')
  await admin
    .multi()
    .del('vision:frames')
    .rpush('vision:frames', ...frames)
    .exec()
}

/** The HPA as a new object, its `scaleDown` as given, so that it is owned by nobody else. */
async function install(
  scaleDownOf: object | undefined,
  annotations: Readonly<Record<string, string>>,
): Promise<void> {
  const { plane } = world
  const present = await plane.api<KubeObject>('GET', hpaPath(WORKER))
  const spec = structuredClone(present['spec']) as Record<string, unknown>
  const scaleUp = { stabilizationWindowSeconds: 0 }
  spec['behavior'] = scaleDownOf === undefined ? { scaleUp } : { scaleUp, scaleDown: scaleDownOf }
  await plane.api('DELETE', hpaPath(WORKER))
  const { apiVersion, kind } = present
  await plane.apply([
    { apiVersion, kind, metadata: { name: WORKER, namespace: 'vision', annotations }, spec },
  ])
}

async function annotate(annotations: Readonly<Record<string, string | null>>): Promise<void> {
  const body = { metadata: { annotations } }
  await world.plane.api('PATCH', hpaPath(WORKER), body, 'application/merge-patch+json')
}

/** The adapter with this `stabilize` on the worker's signal, and `behavior` as given. */
async function configure(stabilize: object, behavior: object | undefined): Promise<void> {
  const folder = join(world.plane.folder, 'config')
  const signals = parseAllDocuments(readFileSync(join(folder, 'signals.yaml'), 'utf8')).map(
    (document) => document.toJS() as { metadata: { name: string }; spec: Record<string, unknown> },
  )
  for (const signal of signals)
    if (signal.metadata.name === 'frames-waiting') signal.spec['stabilize'] = stabilize
  const adapter = parse(readFileSync(join(folder, 'adapter.yaml'), 'utf8')) as {
    spec: Record<string, unknown>
  }
  delete adapter.spec['behavior']
  if (behavior !== undefined) adapter.spec['behavior'] = behavior
  await world.adapter().stop('SIGINT')
  writeFileSync(join(folder, 'signals.yaml'), signals.map((one) => stringify(one)).join('---\n'))
  writeFileSync(join(folder, 'adapter.yaml'), stringify(adapter))
  await world.restartAdapter()
}

const count = async () => Number(((await replicas(world.plane, [WORKER])()) as unknown[])[0])

/** Plays loads, one a second, and gives the least number of replicas seen meanwhile. */
async function play(loads: readonly number[]): Promise<number> {
  let least = Infinity
  for (const load of loads) {
    await queue(load)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const path = `/apis/apps/v1/namespaces/vision/deployments/${WORKER}`
    const { spec } = await world.plane.api<{ spec: { replicas: number } }>('GET', path)
    least = Math.min(least, spec.replicas)
  }
  return least
}

const ANNOTATED = { 'tideline.dev/scale-down-window': 'frames-waiting' }
const QUICK = {
  leaseNamespace: 'monitoring',
  restingWindow: '0s',
  interval: '1s',
  minStep: '1s',
  grace: '3s',
}

const WAYS = [
  {
    way: 'in the value',
    stabilize: { window: `${WINDOW_S}s` },
    behavior: undefined,
    scaleDownOf: { stabilizationWindowSeconds: 0 },
    annotations: {},
  },
  {
    way: "in the HPA's behaviour",
    stabilize: { window: `${WINDOW_S}s`, act: 'behavior' },
    behavior: { ...QUICK, restingWindow: `${WINDOW_S}s` },
    scaleDownOf: undefined,
    annotations: ANNOTATED,
  },
]

describe.each(WAYS)('a hold $way', ({ stabilize, behavior, scaleDownOf, annotations }) => {
  beforeAll(async () => {
    await queue(58)
    await configure(stabilize, behavior)
    await install(scaleDownOf, annotations)
    if (behavior !== undefined) await becomes(seconds, WINDOW_S)
  })

  test.each([
    ['decline', DECLINE],
    ['pulse', PULSE],
  ])('of a %s: no replica goes while it is held, and they go after', async (_name, loads) => {
    await queue(58)
    await becomes(count, 6)
    expect(await play(loads)).toBe(6)
    await becomes(count, 2)
  })
})

describe('who owns the window', () => {
  test('it is given back, and with it the annotation, when it is not asked for any more', async () => {
    await configure({ window: '40s', act: 'behavior' }, { ...QUICK, restingWindow: '40s' })
    const follow = { 'tideline.dev/scale-down-periods': 'follow' }
    await install(undefined, { ...ANNOTATED, ...follow })
    await becomes(seconds, 40)
    expect((await scaleDown())?.policies).toMatchObject([{ periodSeconds: 15 }])
    await annotate({ 'tideline.dev/scale-down-window': null })
    await becomes(ours, false)
    expect(await seconds()).toBeUndefined()
    expect(Object.keys((await hpa()).metadata.annotations ?? {})).toEqual(Object.keys(follow))
  })

  test('an owner that sets it is left alone and told', async () => {
    await install({ stabilizationWindowSeconds: 77 }, ANNOTATED)
    const events = async () => {
      const path = '/api/v1/namespaces/vision/events?fieldSelector=reason=BehaviorConflict'
      const { items } = await world.plane.api<{ items: { message: string }[] }>('GET', path)
      return items.some(({ message }) => message.includes('conflict with "test"'))
    }
    await becomes(events, true)
    expect(await seconds()).toBe(77)
    expect(await ours()).toBe(false)
  })

  test('a signal whose value is held as well is refused', async () => {
    await configure({ window: '40s' }, QUICK)
    await install(undefined, ANNOTATED)
    const warned = async () =>
      world.adapter().log.some((line) => line['event'] === 'behavior-signal')
    await becomes(warned, true)
    expect(await ours()).toBe(false)
  })

  test('a replica that dies is followed by another, and `restore` takes everything back', async () => {
    await configure({ window: '40s', act: 'behavior' }, { ...QUICK, restingWindow: '40s' })
    await becomes(seconds, 40)
    await world.adapter().stop('SIGKILL')
    await annotate({ 'tideline.dev/scale-down-window': null })
    await world.restartAdapter()
    // Only after the Lease of the dead one has expired.
    await becomes(ours, false)
    await annotate(ANNOTATED)
    await becomes(seconds, 40)
    await world.adapter().stop('SIGINT')
    const main = join(import.meta.dirname, '../../adapter/main.ts')
    const said = execFileSync(
      process.execPath,
      [main, 'restore', '--kubeconfig', world.plane.kubeconfig],
      { encoding: 'utf8' },
    )
    expect(said).toContain(`HorizontalPodAutoscaler vision/${WORKER}: restored`)
    expect(await ours()).toBe(false)
    expect(await seconds()).toBeUndefined()
  })
})
