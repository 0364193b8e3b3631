/**
 * Both ways to act on a decided window, with the real API server and the real HPA controller: held in the value with
 * the HPA's own window at 0, and written to the HPA's behaviour with the value as observed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { played as playedAt, recordings } from '../kit/recordings.ts'
import { expectHeldFor } from './heldFor.ts'
import { becomes, hpaPath, stays } from './observe.ts'
import type { Way } from './ways.ts'
import {
  asksFor,
  behaviorRights,
  holdNothing,
  installHpa,
  isTouched,
  LEAST_REPLICAS,
  PER_REPLICA,
  play,
  readHpa,
  restoreAll,
  setQueue,
  wantedReplicas,
  windowOf,
  writeConfiguration,
} from './ways.ts'
import type { World } from './world.ts'
import { startWorld } from './world.ts'

const WORKER = 'vision-worker'
const GATEWAY = 'vision-gateway'
const SERVICE = 'vision-service'

let world: World

beforeAll(async () => {
  world = await startWorld()
  await world.plane.apply(behaviorRights())
})
afterAll(() => world?.stop())

const QUICK = {
  leaseNamespace: 'monitoring',
  restingWindow: '0s',
  interval: '1s',
  minStep: '1s',
  grace: '3s',
}

/** The adapter anew, with what it is to do. */
async function configure(
  ways: readonly Way[],
  behavior: object,
  stabilize: Readonly<Record<string, object>> = {},
): Promise<void> {
  await world.adapter().stop('SIGINT')
  writeConfiguration(world, ways, { behavior, stabilize })
  await world.restartAdapter()
}

describe('a hold in the value, and one in the HPA’s behaviour', () => {
  /** Recordings are played so many times faster, and their 300 s become these. */
  const PACE = 20
  const WINDOW_S = 15
  /** From the queue to the order of replicas, on a machine that does other work as well. */
  const LATE_S = 4
  const PEAK = 58
  const WAYS: readonly Way[] = [
    {
      workload: WORKER,
      signal: 'frames-waiting',
      stabilize: { window: `${WINDOW_S}s` },
      scaleDown: { stabilizationWindowSeconds: 0 },
    },
    {
      workload: GATEWAY,
      signal: 'frames-observed',
      stabilize: { window: `${WINDOW_S}s`, act: 'behavior' },
      annotations: asksFor('frames-observed'),
    },
  ]
  const workloads = WAYS.map(({ workload }) => workload)

  beforeAll(async () => {
    const window = `${WINDOW_S}s`
    await configure(WAYS, { ...QUICK, restingWindow: window }, { requests: { window } })
    await holdNothing(world, SERVICE)
    // While the recordings are played, its pods come to share the load evenly.
    world.pods.setLoad(SERVICE, 0.58)
    for (const way of WAYS) await installHpa(world, way)
    await becomes(() => windowOf(world, GATEWAY), WINDOW_S)
  })

  test.each(
    recordings().map((one) => [one.name, playedAt(one, { pace: PACE, peak: PEAK })] as const),
  )(
    'as the recording %s is played: no replica goes while it is held, and they go after',
    async (_name, loads) => {
      const [first = 0] = loads
      const needed = (load: number) => Math.max(LEAST_REPLICAS, Math.ceil(load / PER_REPLICA))
      await setQueue(world, first)
      await becomes(
        () => wantedReplicas(world, workloads),
        WAYS.map(() => needed(first)),
      )
      const { seen, played } = await play(world, workloads, {
        loads,
        tailS: WINDOW_S + LATE_S + 1,
      })
      expectHeldFor(WINDOW_S, { seen, played, lateS: LATE_S })
      // It was to be held: the load alone would have asked for fewer.
      const fewest = Math.min(...loads.slice(loads.indexOf(PEAK)))
      expect(needed(fewest)).toBeLessThan(needed(PEAK))
    },
    600_000,
  )

  test('a Pods metric is held on the total: it means the same while pods go', async () => {
    const count = () => wantedReplicas(world, [SERVICE])
    await becomes(count, [6])
    world.pods.setLoad(SERVICE, 0.19)
    await stays(count, [6], (WINDOW_S - LATE_S) * 1000)
    await becomes(count, [2], (WINDOW_S + LATE_S) * 1000)
  })
})

const FRAMES = { workload: WORKER, signal: 'frames-waiting' } as const
const OBSERVED: Way = { ...FRAMES, stabilize: { window: '40s', act: 'behavior' } }
const ANNOTATED: Way = { ...FRAMES, annotations: asksFor('frames-waiting') }
const RESTING = { ...QUICK, restingWindow: '40s' }
const FOLLOW = { 'tideline.dev/scale-down-periods': 'follow' }

async function annotate(annotations: Readonly<Record<string, string | null>>): Promise<void> {
  const body = { metadata: { annotations } }
  await world.plane.api('PATCH', hpaPath(WORKER), body, 'application/merge-patch+json')
}

describe('who owns the window', () => {
  test('it is given back, and with it the annotation, when it is not asked for any more', async () => {
    await configure([OBSERVED], RESTING)
    await installHpa(world, { ...ANNOTATED, annotations: { ...ANNOTATED.annotations, ...FOLLOW } })
    await becomes(() => windowOf(world, WORKER), 40)
    const policies = async () => (await readHpa(world, WORKER)).spec.behavior?.scaleDown?.policies
    expect(await policies()).toMatchObject([{ periodSeconds: 15 }])
    await annotate({ 'tideline.dev/scale-down-window': null })
    await becomes(() => isTouched(world, WORKER), false)
    expect(await windowOf(world, WORKER)).toBeUndefined()
    const { metadata } = await readHpa(world, WORKER)
    expect(Object.keys(metadata.annotations ?? {})).toEqual(Object.keys(FOLLOW))
  })

  test('an owner that sets it is left alone and told', async () => {
    await installHpa(world, { ...ANNOTATED, scaleDown: { stabilizationWindowSeconds: 77 } })
    const events = async () => {
      const path = '/api/v1/namespaces/vision/events?fieldSelector=reason=BehaviorConflict'
      const { items } = await world.plane.api<{ items: { message: string }[] }>('GET', path)
      return items.some(({ message }) => message.includes('conflict with "test"'))
    }
    await becomes(events, true)
    expect(await windowOf(world, WORKER)).toBe(77)
    expect(await isTouched(world, WORKER)).toBe(false)
  })

  test('a signal whose value is held as well is refused', async () => {
    await configure([{ ...FRAMES, stabilize: { window: '40s' } }], QUICK)
    await installHpa(world, ANNOTATED)
    const warned = async () =>
      world.adapter().log.some((line) => line['event'] === 'behavior-signal')
    await becomes(warned, true)
    expect(await isTouched(world, WORKER)).toBe(false)
  })

  test('a replica that dies is followed by another', async () => {
    await configure([OBSERVED], RESTING)
    await becomes(() => windowOf(world, WORKER), 40)
    await world.adapter().stop('SIGKILL')
    await annotate({ 'tideline.dev/scale-down-window': null })
    await world.restartAdapter()
    // Only after the Lease of the dead one has expired.
    await becomes(() => isTouched(world, WORKER), false)
  })
})

describe('all windows are taken back', () => {
  const WORKLOADS = [WORKER, GATEWAY]

  /** Both HPAs with the adapter's window, one of them with its periods, and a third that has one of its owner's. */
  async function written(): Promise<void> {
    await configure([OBSERVED], RESTING)
    await installHpa(world, ANNOTATED)
    const annotations = { ...ANNOTATED.annotations, ...FOLLOW }
    await installHpa(world, { ...ANNOTATED, workload: GATEWAY, annotations })
    for (const workload of WORKLOADS) await becomes(() => windowOf(world, workload), 40)
    const scaleDown = { stabilizationWindowSeconds: 77 }
    await installHpa(world, { ...FRAMES, workload: SERVICE, scaleDown })
  }

  async function restored(): Promise<void> {
    for (const workload of WORKLOADS) {
      expect(await isTouched(world, workload)).toBe(false)
      expect(await windowOf(world, workload)).toBeUndefined()
      const { annotations = {} } = (await readHpa(world, workload)).metadata
      expect(Object.keys(annotations)).not.toContain('tideline.dev/original-scale-down')
    }
    expect(await windowOf(world, SERVICE)).toBe(77)
  }

  test('by `mode: restore`, without a restart, and nothing is written any more though it is asked for', async () => {
    await written()
    const events = () => world.adapter().log.map((line) => line['event'])
    const names = () =>
      world
        .adapter()
        .log.filter((line) => line['event'] === 'behavior-written')
        .map((line) => line['name'])
    // What is done may be seen before the line that tells of it.
    await becomes(async () => new Set(names()).size, WORKLOADS.length)
    const before = names()
    writeConfiguration(world, [OBSERVED], { behavior: { ...RESTING, mode: 'restore' } })
    const touched = () => Promise.all(WORKLOADS.map((workload) => isTouched(world, workload)))
    await becomes(touched, [false, false])
    await restored()
    await stays(touched, [false, false], 3000)
    expect(events().filter((event) => event === 'behavior-restored')).toHaveLength(2)
    expect(names()).toEqual(before)
    expect(events()).not.toContain('config-needs-restart')
  })

  test('by `tideline restore`, after the adapter and its rights are gone and the windows were left', async () => {
    await written()
    await world.adapter().stop('SIGINT')
    for (const object of behaviorRights())
      await world.plane.api('DELETE', await world.plane.pathOf(object))
    for (const workload of WORKLOADS) expect(await windowOf(world, workload)).toBe(40)
    const restore = () => restoreAll(world.plane.kubeconfig)
    const lines = WORKLOADS.map((name) => `HorizontalPodAutoscaler vision/${name}: restored`)
    expect(restore().trim().split('\n').toSorted()).toEqual(lines.toSorted())
    await restored()
    expect(restore()).toBe('nothing to restore\n')
  })
})
