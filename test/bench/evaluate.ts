/**
 * What the engine costs at 10,000 series of 20 points: windows, a whole tick, writing, memory.
 * Run alone: `node test/bench/evaluate.ts`.
 */
import { systemClock } from '../../src/clock.ts'
import { WINDOW_FUNCTIONS, type Labels, type Sample, type Signal } from '../../src/model.ts'
import { createSeriesStore, type SeriesStore } from '../../src/series/store.ts'
import { evaluateWindow } from '../../src/series/window.ts'
import { createBoard } from '../../src/signal/board.ts'
import { createEvaluator } from '../../src/signal/evaluator.ts'
import { bytesInUse } from './memory.ts'

export interface BenchRow {
  readonly what: string
  readonly value: number
  readonly unit: string
}

const PODS = 100
const SERIES_PER_POD = 100
const SERIES = PODS * SERIES_PER_POD
const POINTS = 20
const INTERVAL_MS = 15_000
const BEGIN_MS = 1_700_000_000_000
const NOW_MS = BEGIN_MS + POINTS * INTERVAL_MS

const LABELS: Labels[][] = Array.from({ length: PODS }, (_, pod) =>
  Array.from({ length: SERIES_PER_POD }, (_unused, i) =>
    Object.freeze({ namespace: `ns-${pod % 10}`, pod: `vision-${pod}`, class: `class-${i}` }),
  ),
)

export function benchEvaluate(): BenchRow[] {
  const emptyBytes = bytesInUse()
  const store = emptyStore()
  for (let k = 0; k < POINTS; k++) collect(store, k, (labels) => labels)
  const fullBytes = bytesInUse()
  return [
    { what: 'memory per series', value: (fullBytes - emptyBytes) / SERIES, unit: 'bytes' },
    ...windowRows(store),
    ...tickRows(store),
    ...writeRows(),
  ]
}

function windowRows(store: SeriesStore): BenchRow[] {
  const all = store.select({ source: 's', metric: 'm', matchers: [] })
  return WINDOW_FUNCTIONS.map((fn) => {
    const window = { function: fn, durationMs: POINTS * INTERVAL_MS, quantile: 0.9 }
    const value = medianMs(() => {
      for (const series of all) evaluateWindow(series, window, NOW_MS)
    })
    return { what: `${fn} over ${SERIES} series × ${POINTS} points`, value, unit: 'ms' }
  })
}

function tickRows(store: SeriesStore): BenchRow[] {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const board = createBoard()
  const deps = { clock: systemClock, view: store, board, log, intervalMs: 1000 }
  return [['namespace'], ['pod'], []].map((by) => {
    const evaluator = createEvaluator(deps)
    evaluator.setSignals([rateSignal(by)])
    const value = medianMs(() => evaluator.tick(NOW_MS))
    const what = `tick: sum by (${by.join()}) of the rate of ${SERIES} series`
    return { what, value, unit: 'ms' }
  })
}

function writeRows(): BenchRow[] {
  const rows: [string, (labels: Labels) => Labels][] = [
    ['labels objects used again', (labels) => labels],
    ['labels made anew', (labels) => ({ ...labels })],
  ]
  return rows.map(([how, give]) => {
    const store = emptyStore()
    let k = 0
    const value = medianMs(() => collect(store, k++, give))
    return { what: `writing ${SERIES} samples, ${how}`, value, unit: 'ms' }
  })
}

function emptyStore(): SeriesStore {
  return createSeriesStore({
    seriesMax: 100_000,
    pointsPerSeriesMax: POINTS,
    historyMs: 3600_000,
    futureToleranceMs: 5000,
    labelsMax: 30,
    labelLengthMax: 200,
  })
}

/** The k-th collect of all pods. */
function collect(store: SeriesStore, k: number, give: (labels: Labels) => Labels): void {
  const atMs = BEGIN_MS + k * INTERVAL_MS
  for (const [pod, labelSets] of LABELS.entries()) {
    const samples = labelSets.map((labels, i): Sample => {
      const value = 1000 + k * (i + 1)
      return { metric: 'm', labels: give(labels), kind: 'cumulative', value, timestampMs: atMs }
    })
    store.write({ source: 's', origin: `pod-${pod}`, atMs, samples, complete: true })
  }
}

function rateSignal(by: readonly string[]): Signal {
  return {
    id: 'bench/rate',
    namespace: 'bench',
    name: 'rate',
    selection: { source: 's', metric: 'm', matchers: [] },
    window: { function: 'rate', durationMs: POINTS * INTERVAL_MS, quantile: 0 },
    combine: { function: 'sum', by, minCoverage: 0.5 },
    freshForMs: 60_000,
    whenStale: { answer: 'error' },
    whenAbsent: { answer: 'error' },
    expose: { external: { name: 'rate' } },
  }
}

function medianMs(work: () => void): number {
  const ROUNDS = 21
  for (let i = 0; i < 5; i++) work()
  const times = Array.from({ length: ROUNDS }, () => {
    const startMs = systemClock.monotonicMs()
    work()
    return systemClock.monotonicMs() - startMs
  })
  return times.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? NaN
}

if (import.meta.main) {
  for (const { what, value, unit } of benchEvaluate())
    process.stdout.write(`${what.padEnd(60)} ${value.toFixed(2)} ${unit}\n`)
}
