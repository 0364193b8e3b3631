/** What a process measures, told over and over: each count once, and nothing that only looks like the whole. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { evaluateCollected } from '../../src/signal/collected.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { begin, reasons, TAKEN } from './pushedMeasurements.ts'
import type { Told } from './pushedMeasurements.ts'

describe('a stream', () => {
  test('that is cumulative is stored as it is, with its start and whose it is', async () => {
    const { clock, send, series, values } = begin()
    const startMs = clock.nowMs() - 5000
    expect(send([{ value: 10, startMs }])).toEqual(TAKEN)
    await clock.advance(5000)
    expect(send([{ value: 14, startMs }])).toEqual(TAKEN)
    expect(values('requests_total')).toEqual([[10, 14]])
    const [one] = series('requests_total')
    expect(one).toMatchObject({
      kind: 'cumulative',
      origin: 'vision/v-0/a',
      labels: { model: 'yolo', namespace: 'vision', pod: 'v-0' },
    })
    expect(one?.startAt(1)).toBe(startMs)
  })

  test('cannot name another pod than the one that was proved', () => {
    const { send, series } = begin()
    send([{ labels: { pod: 'other', namespace: 'shop' } }])
    expect(series('requests_total')[0]?.labels).toEqual({ namespace: 'vision', pod: 'v-0' })
  })

  test('that is a histogram is stored as Prometheus has them; a sum that is not told is none', () => {
    const { send, values, series } = begin()
    const value = { bounds: [0.1, 1], counts: [5, 3, 1] }
    send([{ metric: 'latency_seconds', value }])
    expect(series('latency_seconds_bucket').map(({ labels }) => labels['le'])).toEqual([
      '0.1',
      '1',
      '+Inf',
    ])
    expect(values('latency_seconds_bucket')).toEqual([[5], [8], [9]])
    expect(values('latency_seconds_count')).toEqual([[9]])
    expect(values('latency_seconds_sum')).toEqual([])
  })

  test('ends where its process says that no value was recorded', async () => {
    const { clock, send, values } = begin()
    send([{ kind: 'gauge' }, { kind: 'gauge', labels: { model: 'detr' } }])
    await clock.advance(1000)
    expect(send([{ kind: 'gauge', value: 'none' }])).toEqual(TAKEN)
    expect(values('requests_total')).toEqual([[1]])
  })

  test('ends where its process goes on without it', async () => {
    const { clock, send, values } = begin({ maxAge: '20s' })
    send([{ labels: { gpu: '0' } }, { labels: { gpu: '1' } }])
    for (let count = 2; count < 8; count += 1) {
      await clock.advance(5000)
      send([{ value: count, labels: { gpu: '0' } }])
    }
    expect(values('requests_total')).toEqual([[1, 2, 3, 4, 5, 6, 7]])
  })
})

describe('what comes again', () => {
  test('is taken and stored once', async () => {
    const { clock, send, values } = begin({ bucket: '1s' })
    const endMs = clock.nowMs()
    const delta: Told = { kind: 'delta', value: 6, startMs: endMs - 2000, endMs }
    expect([send([delta]), send([delta])]).toEqual([TAKEN, TAKEN])
    await clock.advance(1000)
    expect(send([delta])).toEqual(TAKEN)
    expect(values('requests_total').flat()).toEqual([3, 3])
  })

  test('is so of a delta that began and ended within a millisecond', async () => {
    const { clock, send, values } = begin({ bucket: '1s' })
    const endMs = clock.nowMs() + 1
    const delta: Told = { kind: 'delta', value: 6, startMs: endMs, endMs }
    expect([send([delta]), send([delta])]).toEqual([TAKEN, TAKEN])
    await clock.advance(1000)
    expect(send([{ ...delta, value: 3, endMs: endMs + 1000 }])).toEqual(TAKEN)
    const counted = values('requests_total').flat()
    expect(counted.reduce((sum, one) => sum + one, 0)).toBe(9)
  })

  test('whatever is lost, repeated or out of order: a delta counts what came, once', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 100 }), (sent) => {
        const { clock, send, values } = begin({ bucket: '1s' })
        const endMs = clock.nowMs()
        for (const index of sent) {
          const at = endMs - index * 700
          send([{ kind: 'delta', value: index + 1, startMs: at - 700, endMs: at }])
        }
        const total = values('requests_total')
          .flat()
          .reduce((sum, one) => sum + one, 0)
        expect(total).toBe([...new Set(sent)].reduce((sum, one) => sum + one + 1, 0))
      }),
      { numRuns: 50 },
    )
  })

  test('is known to a source that was changed in between', () => {
    const { clock, send, values, run } = begin({ bucket: '1s' })
    const delta: Told = { kind: 'delta', value: 6, startMs: clock.nowMs() - 2000 }
    send([delta])
    run({ bucket: '1s', goneAfter: '20s' })
    expect(send([delta])).toEqual(TAKEN)
    expect(values('requests_total').flat()).toEqual([3, 3])
  })
})

describe('a point that is refused', () => {
  const now = new ManualClock().nowMs()
  const cases: [string, Told, RegExp][] = [
    ['not a number', { value: NaN }, /its value is NaN/],
    ['a count below zero', { value: -1 }, /it counts and is -1/],
    ['older than maxAge', { endMs: now - 121_000 }, /older than 120000 ms/],
    ['ahead of the clock', { endMs: now + 4000 }, /4000 ms from now: check the clocks/],
    ['a delta without a start', { kind: 'delta' }, /needs a start/],
    ['a long delta', { kind: 'delta', startMs: now - 121_000 }, /begins more than 120000 ms/],
    ['the wrong way round', { startMs: now + 1000 }, /ends before it begins/],
    ['falling bounds', { value: { bounds: [2, 1], counts: [0, 0, 0] } }, /finite and rising/],
    ['half a bucket', { value: { bounds: [], counts: [NaN] } }, /a bucket is no count/],
    ['a sum of NaN', { value: { bounds: [], counts: [1], sum: NaN } }, /its sum is NaN/],
  ]
  test.each(cases)('%s: the others are taken', (_, told, why) => {
    const { send, values } = begin()
    const outcome = send([told, { labels: { model: 'other' } }])
    expect(reasons(outcome)).toMatch(why)
    expect(outcome).toMatchObject({ taken: 1 })
    expect(values('requests_total')).toEqual([[1]])
  })

  test('names the pod, where that is no name', () => {
    const { send } = begin()
    expect(send([{}], { pod: '' })).toEqual({
      outcome: 'refused',
      reason: 'invalid',
      message: 'pod is "": must be a name of Kubernetes',
    })
  })
})

describe('processes that cannot be told apart are no number', () => {
  const startMs = new ManualClock().nowMs() - 60_000

  const quarrels: [string, readonly Told[][], RegExp][] = [
    [
      'two counts',
      [[{ startMs, value: 9 }], [{ startMs: startMs + 5, value: 2 }]],
      /two processes/,
    ],
    ['a count that falls', [[{ startMs, value: 9 }], [{ startMs, value: 8 }]], /fell from 9 to 8/],
    [
      'intervals that overlap',
      [[{ kind: 'delta', startMs }], [{ kind: 'delta', startMs: startMs + 1000 }]],
      /two processes/,
    ],
    ['two streams', [[{ stream: 'a.b' }], [{ stream: 'a_b' }]], /a\.b and a_b would both be/],
  ]
  test.each(quarrels)('%s', async (_, rounds, why) => {
    const { clock, send, values, health, store } = begin()
    const outcomes = []
    for (const round of rounds) {
      outcomes.push(send(round))
      await clock.advance(1000)
    }
    expect(reasons(outcomes.at(-1) ?? send([]))).toMatch(why)
    expect(values('requests_total')).toEqual([])
    expect(health()).toMatchObject({ state: 'failing', code: 'bad-response' })
    expect(store.silentOrigins('push')).toEqual(['vision/v-0/a'])
  })

  test('not even one of the two, while both go on; one that is left is a number again', async () => {
    const { clock, send, values, health } = begin({ maxAge: '10s' })
    const first = () => send([{ startMs, value: 100 + clock.nowMs() - startMs }])
    const second = () => send([{ startMs: startMs + 5, value: 2 }])
    first()
    for (let round = 0; round < 20; round += 1) {
      await clock.advance(1000)
      second()
      await clock.advance(1000)
      expect(reasons(first())).toMatch(/not stored, as its process fails: two processes/)
      expect(values('requests_total')).toEqual([])
    }
    await clock.advance(14_000)
    first()
    expect(values('requests_total')).toHaveLength(1)
    expect(health()).toMatchObject({ state: 'ok' })
  })

  test('a count that begins anew after the last is a restart, and no quarrel', async () => {
    const { clock, send, values } = begin()
    send([{ startMs, value: 9 }])
    await clock.advance(5000)
    expect(send([{ startMs: clock.nowMs() - 1000, value: 2 }])).toEqual(TAKEN)
    expect(values('requests_total')).toEqual([[9, 2]])
  })

  test('a pod of too many series is none', () => {
    const { send, values, health } = begin({ seriesPerPod: 3 })
    const many = ['a', 'b', 'c', 'd'].map((model) => ({ labels: { model } }))
    expect(reasons(send(many))).toMatch(/more than 3 series \(seriesPerPod\)/)
    expect(values('requests_total')).toEqual([])
    expect(health()).toMatchObject({ state: 'failing' })
  })
})

describe('a process that falls silent', () => {
  test('fails: it may hang with its requests', async () => {
    const { clock, send, health, values } = begin()
    send([{}])
    await clock.advance(15_000)
    expect(health()).toMatchObject({ state: 'failing', code: 'timeout' })
    expect(values('requests_total')).toEqual([[1]])
  })

  test('does so after twice the time that is usual between its exports, but for maxAge at most', async () => {
    const { clock, send, health, log } = begin()
    let count = 0
    const every = async (ms: number, rounds: number) => {
      for (let round = 0; round < rounds; round += 1) {
        send([{ value: (count += 1) }])
        await clock.advance(ms)
      }
    }
    // Of the first it is not known yet.
    await every(60_000, 1)
    expect(health()).toMatchObject({ state: 'failing' })
    await every(60_000, 3)
    expect(health()).toMatchObject({ state: 'ok' })
    const hints = log.entries.filter(({ event }) => event === 'exports-are-rare')
    expect(hints).toMatchObject([{ fields: { everyMs: 60_000, origin: 'vision/v-0/a' } }])
    await clock.advance(55_000)
    expect(health()).toMatchObject({ state: 'ok' })
    await clock.advance(10_000)
    expect(health()).toMatchObject({ state: 'failing', code: 'timeout' })
    await every(100_000, 8)
    expect(health()).toMatchObject({ state: 'ok' })
    await clock.advance(28_000)
    expect(health()).toMatchObject({ state: 'failing', code: 'timeout' })
    await every(2000, 40)
    expect(health()).toMatchObject({ state: 'ok' })
    await clock.advance(12_000)
    expect(health()).toMatchObject({ state: 'failing', code: 'timeout' })
  })

  test('has ended where another of its pod came after it', async () => {
    const { clock, send, values, health } = begin()
    send([{ value: 6 }])
    await clock.advance(5000)
    send([{ value: 7 }])
    await clock.advance(5000)
    send([{ value: 1 }], { process: 'b' })
    expect(values('requests_total')).toEqual([[6, 7], [1]])
    await clock.advance(6000)
    send([{ value: 2 }], { process: 'b' })
    await clock.advance(3000)
    expect(values('requests_total')).toEqual([[1, 2]])
    expect(health()).toBeUndefined()
  })

  test('has not, where the others were there before', async () => {
    const { clock, send, health } = begin()
    send([{}])
    send([{}], { process: 'b' })
    for (let second = 0; second < 15; second += 5) {
      await clock.advance(5000)
      send([{ value: second + 2 }], { process: 'b' })
    }
    expect(health()).toMatchObject({ state: 'failing' })
    expect(health('vision/v-0/b')).toMatchObject({ state: 'ok' })
  })

  test('does not use up the series of the one that replaced it', async () => {
    const { clock, send, values } = begin({ seriesPerPod: 1 })
    send([{ value: 7 }])
    await clock.advance(1000)
    expect(send([{ value: 1 }], { process: 'b' })).toEqual(TAKEN)
    expect(values('requests_total')).toEqual([[7], [1]])
  })

  test('many lives of a crashing process leave nothing behind', async () => {
    const { clock, send, store } = begin()
    for (let life = 0; life < 60; life += 1) {
      send([{ value: life }], { process: `life-${life}` })
      await clock.advance(30_000)
    }
    // Of one that was heard once it is not known how long it is silent when it lives, but 2 min at most.
    expect(store.origins('push').size).toBeLessThan(6)
  })
})

describe('the rate of deltas', () => {
  const WINDOW = { function: 'rate', durationMs: 60_000, quantile: 0 } as const

  /** What is known after each export, every 5 s, of a process that counts five a second. */
  async function rates(begun: ReturnType<typeof begin>, exports: number): Promise<unknown[]> {
    const { clock, send, series } = begun
    const seen: unknown[] = []
    for (let index = 0; index < exports; index += 1) {
      const startMs = clock.nowMs()
      await clock.advance(5000)
      expect(send([{ kind: 'delta', value: 25, startMs }])).toEqual(TAKEN)
      const [one] = series('requests_total')
      const told = one === undefined ? undefined : evaluateCollected(one, WINDOW)
      seen.push(told?.state === 'value' ? told.value : told?.state)
    }
    return seen
  }

  test('is that of the time that is known, after a start of ours', async () => {
    const seen = await rates(begin(), 12)
    expect(seen).toEqual(['warming-up', ...Array<number>(11).fill(5)])
  })

  test('counts a process that began later for the whole window, in which it was not', async () => {
    const begun = begin()
    await begun.clock.advance(121_000)
    const seen = await rates(begun, 14)
    const counts = Array.from({ length: 14 }, (_, index) => Math.min(25 * (index + 1), 300))
    expect(seen).toEqual(counts.map((count) => count / 60))
  })

  test('is that of the time known where the source was away, and its series with it', async () => {
    const begun = begin()
    await begun.clock.advance(121_000)
    await rates(begun, 3)
    begun.store.end('push', 'vision/v-0/a')
    begun.run()
    expect(await rates(begun, 3)).toEqual(['warming-up', 5, 5])
    // One that was only changed has its series still.
    begun.run({ goneAfter: '20s' })
    expect(await rates(begun, 1)).toEqual([5])
  })

  test('of one that has another name now is not that of the one before', async () => {
    const begun = begin()
    await rates(begun, 3)
    const { clock, store } = begun
    const startMs = clock.nowMs()
    await clock.advance(10_000)
    begun.run({}, 'services')
    const delta: Told = { kind: 'delta', value: 50, startMs, endMs: clock.nowMs() }
    expect(begun.send([delta])).toEqual(TAKEN)
    const selection = { source: 'services', metric: 'requests_total', matchers: [] }
    expect(store.select(selection)[0]?.covered?.fromMs).toBe(startMs)
  })
})
