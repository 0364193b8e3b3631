/** From the source's notes to the `why` of a reading. */
import { expect, test } from 'vitest'
import { TidelineError } from '../../src/errors.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { evaluateSignal, initialState } from '../../src/signal/evaluate.ts'
import { lagGroupSchema } from '../../src/sources/kafka/lag/groupConfig.ts'
import { pollLag } from '../../src/sources/kafka/lag/lag.ts'
import { FakeKafka } from '../kit/fakeKafka.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { signalOf } from '../kit/signals.ts'
import { secretsFrom } from '../kit/trial.ts'

test('a reading of the lag in seconds says how it is known', async () => {
  const clock = new ManualClock()
  const kafka = new FakeKafka()
  kafka.create('t', 2)
  for (const partition of [0, 1]) kafka.produce('t', partition, clock.nowMs() - 40_000)
  kafka.commit('g', 't', { 0: 0, 1: 0 })
  const store = createSeriesStore({
    seriesMax: 100,
    pointsPerSeriesMax: 100,
    historyMs: 3_600_000,
    futureToleranceMs: 5000,
    labelsMax: 20,
    labelLengthMax: 200,
  })
  const groups = [lagGroupSchema.parse({ group: 'g', topics: ['t'] })]
  const stop = new AbortController()
  const running = pollLag(
    { interval: 5000, groups },
    { offsets: kafka, times: kafka },
    { name: 'k', clock, sink: store, secrets: secretsFrom({}), log: new RecordingLogger() },
  ).run(stop.signal)
  const signal = signalOf({
    selection: { source: 'k', metric: 'kafka_group_lag_seconds', matchers: [] },
    combine: { function: 'max', by: ['topic', 'group'], minCoverage: 1 },
  })
  const state = initialState()
  const reading = () =>
    evaluateSignal(signal, state, store, { nowMs: clock.nowMs(), stabilizer: undefined }).readings

  await clock.advance(0)
  expect(reading()).toMatchObject([
    {
      state: 'fresh',
      value: 40,
      labels: { topic: 't', group: 'g' },
      why: { notes: ["from the messages' timestamps"] },
    },
  ])
  kafka.faults.set('messageTimes t', new TidelineError('unauthorized', 'no'))
  kafka.produce('t', 0, clock.nowMs())
  kafka.commit('g', 't', { 0: 1 })
  await clock.advance(5000)
  expect(reading()).toMatchObject([
    {
      state: 'fresh',
      why: {
        notes: ['interpolated from the offsets of the end: READ on topic t is not allowed'],
      },
    },
  ])
  stop.abort()
  await running
})
