/**
 * Cost of the hold at 10,000 series on one core, policy beside policy in one run: one step, memory for each series,
 * and the ticks of a minute through the whole evaluator. Run alone: `node test/bench/forecast.ts`.
 */
import { systemClock } from '../../src/clock.ts'
import type { Labels, Signal, Stabilization } from '../../src/model.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { createBoard } from '../../src/signal/board.ts'
import { createEvaluator, type Evaluator } from '../../src/signal/evaluator.ts'
import { createStabilizer } from '../../src/signal/stabilizers.ts'
import type { BenchRow } from './evaluate.ts'
import { bytesInUse } from './memory.ts'

const SERIES = 10_000
const TICKS = 60
const SLOT_MS = 15_000
const DAY_MS = 24 * 3600_000
/** Each of a minute's series has so many more slots behind it that the plans are weighed anew in that minute. */
const UNTIL_WEIGHED = 53
/** A slot of 15 s ends here. */
const BEGIN_MS = 1_700_000_010_000

const FIXED: Stabilization = { policy: 'fixed', windowMs: 300_000 }
const PREDICTIVE: Stabilization = {
  policy: 'predictive',
  minWindowMs: 0,
  maxWindowMs: 3600_000,
  maxHeadroom: 4,
  startDelayMs: 90_000,
}

export function benchForecast(): BenchRow[] {
  const none = minute(undefined, 0)
  const cases = [
    ['fixed 300 s', minute(FIXED, DAY_MS)],
    ['predictive, an hour old', minute(PREDICTIVE, DAY_MS / 24)],
    ['predictive, 8 days old', minute(PREDICTIVE, 8 * DAY_MS)],
  ] as const
  const held = (bytes: number) => (bytes - none.bytes) / SERIES
  return [
    ...stepRows(),
    ...tickRows('no hold', none),
    ...cases.flatMap(([name, cost]) => [
      { what: `hold, ${name}: memory for each series`, value: held(cost.bytes), unit: 'bytes' },
      ...tickRows(name, cost),
    ]),
    {
      what: `hold, predictive: first tick of ${SERIES} new series`,
      value: firstTick(PREDICTIVE),
      unit: 'ms',
    },
  ]
}

/** As in a replay: each step ends a slot. */
function stepRows(): BenchRow[] {
  const WEEK = (7 * DAY_MS) / SLOT_MS
  return [FIXED, PREDICTIVE].map((stabilize) => {
    const stabilizer = createStabilizer(stabilize)
    let state = stabilizer.initial()
    const go = (from: number) => {
      for (let i = from; i < from + WEEK; i++) {
        const atMs = BEGIN_MS + i * SLOT_MS
        state = stabilizer.step(state, load(atMs, 0), atMs).state
      }
    }
    go(0)
    const weeks = [1, 2, 3].map((week) => {
      const begin = cpuMs()
      go(week * WEEK)
      return cpuMs() - begin
    })
    const value = (Math.min(...weeks) / WEEK) * 1e3
    return { what: `hold, ${stabilize.policy}: step of 15 s after a week`, value, unit: 'µs' }
  })
}

interface Cost {
  readonly bytes: number
  /** Of each tick of a minute, in ms of one core. */
  readonly ticks: readonly number[]
}

/** A minute of ticks over series that all have the same past, of the length `ageMs`. */
function minute(stabilize: Stabilization | undefined, ageMs: number): Cost {
  const before = bytesInUse()
  const { evaluator, write } = freshEvaluator()
  const signal = signalHeldBy(stabilize)
  if (stabilize !== undefined) recallPast(evaluator, signal, pastOf(stabilize, ageMs))
  evaluator.setSignals([signal])
  const ticks: number[] = []
  // The first minute compiles what runs, and is not counted.
  for (let second = 1; second <= 2 * TICKS; second++) {
    const nowMs = BEGIN_MS + second * 1000
    write(nowMs)
    const before = cpuMs()
    evaluator.tick(nowMs)
    ticks.push(cpuMs() - before)
  }
  const bytes = bytesInUse() - before
  // Used here so that nothing of it is collected before.
  evaluator.tick(BEGIN_MS + (2 * TICKS + 1) * 1000)
  return { bytes, ticks: ticks.slice(TICKS) }
}

/** After a start, or where a signal is new. */
function firstTick(stabilize: Stabilization): number {
  const { evaluator, write } = freshEvaluator()
  evaluator.setSignals([signalHeldBy(stabilize)])
  write(BEGIN_MS)
  const before = cpuMs()
  evaluator.tick(BEGIN_MS)
  return cpuMs() - before
}

function freshEvaluator() {
  const { store, write } = loadedStore()
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const clock = { ...systemClock, nowMs: () => BEGIN_MS }
  const deps = { clock, view: store, board: createBoard(), log, intervalMs: 1000 }
  return { evaluator: createEvaluator(deps), write }
}

function pastOf(stabilize: Stabilization, ageMs: number): unknown {
  const stabilizer = createStabilizer(stabilize)
  let state = stabilizer.initial()
  for (let atMs = BEGIN_MS - ageMs - UNTIL_WEIGHED * SLOT_MS; atMs <= BEGIN_MS; atMs += SLOT_MS)
    state = stabilizer.step(state, load(atMs, 0), atMs).state
  return stabilizer.save(state)
}

function recallPast(evaluator: Evaluator, signal: Signal, saved: unknown): void {
  const holds = LABELS.map((labels) => [JSON.stringify(labels), BEGIN_MS + DAY_MS, saved])
  evaluator.recall([{ signal: signal.id, definition: JSON.stringify(signal), holds }])
}

const LABELS: readonly Labels[] = Array.from({ length: SERIES }, (_, one) =>
  Object.freeze({ series: `series-${one}` }),
)

function loadedStore() {
  const store = createSeriesStore({
    seriesMax: SERIES,
    pointsPerSeriesMax: 4,
    historyMs: 3600_000,
    futureToleranceMs: 5000,
    labelsMax: 30,
    labelLengthMax: 200,
  })
  const write = (atMs: number) => {
    const samples = LABELS.map((labels, one) => {
      const value = load(atMs, one)
      return { metric: 'm', labels, kind: 'gauge' as const, value, timestampMs: atMs }
    })
    store.write({ source: 's', origin: 'o', atMs, samples, complete: true })
  }
  return { store, write }
}

function signalHeldBy(stabilize: Stabilization | undefined): Signal {
  return {
    id: 'bench/level',
    namespace: 'bench',
    name: 'level',
    selection: { source: 's', metric: 'm', matchers: [] },
    window: { function: 'last', durationMs: 60_000, quantile: 0 },
    combine: { function: 'sum', by: ['series'], minCoverage: 0.5 },
    freshForMs: 60_000,
    whenStale: { answer: 'error' },
    whenAbsent: { answer: 'error' },
    ...(stabilize === undefined ? {} : { stabilize }),
    expose: { external: { name: 'level' } },
  }
}

function tickRows(name: string, { ticks }: Cost): BenchRow[] {
  const sorted = ticks.toSorted((a, b) => a - b)
  const what = `hold, ${name}: ${SERIES} series, tick of 1 s,`
  return [
    { what: `${what} median`, value: sorted[TICKS >> 1] ?? NaN, unit: 'ms' },
    { what: `${what} worst of ${TICKS}`, value: sorted[TICKS - 1] ?? NaN, unit: 'ms' },
  ]
}

/** What the process took of all cores, its garbage collection too: other work on the machine does not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** A slow wave and noise; no two series alike. */
function load(atMs: number, one: number): number {
  const second = atMs / 1000
  return 50 + (one % 100) + 40 * Math.sin(second / 13_500) + ((second * 7919 + one * 104_729) % 23)
}

if (import.meta.main) {
  for (const { what, value, unit } of benchForecast())
    process.stdout.write(`${what.padEnd(72)} ${value.toFixed(2)} ${unit}\n`)
}
