/** Counts that were lost on the way: what is left of a group is not the whole of it. */
import { describe, expect, test } from 'vitest'
import type { Labels } from '../../src/model.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { evaluateSignal, initialState } from '../../src/signal/evaluate.ts'
import { signalOf } from '../kit/signals.ts'

const START = 1_700_000_000_000
const WINDOW = { durationMs: 20_000, quantile: 0.5 } as const
type Fn = 'rate' | 'ewma' | 'mean' | 'quantile'
const PARTS: Readonly<Record<Fn, readonly [string, Labels, number][]>> = {
  rate: [['m', {}, 10]],
  ewma: [['m', {}, 10]],
  mean: [
    ['m_sum', {}, 30],
    ['m_count', {}, 10],
  ],
  quantile: [
    ['m', { le: '1' }, 10],
    ['m', { le: '+Inf' }, 10],
  ],
}

/** Two pods that tell ten a second, step by step, and which time they tell of. */
function stage(fn: Fn) {
  const signal = signalOf({ window: { ...WINDOW, function: fn } })
  const store = createSeriesStore({
    ...{ seriesMax: 100, pointsPerSeriesMax: 1000, historyMs: 3_600_000 },
    ...{ futureToleranceMs: 5000, labelsMax: 20, labelLengthMax: 200 },
  })
  const state = initialState()
  return (second: number, sinceByPod: Readonly<Record<string, number>>) => {
    const timestampMs = START + second * 1000
    for (const [pod, since] of Object.entries(sinceByPod)) {
      const covered = { fromMs: START + since * 1000, untilMs: timestampMs }
      const samples = PARTS[fn].map(([metric, labels, value]) => ({
        ...{ metric, labels: { pod, ...labels }, value, kind: 'delta' as const },
        ...{ timestampMs, startMs: timestampMs - 1000, covered },
      }))
      store.write({ source: 's', origin: pod, atMs: timestampMs, samples, complete: false })
    }
    const { readings } = evaluateSignal(signal, state, store, {
      nowMs: timestampMs,
      stabilizer: undefined,
    })
    expect(readings).toHaveLength(1)
    return readings[0]
  }
}

describe.each(Object.keys(PARTS) as Fn[])('the %s of a group', (fn) => {
  test('of which one part was lost is not that of the others', () => {
    const tell = stage(fn)
    for (let second = 1; second <= 30; second += 1) tell(second, { a: 0, b: 0 })
    const before = tell(31, { a: 0, b: 0 })
    expect(before).toMatchObject({ state: 'fresh' })
    // Of b what it told from 31 s to 33 s is lost; a quarter of the window has to be known again.
    for (let second = 34; second <= 37; second += 1)
      expect(tell(second, { a: 0, b: 33 })).toMatchObject({
        state: 'stale',
        cause: expect.stringMatching(/[12] series lost what they told, and warm up again/),
      })
    for (let second = 38; second <= 60; second += 1) tell(second, { a: 0, b: 33 })
    expect(tell(61, { a: 0, b: 33 })).toMatchObject({
      state: 'fresh',
      value: before?.state === 'fresh' ? expect.closeTo(before.value, 9) : NaN,
    })
  })

  test('that a pod joins is known without it', () => {
    const tell = stage(fn)
    for (let second = 1; second <= 30; second += 1) tell(second, { a: 0, b: 0 })
    for (let second = 31; second <= 34; second += 1)
      expect(tell(second, { a: 0, b: 0, c: 30 })).toMatchObject({ state: 'fresh' })
  })
})
