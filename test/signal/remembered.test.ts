/** What the evaluator tells of its holds, and what another takes back of it. */
import { expect, test } from 'vitest'
import type { Signal } from '../../src/model.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { createBoard } from '../../src/signal/board.ts'
import { createEvaluator } from '../../src/signal/evaluator.ts'
import { recallHolds, rememberHolds, rememberedHolds } from '../../src/signal/remembered.ts'
import { createFixedStabilizer } from '../../src/signal/stabilize.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { signalOf } from '../kit/signals.ts'

const START_MS = 1_700_000_000_000
const FIXED = signalOf({ stabilize: { policy: 'fixed', windowMs: 300_000 } })

/** An adapter that starts at `atMs`, sees one value and tells what it remembers. */
function life(signal: Signal, at: { readonly ms: number; readonly value: number }, told: unknown) {
  const clock = new ManualClock(at.ms)
  const limits = { seriesMax: 10, pointsPerSeriesMax: 100, historyMs: 3_600_000 }
  const more = { futureToleranceMs: 5000, labelsMax: 8, labelLengthMax: 100 }
  const store = createSeriesStore({ ...limits, ...more }, clock)
  const board = createBoard()
  const log = new RecordingLogger()
  const evaluator = createEvaluator({ clock, view: store, board, log, intervalMs: 1000 })
  evaluator.recall(told as unknown[])
  evaluator.setSignals([signal])
  const sample = { metric: 'm', labels: {}, value: at.value, timestampMs: at.ms }
  const samples = [{ ...sample, kind: 'gauge' as const }]
  store.write({ source: 's', origin: 'o', atMs: at.ms, complete: true, samples })
  evaluator.tick(at.ms)
  const reading = [...board.all()][0]?.readings[0]
  const remembered: unknown = JSON.parse(JSON.stringify([...evaluator.remember()]))
  const events = log.entries.map((entry) => entry.event)
  return { value: reading?.state === 'fresh' ? reading.value : undefined, remembered, events }
}

const before = life(FIXED, { ms: START_MS, value: 100 }, []).remembered

test('a hold in force goes on, and ends when it would have', () => {
  const soon = life(FIXED, { ms: START_MS + 200_000, value: 20 }, before)
  expect(soon).toMatchObject({ value: 100, events: ['holds-recalled'] })
  const later = life(FIXED, { ms: START_MS + 299_000, value: 20 }, soon.remembered)
  expect(later.value).toBe(100)
  const after = life(FIXED, { ms: START_MS + 300_001, value: 20 }, later.remembered)
  expect(after.value).toBe(20)
})

test('a hold that ended meanwhile is dropped', () => {
  const after = life(FIXED, { ms: START_MS + 300_001, value: 20 }, before)
  expect(after).toMatchObject({ value: 20, events: [] })
})

test('a signal that was changed meanwhile starts anew, and the log says so', () => {
  const other = signalOf({ stabilize: { policy: 'fixed', windowMs: 301_000 } })
  const after = life(other, { ms: START_MS + 1000, value: 20 }, before)
  expect(after).toMatchObject({ value: 20, events: ['holds-start-anew'] })
})

test('a state of another version starts anew, and the log says so', () => {
  const old: unknown = JSON.parse(JSON.stringify(before).replace('fixed 1 ', 'fixed 0 '))
  const after = life(FIXED, { ms: START_MS + 1000, value: 20 }, old)
  expect(after).toMatchObject({ value: 20, events: ['holds-start-anew'] })
})

test('entries of no known shape are passed over', () => {
  const after = life(FIXED, { ms: START_MS + 1000, value: 20 }, [null, 7, 'x', {}, { signal: 'q' }])
  expect(after).toMatchObject({ value: 20, events: [] })
})

test('many holds of one signal are told some at a time, and all taken back', () => {
  const stabilizer = createFixedStabilizer(300_000)
  const holds = new Map(
    Array.from({ length: 100 }, (_, i) => {
      return [`key ${i}`, stabilizer.step(stabilizer.initial(), i, START_MS).state] as const
    }),
  )
  const of = { signal: 'ns/q', definition: 'as it is' }
  const told = [...rememberHolds(of, holds, stabilizer)]
  expect(told.length).toBeGreaterThan(1)
  const other = { ...told[0], definition: 'as it was' }
  const remembered = rememberedHolds(JSON.parse(JSON.stringify([other, ...told])) as unknown[])
  const one = remembered.get('ns/q')
  expect(one).toBeDefined()
  if (one === undefined) return
  const back = { holds: new Map(), definition: of.definition, stabilizer }
  const log = new RecordingLogger()
  expect(recallHolds(one, back, { nowMs: START_MS, log })).toBe(100)
  expect(back.holds).toEqual(holds)
  const later = { ...back, holds: new Map(), stabilizer: createFixedStabilizer(60_000) }
  expect(recallHolds(one, later, { nowMs: START_MS, log })).toBe(0)
  expect(log.entries.map(({ event }) => event)).toEqual(['holds-start-anew'])
})
