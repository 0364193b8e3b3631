/** A pod that fails and says what it lacks is missed by signals that are made of that, and by no others. */
import { expect, test } from 'vitest'
import type { SeriesName, Signal } from '../../src/model.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { evaluateSignal, initialState } from '../../src/signal/evaluate.ts'
import { signalOf } from '../kit/signals.ts'

const START = 1_700_000_000_000
const LABELS = { namespace: 'vision', pod: 'a', model: 'yolo' }
const SCOPE = { label: 'namespace', value: 'vision' }

/** What a signal says where one pod has all of its series, growing by one a second, and another fails. */
function told(of: Partial<Signal>, metrics: readonly string[], lacks?: readonly SeriesName[]) {
  const store = createSeriesStore({
    ...{ seriesMax: 100, pointsPerSeriesMax: 1000, historyMs: 3_600_000 },
    ...{ futureToleranceMs: 5000, labelsMax: 20, labelLengthMax: 200 },
  })
  for (const seconds of [0, 10]) {
    const timestampMs = START + seconds * 1000
    const samples = metrics.map((metric) => ({
      ...{ metric, labels: LABELS, kind: 'cumulative' as const, value: seconds, timestampMs },
    }))
    store.write({ source: 's', origin: 'vision/a', atMs: timestampMs, samples, complete: true })
  }
  const failure = { code: 'bad-response', message: 'two processes report as one' } as const
  const lacking = lacks === undefined ? {} : { lacks }
  store.fail('s', 'vision/b', { ...failure, atMs: START, ...lacking })
  const at = { nowMs: START + 11_000, stabilizer: undefined }
  const [reading] = evaluateSignal(signalOf(of), initialState(), store, at).readings
  return reading?.state === 'fresh' ? reading.value : reading?.state
}

test.each([
  ['whatever it lacks, where it does not say', undefined, 'absent'],
  ['one of its series', [{ metric: 'm', labels: { ...LABELS, pod: 'b' } }], 'absent'],
  ['one of other labels', [{ metric: 'm', labels: { ...LABELS, model: 'detr' } }], 10],
  ['another metric', [{ metric: 'depth', labels: LABELS }], 10],
  ['nothing', [], 10],
])('a level: %s', (_, lacks, expected) => {
  const matchers = [{ label: 'model', operator: '=', value: 'yolo' } as const]
  const selection = { source: 's', metric: 'm', matchers, scope: SCOPE }
  expect(told({ selection }, ['m'], lacks)).toBe(expected)
})

test.each([
  ['its sum', 'm_sum', 'absent'],
  ['its count', 'm_count', 'absent'],
  ['what is named like it', 'm', 1],
])('a mean: %s', (_, metric, expected) => {
  const selection = { source: 's', metric: 'm', matchers: [], scope: SCOPE }
  const window = { function: 'mean', durationMs: 60_000, quantile: 0 } as const
  const lacks = [{ metric, labels: LABELS }]
  expect(told({ selection, window }, ['m_sum', 'm_count'], lacks)).toBe(expected)
})
