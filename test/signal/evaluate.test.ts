import { describe, expect, test } from 'vitest'
import type { Labels, Reading, SampleKind, Signal } from '../../src/model.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { evaluateSignal, initialState } from '../../src/signal/evaluate.ts'
import { createStabilizer } from '../../src/signal/stabilizers.ts'
import { PODS_EXPOSURE, signalOf } from '../kit/signals.ts'

const START = 1_700_000_000_000

/** A store, a signal and a clock moved by hand. */
function stage(signal: Signal) {
  const store = createSeriesStore({
    seriesMax: 100,
    pointsPerSeriesMax: 1000,
    historyMs: 3_600_000,
    futureToleranceMs: 5000,
    labelsMax: 20,
    labelLengthMax: 200,
  })
  const state = initialState()
  const stabilizer = signal.stabilize === undefined ? undefined : createStabilizer(signal.stabilize)
  const ms = (seconds: number) => START + seconds * 1000
  return {
    store,
    put(
      seconds: number,
      origin: string,
      values: readonly { value: number; labels?: Labels; metric?: string; kind?: SampleKind }[],
    ) {
      store.write({
        source: 's',
        origin,
        atMs: ms(seconds),
        complete: true,
        samples: values.map(({ value, labels = {}, metric = 'm', kind = 'gauge' }) => ({
          metric,
          labels,
          kind,
          value,
          timestampMs: ms(seconds),
        })),
      })
    },
    fail(seconds: number, origin: string) {
      store.fail('s', origin, { code: 'timeout', message: 'no answer in 1 s', atMs: ms(seconds) })
    },
    at(seconds: number): readonly Reading[] {
      store.prune(ms(seconds))
      return evaluateSignal(signal, state, store, { nowMs: ms(seconds), stabilizer }).readings
    },
  }
}

function one(readings: readonly Reading[]): Reading {
  expect(readings).toHaveLength(1)
  return readings[0]!
}

/** What an autoscaler would be told, or the state that keeps it from being told anything. */
function told(reading: Reading): number | 'stale' | 'absent' {
  return reading.state === 'fresh' ? reading.value : reading.state
}

describe('absent, stale, failed and zero are four different things', () => {
  test('never any data: absent, with the reason', () => {
    const { at } = stage(signalOf())
    expect(one(at(0))).toMatchObject({
      state: 'absent',
      reason: 'no-series',
      cause: 'source s has no series m{}',
    })
  })

  test('never any data because the source fails: absent, naming the failure', () => {
    const { at, fail } = stage(signalOf())
    fail(0, 'redis')
    expect(one(at(1))).toMatchObject({ state: 'absent', reason: 'source-failing' })
    expect((one(at(1)) as { cause: string }).cause).toContain('redis: timeout: no answer in 1 s')
  })

  test('zero is a fresh value', () => {
    const { at, put } = stage(signalOf())
    put(0, 'redis', [{ value: 0 }])
    expect(one(at(1))).toMatchObject({ state: 'fresh', value: 0, dataMs: START })
  })

  test('a failing source goes stale after freshFor, never before and never as a number', () => {
    const { at, put, fail } = stage(signalOf())
    put(0, 'redis', [{ value: 7 }])
    fail(10, 'redis')
    expect(told(one(at(30)))).toBe(7)
    expect(one(at(31))).toMatchObject({
      state: 'stale',
      lastValue: 7,
      ageMs: 31_000,
      cause: '1 of 1 series older than 30 s: redis: timeout: no answer in 1 s',
    })
  })

  test('a recovered source is fresh at once', () => {
    const { at, put, fail } = stage(signalOf())
    put(0, 'redis', [{ value: 7 }])
    fail(10, 'redis')
    at(60)
    put(61, 'redis', [{ value: 3 }])
    expect(told(one(at(61)))).toBe(3)
  })

  test('a rate needs two points: warming up, not zero', () => {
    const rate = { function: 'rate', durationMs: 60_000, quantile: 0 } as const
    const { at, put } = stage(signalOf({ window: rate }))
    put(0, 'pod', [{ value: 100, kind: 'cumulative' }])
    expect(one(at(1))).toMatchObject({ state: 'absent', reason: 'warming-up' })
    put(15, 'pod', [{ value: 130, kind: 'cumulative' }])
    expect(told(one(at(15)))).toBeGreaterThan(0)
  })

  test('a rate does not fall while its source is silent: it stays, then it is stale', () => {
    const rate = { function: 'rate', durationMs: 20_000, quantile: 0 } as const
    const { at, put } = stage(signalOf({ window: rate, freshForMs: 30_000 }))
    for (const seconds of [0, 5, 10, 15, 20])
      put(seconds, 'pod', [{ value: seconds * 10, kind: 'cumulative' }])
    const seen = [20, 25, 30, 40, 50, 51].map((seconds) => told(one(at(seconds))))
    expect(seen).toEqual([10, 10, 10, 10, 10, 'stale'])
  })

  test('after a restart a rate is that of the time collected, not a fraction of it', () => {
    const rate = { function: 'rate', durationMs: 60_000, quantile: 0 } as const
    const { at, put } = stage(signalOf({ window: rate }))
    const seen = [0, 5, 10, 15].map((seconds) => {
      put(seconds, 'pod', [{ value: 5000 + seconds * 10, kind: 'cumulative' }])
      return told(one(at(seconds)))
    })
    expect(seen[0]).toBe('absent')
    for (const value of seen.slice(1)) expect(value).toBeCloseTo(10, 2)
  })

  test('after a restart a sum waits for the fleet; later a pod that joins makes no gap', () => {
    const rate = { function: 'rate', durationMs: 60_000, quantile: 0 } as const
    const { at, put } = stage(signalOf({ window: rate }))
    const put10 = (seconds: number, pods: readonly string[]) => {
      for (const pod of pods) put(seconds, pod, [{ value: seconds * 10, kind: 'cumulative' }])
    }
    put10(0, ['a', 'b', 'c'])
    put10(5, ['a'])
    expect(told(one(at(5)))).toBe('absent')
    put10(6, ['b', 'c'])
    expect(told(one(at(6)))).toBeCloseTo(30, 1)
    put10(11, ['d'])
    expect(told(one(at(11)))).toBeCloseTo(30, 1)
  })

  test('a pod that ends takes its series with it at once', () => {
    const { at, put, store } = stage(signalOf())
    put(0, 'a', [{ value: 4 }])
    put(0, 'b', [{ value: 5 }])
    expect(told(one(at(1)))).toBe(9)
    store.end('s', 'b')
    expect(told(one(at(1)))).toBe(4)
  })
})

describe('coverage', () => {
  const pods = 'abcdefghij'.split('')

  test('a sum that misses more than it may is stale: it would be too low', () => {
    const { at, put } = stage(signalOf({ combine: { function: 'sum', by: [], minCoverage: 0.9 } }))
    for (const pod of pods) put(0, pod, [{ value: 1 }])
    expect(one(at(0))).toMatchObject({ state: 'fresh', value: 10 })
    for (const pod of pods.slice(2)) put(40, pod, [{ value: 1 }])
    expect(one(at(41))).toMatchObject({ state: 'stale', why: { series: { fresh: 8, stale: 2 } } })
  })

  test('within the allowed share it is fresh and says what is missing', () => {
    const { at, put } = stage(signalOf({ combine: { function: 'sum', by: [], minCoverage: 0.9 } }))
    for (const pod of pods) put(0, pod, [{ value: 1 }])
    for (const pod of pods.slice(1)) put(40, pod, [{ value: 1 }])
    expect(one(at(41))).toMatchObject({
      state: 'fresh',
      value: 9,
      why: { series: { fresh: 9, stale: 1 } },
    })
  })
})

describe('what is not known is no number', () => {
  const scoped = {
    source: 's',
    metric: 'm',
    matchers: [],
    scope: { label: 'namespace', value: 'vision' },
  }
  const labels = { namespace: 'vision' }

  test('pods that never answered are missing parts of a sum', () => {
    const { at, put, fail } = stage(signalOf({ selection: scoped }))
    for (const pod of ['a', 'b']) put(0, `vision/${pod}`, [{ value: 5, labels }])
    fail(0, 'vision/c')
    expect(one(at(1))).toMatchObject({ state: 'absent' })
    expect((one(at(1)) as { cause: string }).cause).toContain('1 targets never answered: vision/c')
    put(2, 'vision/c', [{ value: 5, labels }])
    expect(told(one(at(2)))).toBe(15)
  })

  test("another namespace's pods, and other keys of a Redis, are no parts of it", () => {
    const { at, put, fail } = stage(signalOf({ selection: scoped }))
    put(0, 'vision/a', [{ value: 5, labels }])
    fail(0, 'other/b')
    fail(0, 'key:jobs')
    expect(told(one(at(1)))).toBe(5)
  })

  test('a clock that is set back makes data stale, never fresh for hours', () => {
    const { at, put } = stage(signalOf())
    put(300, 'redis', [{ value: 5 }])
    expect(told(one(at(300)))).toBe(5)
    expect(told(one(at(0)))).toBe('stale')
    put(1, 'redis', [{ value: 7 }])
    expect(told(one(at(1)))).toBe(7)
  })

  test('a sum beyond what a double can hold is absent', () => {
    const { at, put } = stage(signalOf())
    for (const origin of ['a', 'b', 'c']) put(0, origin, [{ value: 1.7e308 }])
    expect(told(one(at(1)))).toBe('absent')
  })
})

describe('groups', () => {
  test('a series without a by-label belongs to nobody and is counted as such', () => {
    const { at, put } = stage(
      signalOf({ combine: { function: 'sum', by: ['pod'], minCoverage: 1 } }),
    )
    put(0, 'dcgm', [
      { value: 80, labels: { gpu: '0', pod: 'llm-0' } },
      { value: 60, labels: { gpu: '1' } },
    ])
    expect(one(at(1))).toMatchObject({
      value: 80,
      labels: { pod: 'llm-0' },
      why: { unattributed: 1 },
    })
  })

  test('nothing but unattributed series is absent, never 0', () => {
    const { at, put } = stage(
      signalOf({ combine: { function: 'sum', by: ['pod'], minCoverage: 1 } }),
    )
    put(0, 'dcgm', [{ value: 60, labels: { gpu: '1' } }])
    expect(one(at(1))).toMatchObject({ state: 'absent', reason: 'no-series' })
    expect((one(at(1)) as { cause: string }).cause).toBe('1 series of m lack a label of [pod]')
  })

  test('a signal is made of its own namespace; what names none is unattributed, never counted', () => {
    const selection = {
      source: 's',
      metric: 'm',
      matchers: [],
      scope: { label: 'namespace', value: 'vision' },
    }
    const { at, put } = stage(signalOf({ selection }))
    put(0, 'dcgm', [
      { value: 1, labels: { gpu: '0', namespace: 'vision' } },
      { value: 2, labels: { gpu: '1', namespace: 'other' } },
      { value: 4, labels: { gpu: '2' } },
    ])
    expect(one(at(1))).toMatchObject({ value: 1, why: { unattributed: 1 } })
  })

  test('the cause of an absence tells nothing of other namespaces', () => {
    const selection = {
      source: 's',
      metric: 'm',
      matchers: [],
      scope: { label: 'namespace', value: 'vision' },
    }
    const { at, fail } = stage(signalOf({ selection }))
    fail(0, 'other/secret-pod')
    fail(0, 'vision/v-0')
    const { cause } = one(at(1)) as { cause: string }
    expect(cause).toContain('vision/v-0: timeout')
    expect(cause).not.toContain('secret-pod')
  })

  test('the quantile of a histogram is taken over the buckets of the whole group', () => {
    const signal = signalOf({ window: { function: 'quantile', durationMs: 60_000, quantile: 0.5 } })
    const { at, put } = stage(signal)
    const buckets = (low: number, all: number) => [
      { value: low, labels: { le: '1' }, kind: 'cumulative' as const },
      { value: all, labels: { le: '2' }, kind: 'cumulative' as const },
      { value: all, labels: { le: '+Inf' }, kind: 'cumulative' as const },
    ]
    for (const pod of ['a', 'b']) put(0, pod, buckets(0, 0))
    put(30, 'a', buckets(10, 10))
    put(30, 'b', buckets(0, 20))
    // 10 of 30 at most 1 s, 20 between 1 and 2 s: the median is a quarter into the second bucket.
    expect(told(one(at(30)))).toBeCloseTo(1.25, 9)
  })

  describe('a quantile needs whole histograms', () => {
    const signal = signalOf({
      window: { function: 'quantile', durationMs: 60_000, quantile: 0.5 },
      freshForMs: 20_000,
    })
    const bucket = (le: string, value: number) =>
      ({ value, labels: { le }, kind: 'cumulative' }) as const

    test('of other bounds: they are added up at those that all have', () => {
      const { at, put } = stage(signal)
      const coarse = (all: number) => [bucket('2', all), bucket('+Inf', all)]
      const fine = (low: number, all: number) => [bucket('1', low), ...coarse(all)]
      put(0, 'a', fine(0, 0))
      put(0, 'b', coarse(0))
      put(30, 'a', fine(10, 10))
      put(30, 'b', coarse(30))
      // 40 at most 2 s. At 1 s only 10 would be known, and the median would come out as 1.33 s.
      expect(told(one(at(30)))).toBeCloseTo(1, 9)
    })

    test('that share no bound: there is none, and the cause says so', () => {
      const { at, put } = stage(signal)
      for (const [seconds, all] of [0, 10].entries()) {
        put(30 * seconds, 'a', [bucket('1', all), bucket('+Inf', all)])
        put(30 * seconds, 'b', [bucket('2', all), bucket('+Inf', all)])
      }
      expect(one(at(30))).toMatchObject({
        state: 'absent',
        cause: expect.stringContaining('do not share +Inf and another bound'),
      })
    })

    test('of which a bucket is stale: the whole is', () => {
      const { at, put, store } = stage(signal)
      const all = (value: number) => [bucket('1', value), bucket('2', value), bucket('+Inf', value)]
      put(0, 'a', all(0))
      put(30, 'a', all(10))
      expect(one(at(30)).state).toBe('fresh')
      const samples = ['2', '+Inf'].map((le) => ({ ...bucket(le, 30), metric: 'm' }))
      const timed = samples.map((sample) => ({ ...sample, timestampMs: START + 60_000 }))
      store.write({
        ...{ source: 's', origin: 'a', atMs: START + 60_000 },
        ...{ samples: timed, complete: false },
      })
      expect(one(at(60))).toMatchObject({ state: 'stale', why: { series: { fresh: 0, stale: 3 } } })
    })
  })

  test('a mean is that of all observations of the group, not of the means of its parts', () => {
    const signal = signalOf({ window: { function: 'mean', durationMs: 60_000, quantile: 0 } })
    const { put, at } = stage(signal)
    const counter = (metric: string, value: number) =>
      ({ metric, value, kind: 'cumulative' }) as const
    for (const seconds of [0, 30]) {
      put(seconds, 'p1', [counter('m_sum', seconds), counter('m_count', seconds)])
      put(seconds, 'p2', [counter('m_sum', 27 * seconds), counter('m_count', 3 * seconds)])
    }
    expect(told(one(at(30)))).toBeCloseTo(7, 12)
  })

  test('a mean of nothing is absent, not 0', () => {
    const signal = signalOf({ window: { function: 'mean', durationMs: 60_000, quantile: 0 } })
    const { put, at } = stage(signal)
    for (const seconds of [0, 30])
      put(seconds, 'p1', [
        { metric: 'm_sum', value: 5, kind: 'cumulative' },
        { metric: 'm_count', value: 2, kind: 'cumulative' },
      ])
    expect(one(at(30))).toMatchObject({ state: 'absent', reason: 'no-observations' })
  })

  describe('a mean needs each sum with the count of the same origin and labels', () => {
    const signal = signalOf({ window: { function: 'mean', durationMs: 60_000, quantile: 0 } })
    const sum = (value: number, labels: Labels = {}) =>
      ({ metric: 'm_sum', value, labels, kind: 'cumulative' }) as const
    const count = (value: number, labels: Labels = {}) => ({
      ...sum(value, labels),
      metric: 'm_count',
    })
    const alone = { state: 'absent', cause: expect.stringContaining('lack the _sum or _count') }
    const camera = { a: { camera: 'a' }, b: { camera: 'b' } }
    type Parts = readonly ReturnType<typeof sum | typeof count>[]
    test.each<[string, (at: number) => Readonly<Record<string, Parts>>]>([
      ['only a sum', (at) => ({ p1: [sum(at), count(at)], p2: [sum(at)] })],
      ['only a count', (at) => ({ p1: [sum(at), count(at)], p2: [count(at)] })],
      ['a sum here and a count there', (at) => ({ p1: [sum(100 * at)], p2: [count(at)] })],
      [
        'a sum too many and a count too many',
        (at) => ({ p1: [sum(at), count(at)], p2: [sum(at)], p3: [count(at)] }),
      ],
      [
        'a sum and a count of other labels',
        (at) => ({ p1: [sum(at, camera.a), count(at, camera.b)] }),
      ],
    ])('%s: absent, and the cause says it', (_, parts) => {
      const { put, at } = stage(signal)
      for (const seconds of [0, 30])
        for (const [origin, of] of Object.entries(parts(seconds))) put(seconds, origin, of)
      expect(one(at(30))).toMatchObject(alone)
    })

    test('several labels of one origin, in whatever order they come', () => {
      const { put, at } = stage(signal)
      const [ab, ba] = [
        { camera: 'a', model: 'b' },
        { model: 'b', camera: 'a' },
      ]
      for (const seconds of [0, 30])
        put(seconds, 'p1', [
          ...[count(seconds, camera.b), sum(2 * seconds, ab)],
          ...[sum(8 * seconds, camera.b), count(seconds, ba)],
        ])
      expect(told(one(at(30)))).toBeCloseTo(5, 12)
    })

    test('where one is not fresh, its other half is not counted either', () => {
      const { put, at } = stage(signal)
      for (const seconds of [0, 30])
        for (const pod of ['p1', 'p2', 'p3']) put(seconds, pod, [sum(9 * seconds), count(seconds)])
      expect(told(one(at(30)))).toBeCloseTo(9, 12)
      for (const seconds of [60, 90]) {
        put(seconds, 'p1', [sum(9 * seconds), count(seconds)])
        // A sum that is no number is refused, so that it gets old.
        put(seconds, 'p2', [sum(NaN), count(seconds)])
        put(seconds, 'p3', [sum(9 * seconds), count(seconds)])
      }
      const reading = one(at(90))
      expect(reading.state).not.toBe('fresh')
      expect(reading.why.series).toMatchObject({ fresh: 4, stale: 2 })
    })
  })

  test('a histogram in which nothing was observed has no quantile', () => {
    const signal = signalOf({ window: { function: 'quantile', durationMs: 60_000, quantile: 0.5 } })
    const { at, put } = stage(signal)
    for (const seconds of [0, 15, 30])
      put(seconds, 'a', [{ value: 5, labels: { le: '+Inf' }, kind: 'cumulative' }])
    expect(one(at(30))).toMatchObject({ state: 'absent', reason: 'no-observations' })
  })
})

describe('declared answers', () => {
  const cases: [string, Signal['whenStale'], (number | 'stale')[]][] = [
    ['error', { answer: 'error' }, ['stale', 'stale', 'stale']],
    ['zero', { answer: 'zero' }, [0, 0, 0]],
    ['value', { answer: 'value', value: 5 }, [5, 5, 5]],
    ['hold', { answer: 'hold', maxAgeMs: 120_000 }, [8, 8, 'stale']],
    ['decay', { answer: 'decay', halfLifeMs: 60_000, maxAgeMs: 120_000 }, [4, 2, 'stale']],
  ]
  test.each(cases)('%s, at ages of 60, 120 and 180 s', (_name, whenStale, expected) => {
    const { at, put } = stage(signalOf({ whenStale }))
    put(0, 'redis', [{ value: 8 }])
    at(0)
    expect([60, 120, 180].map((seconds) => told(one(at(seconds))))).toEqual(expected)
  })

  test('a declared answer says so and why', () => {
    const { at, put, fail } = stage(signalOf({ whenStale: { answer: 'hold', maxAgeMs: 300_000 } }))
    put(0, 'redis', [{ value: 8 }])
    at(0)
    fail(30, 'redis')
    const reading = one(at(60))
    expect(reading).toMatchObject({
      state: 'fresh',
      dataMs: START,
      why: { fallback: { policy: 'hold' } },
    })
  })
})

describe('notes', () => {
  const note = (seconds: number, origin: string, texts: readonly string[]) => ({
    source: 's',
    origin,
    atMs: START + seconds * 1000,
    complete: true,
    samples: [
      {
        metric: 'm',
        labels: { origin },
        kind: 'gauge',
        value: 1,
        timestampMs: START + seconds * 1000,
      },
    ] as const,
    notes: texts.map((text) => ({ metric: 'm', text })),
  })

  test('a reading tells what the origins of its group say of the metric, each text once', () => {
    const { at, store } = stage(
      signalOf({ combine: { function: 'sum', by: ['origin'], minCoverage: 1 } }),
    )
    store.write(note(0, 'x', ['estimated', 'capped']))
    store.write(note(0, 'y', []))
    const [x, y] = at(0)
    expect(x?.why.notes).toEqual(['estimated', 'capped'])
    expect(y?.why).not.toHaveProperty('notes')
  })

  test('many origins with one thing to say say it once; of many things the first are told', () => {
    const { at, store } = stage(signalOf())
    for (let index = 0; index < 7; index += 1)
      store.write(note(0, `origin-${index}`, ['estimated', `partition ${index}`]))
    expect(one(at(0)).why.notes).toEqual([
      'estimated',
      'partition 0',
      'partition 1',
      'partition 2',
      'partition 3',
      'and 3 more',
    ])
  })
})

describe('holds', () => {
  const stabilize = { policy: 'fixed', windowMs: 60_000 } as const

  test('a value falls only after the window has passed since its peak', () => {
    const { at, put } = stage(signalOf({ stabilize }))
    const seen = [10, 4, 6, 2, 2, 2, 2].map((value, index) => {
      put(index * 20, 'redis', [{ value }])
      return told(one(at(index * 20)))
    })
    expect(seen).toEqual([10, 10, 10, 6, 6, 2, 2])
  })

  test('a hold names its peak and its end', () => {
    const { at, put } = stage(signalOf({ stabilize }))
    put(0, 'redis', [{ value: 10 }])
    at(0)
    put(20, 'redis', [{ value: 4 }])
    expect(one(at(20))).toMatchObject({
      value: 10,
      why: { observed: 4, hold: { fromMs: START, untilMs: START + 60_000 } },
    })
  })

  test('stale data neither enters nor prolongs a hold', () => {
    const { at, put } = stage(signalOf({ stabilize }))
    put(0, 'redis', [{ value: 10 }])
    at(0)
    put(10, 'redis', [{ value: 4 }])
    at(10)
    expect(told(one(at(45)))).toBe('stale')
    put(70, 'redis', [{ value: 4 }])
    expect(told(one(at(70)))).toBe(4)
  })

  test('a held total is spread by finite numbers, whatever the parts are', () => {
    const signal = signalOf({
      stabilize,
      combine: { function: 'sum', by: ['pod'], minCoverage: 1 },
      expose: PODS_EXPOSURE,
    })
    for (const [a, b, ...held] of [
      [5e-324, 0, 100, 100],
      // What is held above the observed is shared evenly: none falls below what it observes.
      [50, -49, 149.5, 50.5],
      [0, 0, 100, 100],
    ] as const) {
      const { at, put } = stage(signal)
      for (const pod of ['a', 'b']) put(0, pod, [{ value: 100, labels: { pod } }])
      at(0)
      put(10, 'a', [{ value: a, labels: { pod: 'a' } }])
      put(10, 'b', [{ value: b, labels: { pod: 'b' } }])
      expect(at(10).map((reading) => told(reading))).toEqual(held)
    }
  })

  test('of pods the total is held, so it stays when a pod goes away', () => {
    const signal = signalOf({
      stabilize,
      combine: { function: 'sum', by: ['pod'], minCoverage: 1 },
      expose: PODS_EXPOSURE,
    })
    const { at, put, store } = stage(signal)
    const total = (seconds: number) =>
      at(seconds).reduce(
        (sum, reading) => sum + (reading.state === 'fresh' ? reading.value : NaN),
        0,
      )
    for (const pod of ['a', 'b', 'c']) put(0, pod, [{ value: 10, labels: { pod } }])
    expect(total(0)).toBe(30)
    store.end('s', 'c')
    for (const pod of ['a', 'b']) put(15, pod, [{ value: 3, labels: { pod } }])
    expect(total(15)).toBeCloseTo(30, 9)
    expect(at(15).map((reading) => told(reading))).toEqual([15, 15])
    for (const pod of ['a', 'b']) put(70, pod, [{ value: 0, labels: { pod } }])
    expect(total(70)).toBeCloseTo(6, 9)
  })
})
