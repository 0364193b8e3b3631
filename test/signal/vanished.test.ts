import { expect, test } from 'vitest'
import type { Sample } from '../../src/model.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { evaluateSignal, initialState } from '../../src/signal/evaluate.ts'
import { signalOf } from '../kit/signals.ts'

test('groups that come and go without end take memory of a thousand at most, an outage takes none of them', () => {
  const signal = signalOf({ combine: { ...signalOf().combine, by: ['class'] } })
  const store = createSeriesStore({
    seriesMax: 10_000,
    pointsPerSeriesMax: 10,
    historyMs: 3_600_000,
    futureToleranceMs: 5000,
    labelsMax: 20,
    labelLengthMax: 200,
  })
  const state = initialState()
  const tick = (timestampMs: number, classes: readonly string[]) => {
    const samples = classes.map((name): Sample => ({ metric: 'm', labels: { class: name }, kind: 'gauge', value: 1, timestampMs })) // prettier-ignore
    store.write({ source: 's', origin: 'o', atMs: timestampMs, complete: true, samples })
    const { readings } = evaluateSignal(signal, state, store, { nowMs: timestampMs, stabilizer: undefined }) // prettier-ignore
    return readings.length
  }
  for (let turn = 0; turn < 30; turn += 1) {
    const classes = Array.from({ length: 100 }, (_, index) => `c${100 * turn + index}`)
    expect(tick(turn * 1000, classes)).toBe(100)
  }
  const remembered = state.last.size
  expect(remembered).toBeLessThanOrEqual(1100)
  tick(30_000, [])
  expect(state.last.size).toBe(remembered)
})
