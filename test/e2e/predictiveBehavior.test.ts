/**
 * What is learned of a load acts through the real HPA controller, in both ways, over two pulses and their end. Beside
 * them an HPA without any hold shows what the load alone asks for.
 *
 * The HPA controller has no clock but the real one, so that the adapter cannot have another: a window that is written
 * to an HPA means the same to both. A recorded day is therefore played in an hour, to an adapter that starts with
 * what the same engine learned of the days before: the state file comes from a run of it under a clock of its own.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { batchDay } from '../kit/recordings.ts'
import { learn } from './learn.ts'
import { becomes, condition, hpaPath } from './observe.ts'
import type { Seen, Way } from './ways.ts'
import {
  asksFor,
  behaviorRights,
  installHpa,
  LEAST_REPLICAS,
  play,
  setQueue,
  windowOf,
  writeConfiguration,
} from './ways.ts'
import type { World } from './world.ts'
import { startWorld } from './world.ts'

const PACE = 24
const DAYS = 48
/** Frames for a recorded request a second: 58 in a batch, and 14 else. */
const FRAMES = 58 / 120
const BATCH_S = 30
const PERIOD_S = 75
/** The last batch but one begins at six o'clock. */
const SIX_S = 18 * 3600
const RESTING_S = 15
/** After the last batch; the HPA's default would hold for 300 s. */
const RELEASED_S = 150
const INTERVAL_S = 5

const predictive = { policy: 'predictive', startDelay: '15s' }
const WAYS = [
  {
    workload: 'vision-worker',
    signal: 'held',
    stabilize: predictive,
    scaleDown: { stabilizationWindowSeconds: 0 },
  },
  {
    workload: 'vision-gateway',
    signal: 'left-to-the-hpa',
    stabilize: { ...predictive, act: 'behavior' },
    annotations: asksFor('left-to-the-hpa'),
  },
  {
    workload: 'vision-service',
    signal: 'as-observed',
    scaleDown: { stabilizationWindowSeconds: 0 },
  },
] as const satisfies readonly Way[]
const WORKLOADS = WAYS.map(({ workload }) => workload)
const GATEWAY = 'vision-gateway'

let world: World

beforeAll(async () => {
  world = await startWorld()
  await world.plane.apply(behaviorRights())
})
afterAll(() => world?.stop())

/** The recorded load at a time, where six o'clock is at `sixMs`. */
function recordedLoad(sixMs: number): (ms: number) => number {
  const days = Array.from({ length: DAYS + 2 }, (_, day) => batchDay(day).rows)
  return (ms) => {
    const recordedS = ((ms - sixMs) / 1000) * PACE + SIX_S + DAYS * 86_400
    const rows = days[Math.floor(recordedS / 86_400)]
    const row = rows?.[Math.floor((recordedS % 86_400) / 15)]
    if (row === undefined) throw new Error('before the first recorded day or after the last')
    return Math.round(row.value * FRAMES)
  }
}

/** A time after this one, somewhat into a slot of the forecast, as most times are. */
function after(leadMs: number): number {
  const slotMs = 15_000
  return Math.ceil((Date.now() + leadMs) / slotMs) * slotMs + 5000
}

/** The adapter anew, with what it would have learned until now. */
async function startExperienced(load: (ms: number) => number, sixMs: number): Promise<void> {
  const state = { file: join(world.plane.folder, 'state') }
  const behavior = {
    leaseNamespace: 'monitoring',
    restingWindow: `${RESTING_S}s`,
    interval: `${INTERVAL_S}s`,
    minStep: '5s',
  }
  writeConfiguration(world, WAYS, { behavior, state })
  const fromMs = sixMs - (DAYS / PACE) * 86_400_000
  await learn(join(world.plane.folder, 'config'), { fromMs, toMs: Date.now, load })
  await world.adapter().stop('SIGINT')
  await setQueue(world, load(Date.now()))
  await world.restartAdapter()
  const recalled = world.adapter().log.filter((line) => line['event'] === 'holds-recalled')
  expect(recalled.map((line) => line['signal'])).toEqual(['vision/held', 'vision/left-to-the-hpa'])
}

/** Everything as it would be at six; what is learned until then, on a machine that takes its time, has to wait for it. */
async function readyBeforeSix(leadMs = 15_000): Promise<number> {
  const sixMs = after(leadMs)
  for (const way of WAYS) await installHpa(world, way)
  await startExperienced(recordedLoad(sixMs), sixMs)
  await becomes(
    () => Promise.all(WORKLOADS.map((name) => condition(world.plane, hpaPath(name), 'ScalingActive').then((one) => one?.status))), // prettier-ignore
    WORKLOADS.map(() => 'True'),
  )
  await becomes(() => windowOf(world, GATEWAY).then((window) => window !== undefined), true)
  return Date.now() < sixMs + 10_000 ? sixMs : readyBeforeSix(2 * leadMs)
}

test('replicas stay between two pulses and go after the last, as was learned', async () => {
  const sixMs = await readyBeforeSix()
  const load = recordedLoad(sixMs)
  const beginsMs = Date.now()
  const untilS = Math.ceil((sixMs - beginsMs) / 1000) + PERIOD_S + BATCH_S + RELEASED_S
  const loads = Array.from({ length: untilS }, (_, second) => load(beginsMs + second * 1000))
  const offsetMs = beginsMs - sixMs - performance.now()
  const sinceSixS = ({ atMs }: Seen) => (atMs + offsetMs) / 1000
  const enough = (one: Seen) =>
    sinceSixS(one) > PERIOD_S + BATCH_S + 5 && one.replicas.every((count) => count === LEAST_REPLICAS) // prettier-ignore
  const { seen } = await play(world, WORKLOADS, { loads, enough })

  const within = (fromS: number, toS: number) =>
    seen.filter((one) => sinceSixS(one) >= fromS && sinceSixS(one) < toS)
  const [held, left, observed] = fewest(within(BATCH_S - 5, PERIOD_S + BATCH_S))
  console.info(shown(seen, sinceSixS))
  expect(observed, 'the load alone lets them go between two pulses').toBe(LEAST_REPLICAS)
  expect(held).toBeGreaterThanOrEqual(6)
  expect(left).toBeGreaterThanOrEqual(6)
  expect(seen.at(-1)?.replicas).toEqual(WAYS.map(() => LEAST_REPLICAS))
  expectFewWrites()
}, 900_000)

function fewest(seen: readonly Seen[]): readonly number[] {
  return WAYS.map((_, way) => Math.min(...seen.map(({ replicas }) => replicas[way] ?? NaN)))
}

/** Each change of the replicas, for whoever wants to see it. */
function shown(seen: readonly Seen[], sinceSixS: (one: Seen) => number): string {
  const changes = seen.filter(({ replicas }, at) => String(replicas) !== String(seen[at - 1]?.replicas)) // prettier-ignore
  const lines = changes.map((one) => `${sinceSixS(one).toFixed(1).padStart(6)} s: ${one.replicas.join(' ')}`) // prettier-ignore
  return [`seconds after six: replicas by ${WAYS.map(({ signal }) => signal).join(', ')}`, ...lines].join('\n') // prettier-ignore
}

/** The window was raised over the gap between two pulses, by few writes, none sooner than the interval after another. */
function expectFewWrites(): void {
  const writes = world.adapter().log.filter((line) => line['event'] === 'behavior-written')
  const seconds = writes.map((line) => Number(line['to']))
  expect(Math.max(...seconds)).toBeGreaterThan(PERIOD_S - BATCH_S)
  expect(writes.length).toBeLessThan(20)
  const times = writes.map((line) => Date.parse(String(line['time'])))
  for (const [at, time] of times.entries()) {
    const before = times[at - 1]
    if (before !== undefined) expect(time - before).toBeGreaterThan(INTERVAL_S * 1000 - 500)
  }
}
