import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Labels, MatchOperator } from '../../src/model.ts'
import { anchoredPattern, seriesKey } from '../../src/series/labels.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { pointsOf, sample } from './line.ts'

const LIMITS = {
  seriesMax: 10_000,
  pointsPerSeriesMax: 20,
  historyMs: 600_000,
  futureToleranceMs: 0,
  labelsMax: 8,
  labelLengthMax: 64,
}

describe('select', () => {
  const store = createSeriesStore(LIMITS)
  const pods: Labels[] = [
    { pod: 'a', class: 'person' },
    { pod: 'b', class: 'car' },
    { pod: 'c' },
    { pod: 'd', class: 'line\nbreak', constructor: 'x' },
  ]
  store.write({
    source: 's',
    origin: 'o',
    atMs: 1000,
    complete: true,
    samples: pods.map((labels) => sample('m', 1000, 1, { labels })),
  })

  test.each<[string, MatchOperator, string, string]>([
    ['class', '=', 'car', 'b'],
    ['class', '=', '', 'c'],
    ['class', '!=', 'car', 'acd'],
    ['class', '!=', '', 'abd'],
    ['class', '=~', 'car|person', 'ab'],
    ['class', '=~', 'ca', ''], // the whole value
    ['class', '=~', 'p', ''],
    ['class', '=~', '.*', 'abcd'],
    ['class', '=~', '.+', 'abd'],
    ['class', '=~', '(?i)CAR', 'b'],
    ['class', '!~', 'c.*', 'acd'],
    ['class', '!~', '', 'abd'],
    ['constructor', '=', '', 'abc'],
  ])('%s %s "%s"', (label, operator, value, expected) => {
    const found = store.select({ source: 's', metric: 'm', matchers: [{ label, operator, value }] })
    expect(found.map(({ labels }) => labels['pod']).join('')).toBe(expected)
  })

  test('all matchers must hold; other metrics and sources are not there', () => {
    const matchers = [
      { label: 'class', operator: '!=', value: '' },
      { label: 'pod', operator: '=~', value: '[bc]' },
    ] as const
    expect(store.select({ source: 's', metric: 'm', matchers })).toHaveLength(1)
    expect(store.select({ source: 's', metric: 'n', matchers: [] })).toEqual([])
    expect(store.select({ source: 't', metric: 'm', matchers: [] })).toEqual([])
    expect(store.origins('t').size).toBe(0)
  })

  test('what is no pattern throws, for the configuration to refuse', () => {
    expect(() => anchoredPattern('(')).toThrow(SyntaxError)
  })
})

const name = fc.constantFrom('a', 'b', 'ab', '1', 'constructor', '__proto__x')
const labelsOf = fc.dictionary(name, fc.constantFrom('', 'x', 'y', '1:x', 'xy', '日本'), {
  maxKeys: 4,
  noNullPrototype: true,
})

describe('identity', () => {
  test('two label sets have one key only if they are equal without their empty values', () => {
    const stripped = (labels: Labels) =>
      JSON.stringify(
        Object.entries(labels)
          .filter(([, value]) => value !== '')
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      )
    fc.assert(
      fc.property(labelsOf, labelsOf, fc.constantFrom('m', 'm1'), (one, two, metric) => {
        const same = metric === 'm' && stripped(one) === stripped(two)
        expect(seriesKey('m', one, LIMITS) === seriesKey(metric, two, LIMITS)).toBe(same)
      }),
      { numRuns: 1000 },
    )
  })
})

test('the order of labels does not matter', () => {
  fc.assert(
    fc.property(labelsOf, (labels) => {
      const turned = Object.fromEntries(Object.entries(labels).toReversed())
      expect(seriesKey('m', turned, LIMITS)).toBe(seriesKey('m', labels, LIMITS))
    }),
  )
})

describe('look-up by the labels object', () => {
  test('frozen labels used again lead where fresh ones do', () => {
    const step = fc.record({
      which: fc.nat(5),
      metric: fc.constantFrom('m', 'n', 'o'),
      origin: fc.constantFrom('p', 'q'),
      complete: fc.boolean(),
      end: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    })
    const sets = fc.array(labelsOf, { minLength: 6, maxLength: 6 })
    fc.assert(
      fc.property(sets, fc.array(step, { maxLength: 60 }), (labelSets, steps) => {
        const fast = createSeriesStore(LIMITS)
        const slow = createSeriesStore(LIMITS)
        const frozen = labelSets.map((labels) => Object.freeze({ ...labels }))
        for (const [i, { which, metric, origin, complete, end }] of steps.entries()) {
          const one = (labels: Labels) => ({
            source: 's',
            origin,
            atMs: i + 1,
            complete,
            samples: [sample(metric, i + 1, i, { labels })],
          })
          if (end) {
            fast.end('s', origin)
            slow.end('s', origin)
          }
          fast.write(one(frozen[which] ?? {}))
          slow.write(one({ ...labelSets[which] }))
        }
        for (const metric of ['m', 'n', 'o']) {
          const [one, two] = [fast, slow].map((store) =>
            store
              .select({ source: 's', metric, matchers: [] })
              .map((series) => [series.origin, series.labels, pointsOf(series)]),
          )
          expect(one).toEqual(two)
        }
        expect(fast.counters()).toEqual(slow.counters())
      }),
    )
  })

  test('labels that are not frozen may change between batches', () => {
    const store = createSeriesStore(LIMITS)
    const labels: Record<string, string> = { pod: 'a' }
    const write = (atMs: number) =>
      store.write({
        source: 's',
        origin: 'o',
        atMs,
        complete: false,
        samples: [sample('m', atMs, atMs, { labels })],
      })
    write(1)
    labels['pod'] = 'b'
    write(2)
    const found = store.select({ source: 's', metric: 'm', matchers: [] })
    expect(found.map((series) => [series.labels['pod'], pointsOf(series)])).toEqual([
      ['a', [[1, 1]]],
      ['b', [[2, 2]]],
    ])
  })
})
