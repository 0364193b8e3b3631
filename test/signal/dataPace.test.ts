import { expect, test } from 'vitest'
import { PREDICTIVE_DEFAULTS } from '../../src/forecast/predictive.ts'
import type { Clock } from '../../src/ports.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { createBoard } from '../../src/signal/board.ts'
import { createEvaluator } from '../../src/signal/evaluator.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { signalOf } from '../kit/signals.ts'

const BEGIN_MS = 1_700_000_000_000

/** Ticks each second; a sample comes at the times given, in seconds. What readings say, and what the log does. */
function run(
  times: readonly number[],
  stabilize = { policy: 'predictive', ...PREDICTIVE_DEFAULTS } as const,
  freshForMs = 600_000,
) {
  // prettier-ignore
  let nowMs = BEGIN_MS
  const now = () => nowMs
  const clock: Clock = { nowMs: now, monotonicMs: now, sleep: () => Promise.resolve() }
  const limits = { seriesMax: 10, pointsPerSeriesMax: 1000, historyMs: 3_600_000 }
  const store = createSeriesStore(
    { ...limits, futureToleranceMs: 5000, labelsMax: 8, labelLengthMax: 100 },
    clock,
  )
  const board = createBoard()
  const log = new RecordingLogger()
  const evaluator = createEvaluator({ clock, view: store, board, log, intervalMs: 1000 })
  evaluator.setSignals([signalOf({ stabilize, freshForMs })])
  let flaw: string | undefined
  for (let second = 0; second <= (times.at(-1) ?? 0) + 10; second++) {
    nowMs = BEGIN_MS + second * 1000
    if (times.includes(second)) {
      const sample = { metric: 'm', labels: {}, kind: 'gauge', value: 5, timestampMs: nowMs } as const // prettier-ignore
      store.write({ source: 's', origin: 'o', atMs: nowMs, complete: true, samples: [sample] })
    }
    evaluator.tick(nowMs)
    flaw = [...board.all()][0]?.forecastFlaw
  }
  return { flaw, events: log.entries.map(({ event }) => event) }
}

const every = (seconds: number, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => from + i * seconds)

test('data that comes every 5 min is told of in the reading, and once in the log', () => {
  const { flaw, events } = run(every(300, 6))
  expect(flaw).toMatch(/^data comes every 300 s: the forecast learns little from it/)
  expect(events).toEqual(['forecast-data-slow'])
})

test('also where it is stale between', () => {
  const { flaw, events } = run(every(300, 6), undefined, 45_000)
  expect(flaw).toMatch(/^data comes every 300 s/)
  expect(events).toEqual(['forecast-data-slow'])
})

test('where it comes faster again that is told as well', () => {
  const { flaw, events } = run([...every(60, 6), ...every(15, 6, 320)])
  expect(flaw).toBeUndefined()
  expect(events).toEqual(['forecast-data-slow', 'forecast-data-in-time'])
})

test.each([
  ['15 s', every(15, 20)],
  ['15 s, with some that are missed', [...every(15, 4), 150, 165, 300, 315, 330, 600]],
])('nothing is told of data every %s', (_name, times) => {
  expect(run(times)).toEqual({ flaw: undefined, events: [] })
})
