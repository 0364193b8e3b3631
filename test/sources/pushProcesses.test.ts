/** Processes that come and go, and exports that contradict themselves: no number that is only a part of the whole. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ManualClock } from '../kit/manualClock.ts'
import { begin, reasons, TAKEN } from './pushedMeasurements.ts'
import type { Told } from './pushedMeasurements.ts'

const startMs = new ManualClock().nowMs() - 60_000
const histogram = (counts: readonly number[], of: object = {}): Told => ({
  metric: 'latency',
  stream: 'latency',
  value: { bounds: [0.1, 1], counts, ...of },
  startMs,
})

describe('a contradiction is no number', () => {
  const quarrels: [string, readonly (readonly Told[])[], RegExp][] = [
    [
      'a level of two processes, known by their starts',
      [
        [{ kind: 'gauge', value: 3, startMs }],
        [{ kind: 'gauge', value: 7, startMs: startMs + 40 }],
      ],
      /two processes report as one/,
    ],
    [
      'a count without a start that falls again and again',
      [[{ value: 100 }], [{ value: 5 }], [{ value: 101 }], [{ value: 6 }]],
      /two processes report as one/,
    ],
    [
      'a level and a count of one name',
      [[{ kind: 'gauge' }], [{ value: 2 }]],
      /requests is told both as gauge and as cumulative/,
    ],
    [
      'a number and a histogram of one name',
      [[histogram([1, 1, 1])], [{ metric: 'latency', stream: 'latency', value: 3 }]],
      /latency is told both as cumulative histogram and as cumulative/,
    ],
    [
      'two streams of one export with the same labels',
      [[{ value: 4 }, { value: 9 }]],
      /requests is twice in one export with the same labels/,
    ],
    [
      'two intervals of one export that are the same',
      [
        [
          { kind: 'delta', value: 4, startMs: startMs + 58_000 },
          { kind: 'delta', value: 4, startMs: startMs + 58_000 },
        ],
      ],
      /requests is twice in one export with the same labels/,
    ],
    [
      'a bucket that falls while the total grows',
      [[histogram([5, 3, 1])], [histogram([4, 8, 1])]],
      /latency has a bucket or a sum that fell without a new start/,
    ],
    [
      'a sum of observations that falls',
      [[histogram([5, 3, 1], { sum: 9 })], [histogram([6, 3, 1], { sum: 8 })]],
      /a bucket or a sum that fell/,
    ],
    [
      "a counter that is named like a histogram's count",
      [[histogram([5, 3, 1]), { metric: 'latency_count', stream: 'latency.count' }]],
      /latency and latency\.count would both be a histogram's count or sum/,
    ],
    [
      'the same the other way round',
      [[{ metric: 'latency_count', stream: 'latency.count' }, histogram([5, 3, 1])]],
      /latency\.count and latency would both be/,
    ],
  ]
  test.each(quarrels)('%s', async (_, rounds, why) => {
    const { clock, send, store, health } = begin()
    const outcomes = []
    for (const round of rounds) {
      outcomes.push(send(round.map((one) => ({ labels: {}, ...one }))))
      await clock.advance(1000)
    }
    expect(outcomes.slice(0, -1).map(reasons).join('')).toBe('')
    expect(reasons(outcomes.at(-1) ?? send([]))).toMatch(why)
    expect(store.counters().series).toBe(0)
    expect(health()).toMatchObject({ state: 'failing', code: 'bad-response' })
  })

  test('is missed by signals that are made of what contradicts itself, not by others', async () => {
    const { clock, send, store } = begin()
    const other = { metric: 'depth', stream: 'depth', kind: 'gauge' } as const
    const missed = (metric: string, model?: string) => {
      const matchers = [{ label: 'model', operator: '=', value: model ?? '' } as const]
      return store.silentOrigins('push', { metric, matchers: model === undefined ? [] : matchers })
    }
    send([{ value: 9, startMs }, other])
    await clock.advance(1000)
    // A bucket and a number that are named like its count would be one.
    send([{ value: 2, startMs: startMs + 5 }, histogram([1, 1, 1]), { metric: 'latency_count' }])
    const all = ['requests_total', 'depth', 'latency_bucket', 'latency_count', 'latency_sum']
    expect(all.map((metric) => missed(metric).length)).toEqual([1, 1, 1, 1, 0])
    expect([missed('requests_total', 'yolo'), missed('requests_total', 'detr')]).toEqual([
      ['vision/v-0/a'],
      [],
    ])
    expect(missed('errors_total')).toEqual([])
    // What it has besides is missed as soon as it is told, for as long as the two go on.
    await clock.advance(1000)
    send([{ metric: 'errors_total', stream: 'errors' }])
    expect(missed('errors_total')).toEqual(['vision/v-0/a'])
    expect(missed('requests_total')).toEqual(['vision/v-0/a'])
    expect(store.silentOrigins('push')).toEqual(['vision/v-0/a'])
  })

  test('is missed by all where it has more series than can be told', async () => {
    const { clock, send, store } = begin({ seriesPerPod: 2 })
    send(Array.from({ length: 4 }, (_, index) => ({ labels: { index: String(index) } })))
    const missed = (metric: string) => store.silentOrigins('push', { metric, matchers: [] }).length
    expect([missed('requests_total'), missed('depth')]).toEqual([1, 0])
    await clock.advance(1000)
    send(Array.from({ length: 9 }, (_, index) => ({ labels: { index: String(index) } })))
    expect([missed('requests_total'), missed('depth')]).toEqual([1, 1])
  })

  test('but a level that is told anew after its last point is none', async () => {
    const { clock, send, values } = begin()
    send([{ kind: 'gauge', value: 3, startMs }])
    await clock.advance(5000)
    expect(send([{ kind: 'gauge', value: 7, startMs: clock.nowMs() - 5000 }])).toEqual(TAKEN)
    expect(values('requests_total')).toEqual([[3, 7]])
  })

  test('nor is a count without a start that falls once', async () => {
    const { clock, send, values } = begin()
    for (const value of [100, 5, 6]) {
      expect(send([{ value }])).toEqual(TAKEN)
      await clock.advance(1000)
    }
    expect(values('requests_total')).toEqual([[100, 5, 6]])
  })
})

describe('the series of a stream', () => {
  test('that it has no more end: buckets of other bounds are no part of the new ones', async () => {
    const { clock, send, series } = begin()
    send([histogram([5, 3, 1], { sum: 3 })])
    await clock.advance(1000)
    expect(send([histogram([5, 4], { bounds: [0.5] })])).toEqual(TAKEN)
    expect(series('latency_bucket').map(({ labels }) => labels['le'])).toEqual(['+Inf', '0.5'])
    expect(series('latency_sum')).toEqual([])
    expect(series('latency_count')).toHaveLength(1)
  })

  test('go on where its end and its next point come together', async () => {
    const { clock, send, values } = begin()
    send([{ value: 1 }])
    await clock.advance(2000)
    const endMs = clock.nowMs()
    send([
      { value: 'none', endMs: endMs - 1000 },
      { value: 2, endMs },
    ])
    expect(values('requests_total')).toEqual([[1, 2]])
  })

  test('go on where their end is told late', async () => {
    const { clock, send, values } = begin()
    const endMs = clock.nowMs()
    await clock.advance(1000)
    send([{ value: 1 }])
    expect(send([{ value: 'none', endMs }])).toEqual(TAKEN)
    expect(values('requests_total')).toEqual([[1]])
  })

  test('end where their process was silent for long and does not name them again', async () => {
    const { clock, send, series } = begin()
    send([{ labels: { gpu: '0' } }, { labels: { gpu: '1' } }])
    await clock.advance(200_000)
    expect(series('requests_total')).toHaveLength(2)
    send([{ value: 2, labels: { gpu: '0' } }])
    expect(series('requests_total').map(({ labels }) => labels['gpu'])).toEqual(['0'])
  })
})

describe('processes of one pod', () => {
  test('none gives way while it lives: without it the others would look like the whole', async () => {
    const { clock, send, series, store } = begin()
    for (let round = 1; round <= 4; round += 1) {
      for (let worker = 0; worker < 70; worker += 1)
        send([{ value: round }], { process: `w-${worker}` })
      await clock.advance(5000)
      // Those beyond have no numbers, and the signals that lack them know it.
      expect(series('requests_total')).toHaveLength(64)
      expect(store.silentOrigins('push')).toEqual(['vision/v-0/(others)'])
    }
    expect(reasons(send([{}], { process: 'w-69' }))).toMatch(/more than 64 processes of the pod/)
  })

  test('one that exports once a minute was not replaced by one that began in between', async () => {
    const { clock, send, values, health } = begin()
    let count = 0
    const first = () => send([{ value: (count += 1) }])
    first()
    await clock.advance(60_000)
    first()
    await clock.advance(30_000)
    for (let round = 0; round < 5; round += 1) {
      send([{ value: round }], { process: 'b' })
      await clock.advance(6000)
    }
    expect(health()).toMatchObject({ state: 'ok' })
    first()
    expect(values('requests_total')[0]).toEqual([1, 2, 3])
    expect(health()).toMatchObject({ state: 'ok' })
  })

  test('nor was one of which a single export is known, for as long as an interval may be', async () => {
    const { clock, send, values } = begin()
    send([{ value: 7 }])
    for (let round = 0; round < 30; round += 1) {
      await clock.advance(4000)
      send([{ value: round }], { process: 'b' })
    }
    expect(values('requests_total')).toHaveLength(2)
    await clock.advance(6000)
    expect(values('requests_total')).toHaveLength(1)
  })

  test('one of which nothing can be taken fails: its load is not known', async () => {
    const { clock, send, health, store } = begin()
    const ahead = () => send([{ endMs: clock.nowMs() + 60_000 }])
    ahead()
    expect(health()).toMatchObject({
      state: 'failing',
      message: expect.stringMatching(/check the clocks/),
    })
    expect(store.silentOrigins('push')).toEqual(['vision/v-0/a'])
    send([{ value: 1 }])
    expect(health()).toMatchObject({ state: 'ok' })
    send([], { unreadable: 'kind summary is not taken' })
    expect(health()).toMatchObject({ state: 'ok' })
    // One export of several that is late changes nothing.
    ahead()
    expect(health()).toMatchObject({ state: 'ok' })
    await clock.advance(11_000)
    ahead()
    expect(health()).toMatchObject({ state: 'failing', code: 'bad-response' })
  })

  test('so does one that sends nothing that can be read, but not one that has nothing to send', () => {
    const { send, health } = begin()
    send([], { unreadable: 'latency: kind exponentialHistogram is not taken' })
    expect(health()).toMatchObject({
      state: 'failing',
      message: expect.stringMatching(/exponential/),
    })
    send([], { process: 'b' })
    expect(health('vision/v-0/b')).toMatchObject({ state: 'ok' })
  })

  test('one that the store has no room for is no number, also where its next export finds some', async () => {
    const { clock, send, store, health, values } = begin({}, { seriesMax: 3 })
    const model = (name: string) => ({ labels: { model: name } })
    expect(reasons(send(['a', 'b', 'c', 'd'].map(model)))).toMatch(/limits\.series is reached/)
    await clock.advance(1000)
    expect(reasons(send(['e'].map(model)))).toMatch(/not stored/)
    expect(values('requests_total')).toEqual([])
    expect(health()).toMatchObject({ state: 'failing', code: 'too-large' })
    expect(store.silentOrigins('push')).toEqual(['vision/v-0/a'])
  })
})

describe('a pod that must report', () => {
  const PODS = { pods: { labelSelector: 'app=vision' } }

  test('is missed for as long as it is there and silent, longer than the store remembers', async () => {
    const { clock, send, store, present } = begin(PODS, { historyMs: 60_000 })
    present('vision/v-0', 'vision/v-1')
    send([{}])
    send([{}], { pod: 'v-1' })
    for (let minute = 0; minute < 80; minute += 1) {
      await clock.advance(60_000)
      send([{ value: minute + 2 }])
      store.prune(clock.nowMs())
    }
    expect(store.silentOrigins('push')).toHaveLength(1)
    expect(store.silentOrigins('push')[0]).toMatch(/^vision\/v-1/)
    present('vision/v-0')
    await clock.advance(1000)
    expect(store.silentOrigins('push')).toEqual([])
  })

  test('is missed where it comes back and does not', async () => {
    const { clock, send, store, present } = begin(PODS)
    present('vision/v-0')
    send([{}])
    await clock.advance(1000)
    present()
    expect(store.origins('push').size).toBe(0)
    present('vision/v-0')
    await clock.advance(15_000)
    expect(store.silentOrigins('push')).toEqual(['vision/v-0'])
    send([{}])
    expect(store.silentOrigins('push')).toEqual([])
  })

  test('keeps what it reported, and fails of, where one of its processes measures', async () => {
    const { clock, inlet, send, series, health, present } = begin(PODS)
    present('vision/v-0')
    const endMs = clock.nowMs()
    inlet.report({
      ...{ namespace: 'vision', pod: 'v-0', service: 'detector', instance: 'a', sequence: 1 },
      ...{ startMs: endMs - 1000, endMs },
      counts: [{ model: 'yolo', version: '8', requests: 1, errors: 0 }],
    })
    await clock.advance(20_000)
    expect(health('vision/v-0')).toMatchObject({ state: 'failing' })
    send([{}])
    expect(series('inference_requests')).toHaveLength(1)
    expect(health('vision/v-0')).toMatchObject({ state: 'failing' })
  })
})

describe('an honest process', () => {
  const exports = fc.array(
    fc.record({
      waitMs: fc.integer({ min: 1, max: 12_000 }),
      counted: fc.integer({ min: 0, max: 9 }),
      way: fc.constantFrom('once', 'twice', 'lost', 'late', 'in parts'),
      restarts: fc.constantFrom(false, false, false, false, 'as before', 'by a new name'),
    }),
    { maxLength: 60, size: 'max' },
  )

  test.each(['cumulative', 'delta'] as const)(
    'is never taken for two, whatever becomes of its exports: %s',
    async (kind) => {
      const property = fc.asyncProperty(exports, async (steps) => {
        const { clock, send } = begin()
        const faults: string[] = []
        let life = { began: clock.nowMs(), untilMs: clock.nowMs(), name: 0, count: 0 }
        let late: [Told[], { process: string }][] = []
        const deliver = (points: Told[], from: { process: string }) =>
          faults.push(reasons(send(points, from)))
        for (const { waitMs, counted, way, restarts } of steps) {
          await clock.advance(waitMs)
          if (restarts !== false) {
            const name = life.name + (restarts === 'as before' ? 0 : 1)
            life = { began: clock.nowMs(), untilMs: clock.nowMs(), name, count: 0 }
            await clock.advance(1)
          }
          const endMs = clock.nowMs()
          const since = kind === 'delta' ? life.untilMs : life.began
          const told = life.count * (kind === 'delta' ? 0 : 1) + counted
          life = { ...life, untilMs: endMs, count: life.count + counted }
          const at = { kind, startMs: since, endMs }
          const points: Told[] = [
            { ...at, value: told },
            { ...histogram([told, 0, 1], { sum: told }), ...at },
            { ...at, kind: 'gauge', metric: 'depth', stream: 'depth', value: counted },
          ]
          const from = { process: `life-${life.name}` }
          if (way === 'late') late.push([points, from])
          else if (way === 'in parts') for (const point of points) deliver([point], from)
          else if (way !== 'lost') deliver(points, from)
          if (way === 'twice') deliver(points, from)
          if (way === 'late') continue
          for (const [before, whose] of late) deliver(before, whose)
          late = []
        }
        const known = /older than 120000 ms|begins more than 120000 ms ago/
        expect(faults.filter((fault) => fault !== '' && !known.test(fault))).toEqual([])
      })
      await fc.assert(property, { numRuns: 50 })
    },
  )
})
