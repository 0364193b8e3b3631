import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { createInlet } from '../../adapter/push/inlet.ts'
import type { Target } from '../../src/model.ts'
import type { PushReport, TargetDiscovery } from '../../src/ports.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { evaluateCollected } from '../../src/signal/collected.ts'
import { pushSource } from '../../src/sources/push/push.ts'
import { bucketEnds, spread } from '../../src/sources/push/spread.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { RecordingSink } from '../kit/recordingSink.ts'
import { until } from '../kit/until.ts'

const stops: AbortController[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort()
})

function begin(config: object = {}, discovery?: TargetDiscovery) {
  const clock = new ManualClock()
  const sink = new RecordingSink()
  const inlet = createInlet()
  const stop = new AbortController()
  stops.push(stop)
  const source = pushSource.create(pushSource.schema.parse(config), {
    ...{ name: 'push', clock, sink, pushed: inlet, log: new RecordingLogger() },
    secrets: { read: () => Promise.reject(new Error('no secrets here')) },
    ...(discovery === undefined ? {} : { discovery }),
  })
  const done = source.run(stop.signal)
  const endMs = clock.nowMs()
  const send = (overrides: Partial<PushReport> = {}) =>
    inlet.report({
      ...{ namespace: 'vision', pod: 'v-0', service: 'detector', instance: 'a', sequence: 1 },
      ...{ startMs: endMs - 1000, endMs, counts: [counted(1)] },
      ...overrides,
    })
  const total = (metric: string) =>
    sink.batches
      .flatMap(({ samples }) => samples)
      .filter((sample) => sample.metric === metric)
      .reduce((sum, { value }) => sum + value, 0)
  return { clock, sink, stop, done, send, total, endMs }
}

const counted = (requests: number) => ({ model: 'yolo', version: '8', requests, errors: 0 })

test('whatever is lost, repeated or out of order: counts are those of the distinct reports that came', () => {
  const arrivals = fc.array(
    fc.record({ instance: fc.constantFrom('a', 'b'), sequence: fc.integer({ min: 1, max: 40 }) }),
    { maxLength: 200 },
  )
  fc.assert(
    fc.property(arrivals, (sent) => {
      const { send, total, stop } = begin()
      const weight = (sequence: number) => sequence * 3 + 1
      for (const { instance, sequence } of sent)
        send({ instance, sequence, counts: [counted(weight(sequence))] })
      stop.abort()
      const distinct = new Map(sent.map((one) => [JSON.stringify(one), one.sequence]))
      const wanted = [...distinct.values()].reduce((sum, one) => sum + weight(one), 0)
      expect(total('inference_requests')).toBe(wanted)
    }),
    { numRuns: 50 },
  )
})

test('parts of an amount add up to it, whole where it is whole, none below zero', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e9 }),
      fc.integer({ min: 0, max: 100_000 }),
      fc.integer({ min: 1, max: 30_000 }),
      fc.integer({ min: 1, max: 10_000 }),
      (amount, startMs, length, widthMs) => {
        const interval = { startMs, endMs: startMs + length }
        const ends = bucketEnds(interval, widthMs)
        const parts = spread(amount, interval, ends)
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(amount)
        expect(parts.every((part) => Number.isInteger(part) && part >= 0)).toBe(true)
        expect(ends.at(-1)).toBeGreaterThanOrEqual(interval.endMs)
        expect(ends[0]).toBeGreaterThan(startMs)
        expect((ends[0] ?? NaN) - widthMs).toBeLessThanOrEqual(startMs)
      },
    ),
  )
})

describe('a report', () => {
  test('becomes deltas of its interval, a histogram that adds up among them', () => {
    const { send, sink } = begin({ bucket: '1s' })
    const latency = { bounds: [0.1, 1], counts: [5, 3, 1], sumSeconds: 4.5 }
    expect(send({ counts: [{ ...counted(9), errors: 2, latency }] })).toEqual({
      outcome: 'accepted',
    })
    const sums = new Map<string, number>()
    for (const { metric, labels, value, kind } of sink.batches[0]?.samples ?? []) {
      expect(kind).toBe('delta')
      const name = labels['le'] === undefined ? metric : `${metric} ${labels['le']}`
      sums.set(name, (sums.get(name) ?? 0) + value)
    }
    expect(Object.fromEntries(sums)).toEqual({
      inference_requests: 9,
      inference_errors: 2,
      'inference_latency_seconds_bucket 0.1': 5,
      'inference_latency_seconds_bucket 1': 8,
      'inference_latency_seconds_bucket +Inf': 9,
      inference_latency_seconds_sum: 4.5,
      inference_latency_seconds_count: 9,
    })
  })

  test.each([
    ['invalid', { sequence: 0 }, 'sequence'],
    ['invalid', { sequence: 2 ** 53 }, '1 to 9007199254740991'],
    ['invalid', { counts: [counted(2 ** 53)] }, '0 to 9007199254740991'],
    ['invalid', { pod: 'No Pod' }, 'pod'],
    ['invalid', { service: '' }, 'service'],
    ['invalid', { counts: [counted(-1)] }, 'requests'],
    ['invalid', { counts: [counted(1), counted(2)] }, 'once'],
    ['invalid', { startMs: 5, endMs: 5 }, 'end_unix_ms'],
    ['invalid', { endMs: 1e15 }, 'clocks'],
    ['too-old', { startMs: 1, endMs: 2 }, 'ms ago'],
  ] as const)('that is %s is refused: %o', (reason, overrides, word) => {
    const { send, sink } = begin()
    const told = send(overrides)
    expect(told).toMatchObject({ outcome: 'refused', reason })
    expect(JSON.stringify(told)).toContain(word)
    expect(sink.batches).toEqual([])
  })

  test('that was overtaken by a thousand others is refused, not guessed', () => {
    const { send } = begin()
    send({ sequence: 2000 })
    expect(send({ sequence: 977 })).toEqual({ outcome: 'accepted' })
    expect(send({ sequence: 976 })).toMatchObject({ outcome: 'refused', reason: 'too-old' })
  })

  test('with the number of another is no repetition: a process began anew under the old name', () => {
    const { send, endMs, total } = begin()
    expect(send()).toEqual({ outcome: 'accepted' })
    expect(send()).toEqual({ outcome: 'duplicate' })
    const told = send({ startMs: endMs, endMs: endMs + 1000 })
    expect(told).toMatchObject({ outcome: 'refused', reason: 'invalid' })
    expect(JSON.stringify(told)).toMatch(
      /sequence 1 was told of another interval: .*instance of its own/,
    )
    expect(total('inference_requests')).toBe(1)
  })

  test('is to be sent again while no source takes it', async () => {
    const { send, stop, done } = begin()
    stop.abort()
    await done
    expect(send()).toMatchObject({ outcome: 'refused', reason: 'unavailable' })
  })
})

describe('a pod that falls silent', () => {
  test('fails, and does not end: it may hang with its requests', async () => {
    const { send, sink, clock } = begin({ goneAfter: '4s' })
    send()
    await until('the failure', () => {
      void clock.advance(1000)
      return sink.failures.length > 0
    })
    expect(sink.failures[0]).toMatchObject({ origin: 'vision/v-0', code: 'timeout' })
    expect(sink.ends).toEqual([])
  })

  test('or has not reported yet, after a start of ours, fails as soon as another is heard', async () => {
    const present = ['vision/v-0', 'vision/v-1'].map((id) => ({ id, url: 'http://192.0.2.1/', labels: {} })) // prettier-ignore
    const told: { publish?: (targets: readonly Target[]) => void } = {}
    const discovery: TargetDiscovery = {
      async watch(_query, publish, signal) {
        told.publish = publish
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    }
    const { send, sink } = begin({ pods: { labelSelector: 'a=b' } }, discovery)
    expect(send()).toMatchObject({ outcome: 'refused', reason: 'unavailable' })
    told.publish?.(present)
    expect(sink.failures).toEqual([])
    expect(send()).toEqual({ outcome: 'accepted' })
    expect(sink.failures).toMatchObject([{ origin: 'vision/v-1', code: 'timeout' }])
    // One that joins brings no load at once.
    told.publish?.([...present, { id: 'vision/v-2', url: 'http://192.0.2.1/', labels: {} }])
    expect(send({ sequence: 2 })).toEqual({ outcome: 'accepted' })
    expect(sink.failures).toHaveLength(1)
  })

  test('of which nothing was ever heard fails where it must report', async () => {
    const discovery: TargetDiscovery = {
      async watch(_query, publish, signal) {
        publish([{ id: 'vision/v-1', url: 'http://192.0.2.1/', labels: {} }])
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    }
    const { sink, clock } = begin({ goneAfter: '4s', pods: { labelSelector: 'a=b' } }, discovery)
    await until('the failure', () => {
      void clock.advance(1000)
      return sink.failures.some(({ origin }) => origin === 'vision/v-1')
    })
  })
})

test('a source that was changed knows which reports are in its series', async () => {
  const inlet = createInlet()
  const clock = new ManualClock()
  const sink = new RecordingSink()
  const secrets = { read: () => Promise.reject(new Error('no secrets here')) }
  const one: PushReport = {
    ...{ namespace: 'vision', pod: 'v-0', service: 'detector', instance: 'a', sequence: 1 },
    ...{ startMs: clock.nowMs() - 1000, endMs: clock.nowMs(), counts: [counted(1)] },
  }
  const outcomes: string[] = []
  for (const config of [{}, { seriesPerPod: 100 }]) {
    const stop = new AbortController()
    const deps = { name: 'push', clock, sink, pushed: inlet, log: new RecordingLogger(), secrets }
    const done = pushSource.create(pushSource.schema.parse(config), deps).run(stop.signal)
    outcomes.push(inlet.report(one).outcome)
    stop.abort()
    await done
  }
  expect(outcomes).toEqual(['accepted', 'duplicate'])
})

describe('the rate that a store gives of reports', () => {
  const SECOND = 1000
  const window = { function: 'rate', durationMs: 20 * SECOND, quantile: 0 } as const

  /** A source whose reports go to a store, as of a process that counts ten a second. */
  function counting() {
    const clock = new ManualClock(1_700_000_000_300)
    const store = createSeriesStore(
      {
        ...{ labelsMax: 64, labelLengthMax: 1024, futureToleranceMs: 5000 },
        ...{ seriesMax: 100, pointsPerSeriesMax: 4000, historyMs: 3_600_000 },
      },
      clock,
    )
    const inlet = createInlet()
    const stop = new AbortController()
    stops.push(stop)
    const secrets = { read: () => Promise.reject(new Error('no secrets here')) }
    const deps = { name: 'push', clock, sink: store, pushed: inlet, log: new RecordingLogger() }
    void pushSource.create(pushSource.schema.parse({}), { ...deps, secrets }).run(stop.signal)
    const startMs = clock.nowMs()
    const tell = (sequence: number, instance = 'a') => {
      const endMs = startMs + sequence * SECOND
      const one = { namespace: 'vision', pod: 'v-0', service: 'detector', instance, sequence }
      const told = { ...one, startMs: endMs - SECOND, endMs, counts: [counted(10)] }
      expect(inlet.report(told)).toEqual({ outcome: 'accepted' })
    }
    const rate = () => {
      const selection = { source: 'push', metric: 'inference_requests', matchers: [] }
      const [series] = store.select(selection)
      return series === undefined ? 'none' : evaluateCollected(series, window)
    }
    return { clock, tell, rate }
  }

  /** Reports of the sequences, each when it ends, and what the rate was after each of them. */
  async function rates(from: number, to: number): Promise<(number | string)[]> {
    const { clock, tell, rate } = counting()
    await clock.advance((from - 1) * SECOND)
    const seen: (number | string)[] = []
    for (let sequence = from; sequence <= to; sequence += 1) {
      await clock.advance(SECOND)
      tell(sequence)
      const told = rate()
      seen.push(typeof told === 'string' || told.state !== 'value' ? 'unknown' : told.value)
    }
    return seen
  }

  test('is the load once a quarter of the window is known, where the process ran before', async () => {
    const seen = await rates(100, 140)
    expect(seen.slice(0, 5)).toEqual(Array(5).fill('unknown'))
    for (const value of seen.slice(5)) expect(value).toBeCloseTo(10, 9)
  })

  test('counts a process that began just now for the whole window, in which it was not', async () => {
    const seen = await rates(1, 30)
    expect(seen[0]).toBe(7 / 20)
    // Whole steps: a second ends 0.7 s after the process began, and each second from then on.
    for (const [index, value] of seen.slice(0, 20).entries())
      expect(value).toBe((7 + 10 * index) / 20)
    for (const value of seen.slice(20)) expect(value).toBe(10)
  })

  test('is not known for a while after reports were lost, where it would be too low', async () => {
    const { clock, tell, rate } = counting()
    const after = async (sequence: number) => {
      await clock.advance(SECOND)
      tell(sequence)
    }
    for (let sequence = 1; sequence <= 30; sequence += 1) await after(sequence)
    await clock.advance(10 * SECOND)
    const seen: unknown[] = []
    for (let sequence = 41; sequence <= 60; sequence += 1) {
      await after(sequence)
      seen.push(rate())
    }
    expect(seen.slice(0, 5)).toEqual(Array(5).fill({ state: 'interrupted' }))
    for (const told of seen.slice(5)) expect(told).toMatchObject({ value: expect.closeTo(10, 9) })
  })

  test('is what it was while some reports are late, and goes on when they came', async () => {
    const { clock, tell, rate } = counting()
    for (let sequence = 1; sequence <= 30; sequence += 1) {
      await clock.advance(SECOND)
      tell(sequence)
    }
    await clock.advance(3 * SECOND)
    for (const sequence of [33, 31, 32]) {
      tell(sequence)
      expect(rate()).toMatchObject({ value: 10 })
    }
    expect(rate()).toMatchObject({ dataMs: clock.nowMs() - 300 })
  })

  test('is the load or nothing, whatever is lost and in whatever order the rest comes', async () => {
    const all = Array.from({ length: 41 }, (_, index) => 100 + index)
    const arrivals = fc.shuffledSubarray(all, { minLength: 30 })
    let known = 0
    await fc.assert(
      fc.asyncProperty(arrivals, fc.boolean(), async (drawn, inOrder) => {
        const { clock, tell, rate } = counting()
        await clock.advance(140 * SECOND)
        for (const sequence of inOrder ? drawn.toSorted((a, b) => a - b) : drawn) {
          tell(sequence)
          const told = rate()
          if (typeof told === 'string' || told.state !== 'value') continue
          known += 1
          expect(told.value).toBeCloseTo(10, 9)
        }
      }),
      { numRuns: 200 },
    )
    expect(known).toBeGreaterThan(50)
  })

  test('takes in what was told late of the time before', async () => {
    const { clock, tell, rate } = counting()
    await clock.advance(60 * SECOND)
    for (const sequence of [60, 57, 59, 58, 56, 55, 54]) tell(sequence)
    expect(rate()).toMatchObject({ state: 'value', value: expect.closeTo(10, 9) })
  })
})

test.each(['100ms', '1s', '2s'])('the store takes all of a report, in steps of %s', (bucket) => {
  const clock = new ManualClock(1_700_000_000_001)
  const limits = { labelsMax: 64, labelLengthMax: 1024, futureToleranceMs: 5000 }
  const store = createSeriesStore(
    { ...limits, seriesMax: 100, pointsPerSeriesMax: 4000, historyMs: 3_600_000 },
    clock,
  )
  const inlet = createInlet()
  const stop = new AbortController()
  stops.push(stop)
  const secrets = { read: () => Promise.reject(new Error('no secrets here')) }
  const deps = { name: 'push', clock, sink: store, pushed: inlet, log: new RecordingLogger() }
  void pushSource.create(pushSource.schema.parse({ bucket }), { ...deps, secrets }).run(stop.signal)
  // As far ahead as a report may be.
  for (const aheadMs of [0, 3000]) {
    const endMs = clock.nowMs() + aheadMs
    const told = inlet.report({
      ...{ namespace: 'vision', pod: 'v-0', service: 'detector', instance: 'a' },
      ...{ sequence: 1 + aheadMs, startMs: endMs - 1000, endMs, counts: [counted(7)] },
    })
    expect(told).toEqual({ outcome: 'accepted' })
  }
  expect(store.counters().refusals).toEqual([])
})
