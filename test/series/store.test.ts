import { describe, expect, test } from 'vitest'
import type { Batch, Matcher, Sample } from '../../src/model.ts'
import { createSeriesStore, type SeriesStoreLimits } from '../../src/series/store.ts'
import { LIMITS, pointsOf, sample } from './line.ts'

const T0 = 1_000_000_000

function storeOf(limits: Partial<SeriesStoreLimits> = {}) {
  return createSeriesStore({ ...LIMITS, ...limits })
}

function batch(samples: Sample[], more: Partial<Batch> = {}): Batch {
  return { source: 's', origin: 'o', atMs: T0, complete: true, samples, ...more }
}

function all(metric: string, matchers: Matcher[] = []) {
  return { source: 's', metric, matchers }
}

const refusals = (samples: Sample[], limits: Partial<SeriesStoreLimits> = {}) => {
  const { taken, refused } = storeOf(limits).write(batch(samples))
  return { taken, ...Object.fromEntries(refused) }
}

describe('refusals: each single sample, with its reason', () => {
  const good = sample('good', T0, 1)
  const labels = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, 'x']))
  test.each<[string, Sample, object]>([
    ['NaN', sample('m', T0, NaN), { 'not-finite': 1 }],
    ['infinity', sample('m', T0, -Infinity), { 'not-finite': 1 }],
    ['no time', sample('m', NaN, 1), { 'not-finite': 1 }],
    ['as old as the history', sample('m', T0 - 600_000, 1), { 'too-old': 1 }],
    ['ahead of tolerance', sample('m', T0 + 5001, 1), { 'in-the-future': 1 }],
    ['too many labels', sample('m', T0, 1, { labels: labels(5) }), { 'bad-labels': 1 }],
    ['long value', sample('m', T0, 1, { labels: { a: 'x'.repeat(33) } }), { 'bad-labels': 1 }],
    ['long name', sample('m', T0, 1, { labels: { ['x'.repeat(33)]: 'a' } }), { 'bad-labels': 1 }],
    ['no metric', sample('', T0, 1), { 'bad-labels': 1 }],
  ])('%s', (_, bad, reasons) => {
    expect(refusals([bad, good])).toEqual({ taken: 1, ...reasons })
  })

  test.each<[string, Sample]>([
    ['just within the history', sample('m', T0 - 599_999, 1)],
    ['as far ahead as allowed', sample('m', T0 + 5000, 1)],
    [
      'empty values do not count as labels',
      sample('m', T0, 1, { labels: { ...labels(4), e: '' } }),
    ],
  ])('%s is taken', (_, one) => {
    expect(refusals([one])).toEqual({ taken: 1 })
  })

  test('the series limit is one for the whole store; an origin that passes it keeps nothing', () => {
    const store = storeOf({ seriesMax: 2 })
    store.write(batch([sample('a', T0, 1)], { origin: 'x' }))
    store.write(batch([sample('a', T0, 1)], { origin: 'y' }))
    const more = store.write(
      batch([sample('a', T0 + 1, 2), sample('b', T0 + 1, 2)], { origin: 'x' }),
    )
    expect([more.taken, ...more.refused]).toEqual([0, ['too-many-series', 2]])
    expect(store.select(all('a')).map(({ origin }) => origin)).toEqual(['y'])
    expect(store.silentOrigins('s')).toEqual(['x'])
    expect(store.origins('s').get('x')).toMatchObject({ state: 'failing', code: 'too-large' })
    expect(store.write(batch([sample('a', T0 + 2, 3)], { origin: 'x' })).taken).toBe(1)
    expect(store.silentOrigins('s')).toEqual([])
  })

  test('a flood of labels stays within the limits, and its place is given back', () => {
    const store = storeOf({ seriesMax: 100 })
    for (let round = 0; round < 30; round++) {
      const atMs = T0 + round
      const flood = Array.from({ length: 1000 }, (_, i) =>
        sample('m', atMs, i, { labels: { id: `${i}` } }),
      )
      const { taken, refused } = store.write(batch(flood, { atMs }))
      expect([taken, refused.get('too-many-series')]).toEqual([0, 1000])
      expect(store.counters()).toMatchObject({ series: 0, points: 0 })
    }
    expect(store.write(batch([sample('n', T0, 1)])).taken).toBe(1)
  })

  test('points of a series stay within their limit', () => {
    const store = storeOf({ pointsPerSeriesMax: 10 })
    for (let k = 0; k < 30; k++) store.write(batch([sample('m', T0 + k, k)], { atMs: T0 + k }))
    expect(store.counters()).toMatchObject({ series: 1, points: 10, pointsEvicted: 20 })
  })

  test('after the clock was set back a series begins anew instead of keeping the present out', () => {
    const store = storeOf()
    const later = T0 + 300_000
    store.write(batch([sample('m', later, 1)], { atMs: later }))
    expect(store.write(batch([sample('m', T0, 2)], { atMs: T0 })).taken).toBe(1)
    expect(store.select(all('m')).map(pointsOf)).toEqual([[[T0, 2]]])
  })

  test('origins are limited too', () => {
    const store = storeOf({ seriesMax: 2 })
    for (const origin of ['x', 'y', 'z']) store.write(batch([], { origin }))
    store.fail('s', 'w', { code: 'timeout', message: '', atMs: T0 })
    expect([...store.origins('s').keys()]).toEqual(['x', 'y'])
    expect([...store.write(batch([sample('a', T0, 1)], { origin: 'z' })).refused]).toEqual([
      ['too-many-series', 1],
    ])
  })
})

describe('time order', () => {
  test('an equal sample again is taken and stored once; another value at that time is not taken', () => {
    const store = storeOf()
    const first = sample('m', T0, 1)
    const result = store.write(batch([first, first, sample('m', T0, 2), sample('m', T0 - 1, 1)]))
    expect([result.taken, ...result.refused]).toEqual([2, ['out-of-order', 2]])
    expect(store.select(all('m')).map(pointsOf)).toEqual([[[T0, 1]]])
  })

  test('late deltas correct their bucket, or fill an empty one', () => {
    const store = storeOf()
    const delta = (endMs: number, value: number, startMs = endMs - 10) =>
      sample('m', T0 + endMs, value, { kind: 'delta', startMs: T0 + startMs })
    const result = store.write(
      batch([delta(10, 1), delta(20, 2), delta(40, 4), delta(20, 5), delta(30, 3), delta(40, 1)]),
    )
    expect(result.taken).toBe(6)
    const other = store.write(batch([delta(20, 1, 15)]))
    expect([...other.refused]).toEqual([['out-of-order', 1]])
    expect(store.select(all('m')).map(pointsOf)).toEqual([
      [[T0 + 10, 1], [T0 + 20, 7], [T0 + 30, 3], [T0 + 40, 5]],
    ]) // prettier-ignore
    expect(store.counters().points).toBe(4)
  })

  test('a late delta may be the oldest of its series', () => {
    const store = storeOf()
    const delta = (ms: number) => sample('m', T0 + ms, ms, { kind: 'delta' })
    expect(store.write(batch([delta(20), delta(10)])).taken).toBe(2)
    expect(store.select(all('m')).map(pointsOf)).toEqual([
      [[T0 + 10, 10], [T0 + 20, 20]],
    ]) // prettier-ignore
  })

  test('a full ring does not give way to something older than its oldest', () => {
    const store = storeOf({ pointsPerSeriesMax: 3 })
    const delta = (ms: number) => sample('m', T0 + ms, 1, { kind: 'delta' })
    store.write(batch([delta(10), delta(20), delta(30), delta(40)]))
    const late = store.write(batch([delta(15), delta(35)]))
    expect([...late.refused]).toEqual([['too-old', 1]])
    expect(store.select(all('m')).map(pointsOf)).toEqual([
      [[T0 + 30, 1], [T0 + 35, 1], [T0 + 40, 1]],
    ]) // prettier-ignore
    expect(store.counters()).toMatchObject({ points: 3, pointsEvicted: 2 })
  })
})

describe('the end of series', () => {
  test('a series missing from a complete batch ends at once, from another it does not', () => {
    const store = storeOf()
    store.write(batch([sample('a', T0, 1), sample('b', T0, 1)]))
    store.write(batch([sample('a', T0, 1)], { origin: 'other' }))
    const before = store.generation
    store.write(batch([sample('a', T0 + 1, 2)], { complete: false }))
    expect(store.generation).toBe(before)
    expect(store.select(all('b'))).toHaveLength(1)
    const held = store.select(all('b'))[0]
    store.write(batch([sample('a', T0 + 2, 2)]))
    expect(store.generation).not.toBe(before)
    expect(store.select(all('b'))).toHaveLength(0)
    expect(store.select(all('a')).map(({ origin }) => origin)).toEqual(['o', 'other'])
    expect(held?.length).toBe(1)
    expect(store.ended).toBe(1)
  })

  test('a series that is named with a refused value does not end, and a new one does not begin', () => {
    const store = storeOf()
    store.write(batch([sample('a', T0, 1)]))
    store.write(batch([sample('a', T0 + 1, NaN), sample('b', T0 + 1, NaN)]))
    expect(store.select(all('a')).map(pointsOf)).toEqual([[[T0, 1]]])
    expect(store.select(all('b'))).toEqual([])
  })

  test('end takes an origin with all its series and its health', () => {
    const store = storeOf()
    store.write(batch([sample('a', T0, 1), sample('b', T0, 1)]))
    store.write(batch([sample('a', T0, 1)], { origin: 'other' }))
    store.end('s', 'o')
    store.end('s', 'never seen')
    store.end('never seen', 'o')
    expect(store.select(all('a')).map(({ origin }) => origin)).toEqual(['other'])
    expect([...store.origins('s').keys()]).toEqual(['other'])
    expect(store.counters()).toMatchObject({ series: 1, points: 1, origins: 1, seriesEnded: 2 })
  })

  test('a series that comes back begins anew, also by the same labels object', () => {
    const store = storeOf()
    const labels = Object.freeze({ pod: 'p' })
    store.write(batch([sample('a', T0, 1, { labels })]))
    store.write(batch([]))
    store.write(batch([sample('a', T0 + 1, 2, { labels })]))
    expect(store.select(all('a')).map(pointsOf)).toEqual([[[T0 + 1, 2]]])
  })

  test('a metric that changes its kind ends and begins anew', () => {
    const store = storeOf()
    store.write(batch([sample('a', T0, 1)]))
    store.write(batch([sample('a', T0 + 1, 2, { kind: 'cumulative' })]))
    const series = store.select(all('a'))
    expect(series.map(({ kind }) => kind)).toEqual(['cumulative'])
    expect(series.map(pointsOf)).toEqual([[[T0 + 1, 2]]])
    expect(store.ended).toBe(1)
  })
})

describe('health and age', () => {
  test('health: since when it is so, with the newest message', () => {
    const store = storeOf()
    const health = () => store.origins('s').get('o')
    const fail = (atMs: number, message: string, code: 'timeout' | 'refused' = 'timeout') =>
      store.fail('s', 'o', { code, message, atMs })
    fail(T0, 'first')
    fail(T0 + 1, 'second')
    expect(health()).toEqual({ state: 'failing', sinceMs: T0, code: 'timeout', message: 'second' })
    fail(T0 + 2, 'third', 'refused')
    expect(health()).toMatchObject({ sinceMs: T0 + 2, code: 'refused' })
    store.write(batch([], { atMs: T0 + 3 }))
    store.write(batch([], { atMs: T0 + 4 }))
    expect(health()).toEqual({ state: 'ok', sinceMs: T0 + 3, lastCollectMs: T0 + 4 })
    fail(T0 + 5, 'again')
    expect(health()).toMatchObject({ state: 'failing', sinceMs: T0 + 5 })
  })

  test('a failed collect leaves series and their points as they are', () => {
    const store = storeOf()
    store.write(batch([sample('a', T0, 1)]))
    const { generation } = store
    store.fail('s', 'o', { code: 'timeout', message: 'late', atMs: T0 + 1 })
    expect(store.select(all('a')).map(pointsOf)).toEqual([[[T0, 1]]])
    expect(store.generation).toBe(generation)
  })

  test('prune drops what is older than the history, then series, then silent origins', () => {
    const store = storeOf()
    store.write(batch([sample('a', T0, 1)]))
    store.write(batch([sample('a', T0 + 10, 2)], { atMs: T0 + 10 }))
    store.prune(T0 + 600_000)
    expect(store.select(all('a')).map(pointsOf)).toEqual([[[T0 + 10, 2]]])
    store.fail('s', 'o', { code: 'timeout', message: 'late', atMs: T0 + 20 })
    store.prune(T0 + 600_010)
    expect(store.select(all('a'))).toEqual([])
    expect(store.origins('s').get('o')).toMatchObject({ state: 'failing' })
    store.prune(T0 + 600_020)
    expect(store.origins('s').size).toBe(0)
    expect(store.counters()).toMatchObject({ series: 0, points: 0, origins: 0, pointsExpired: 2 })
  })

  test('with a clock, a batch that says it was made long ago is judged by the clock', () => {
    const store = createSeriesStore(LIMITS, {
      nowMs: () => T0 + 1_000_000,
      monotonicMs: () => 0,
      sleep: () => Promise.resolve(),
    })
    expect([...store.write(batch([sample('a', T0, 1)])).refused]).toEqual([['too-old', 1]])
  })
})
