import { expect, test } from 'vitest'
import { createPredictiveStabilizer, PREDICTIVE_DEFAULTS } from '../../src/forecast/predictive.ts'
import type { Forecast } from '../../src/model.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { createBoard } from '../../src/signal/board.ts'
import { createEvaluator } from '../../src/signal/evaluator.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { signalOf } from '../kit/signals.ts'

const SLOT_MS = 15_000
const DAY_SLOTS = 5760
const BEGIN_MS = Date.UTC(2026, 0, 5)

/** Levels of five minutes without any pattern, the same each day: yesterday tells all. From the fifth day on, a flat load. */
function load(slot: number): number {
  if (slot >= 4 * DAY_SLOTS) return 50
  return Math.exp(7 * random(Math.floor((slot % DAY_SLOTS) / 20)))
}

/** From 0 to 1, the same for the same number. */
function random(number: number): number {
  let mixed = Math.imul(number + 1, 0x9e3779b1) >>> 0
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) >>> 0
  return ((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32
}

test('where yesterday does better the forecast is off, and on again when it does not', () => {
  const stabilizer = createPredictiveStabilizer(PREDICTIVE_DEFAULTS)
  let state = stabilizer.initial()
  const seen: boolean[] = []
  let last: Forecast | undefined
  for (let slot = 0; slot < 6 * DAY_SLOTS; slot += 1) {
    const step = stabilizer.step(state, load(slot), BEGIN_MS + slot * SLOT_MS)
    state = step.state
    last = step.forecast
    if (seen.at(-1) !== last?.trusted) seen.push(last?.trusted === true)
  }
  expect(seen).toEqual([true, false, true])
  const { own, seasonal } = last?.losses ?? { own: NaN, seasonal: NaN }
  expect(own).toBeLessThan(seasonal + 0.02)
})

test('a forecast that is on says so in the reading; nothing is logged', () => {
  const clock = new ManualClock(BEGIN_MS)
  const limits = { seriesMax: 10, pointsPerSeriesMax: 100, historyMs: 3_600_000 }
  const store = createSeriesStore(
    { ...limits, futureToleranceMs: 5000, labelsMax: 8, labelLengthMax: 100 },
    clock,
  )
  const board = createBoard()
  const log = new RecordingLogger()
  const evaluator = createEvaluator({ clock, view: store, board, log, intervalMs: 1000 })
  const signal = signalOf({ stabilize: { policy: 'predictive', ...PREDICTIVE_DEFAULTS } })
  evaluator.setSignals([signal])
  const sample = {
    metric: 'm',
    labels: {},
    kind: 'gauge',
    value: 5,
    timestampMs: BEGIN_MS,
  } as const
  store.write({ source: 's', origin: 'o', atMs: BEGIN_MS, complete: true, samples: [sample] })
  evaluator.tick(BEGIN_MS)
  const [told] = [...board.all()]
  expect(told?.readings[0]?.why.forecast).toMatchObject({ trusted: true })
  expect(log.entries).toEqual([])
})
