import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SampleKind, WindowFunction } from '../../src/model.ts'
import { evaluateWindow } from '../../src/series/window.ts'
import { line, type Point } from './line.ts'

type Case = [WindowFunction, Point[], atS: number, windowS: number, SampleKind?]

function over(...[fn, points, atS, windowS, kind]: Case) {
  const window = { function: fn, durationMs: windowS * 1000, quantile: 0 }
  return evaluateWindow(line(kind ?? 'cumulative', points), window, atS * 1000)
}

function valueOver(...args: Case): number {
  const result = over(...args)
  return result.state === 'value' ? result.value : NaN
}

/** A point each 15 s, growing by 15 (1/s) from a start far from zero, so that no rule but one shows. */
const steady: Point[] = Array.from({ length: 20 }, (_, i) => [i * 15, 1000 + i * 15])

describe('rate and increase of counters', () => {
  const table: [string, Point[], number, number, number][] = [
    ['edges near the points: to the edges', steady, 60.5, 60, 1],
    ['a point exactly a window old is not in it', steady, 60, 60, 1],
    // 3 points in 240 s to 270 s, both edges inside 1.1 intervals.
    ['short window', steady, 275, 40, 1],
    ['no growth', [[0, 7], [15, 7], [30, 7]], 30, 60, 0], // prettier-ignore
    // Points 30 s and 45 s; gap to the start is 30 s > 1.1 × 15 s, so half an interval: 15 × (15 + 7.5) / 15.
    ['began within the window', [[30, 1000], [45, 1015]], 45, 45, 22.5 / 45], // prettier-ignore
  ]
  test.each(table)('%s', (...row) => {
    const [, points, atS, windowS, expected] = row
    expect(valueOver('rate', points, atS, windowS)).toBeCloseTo(expected, 12)
    expect(valueOver('increase', points, atS, windowS)).toBeCloseTo(expected * windowS, 9)
  })

  test('a series that ended within the window counts half an interval after its end', () => {
    const points: Point[] = [[30, 1000], [45, 1015]] // prettier-ignore
    // (29 s, 75 s]: 1 s to the start, 30 s to the end, taken as 7.5 s.
    expect(valueOver('increase', points, 75, 46)).toBeCloseTo(15 * ((15 + 1 + 7.5) / 15), 12)
  })

  test('the zero point ends extrapolation to the left', () => {
    // 5 at 30 s, growing by 1/s: it was zero at 25 s, 5 s before, less than half an interval.
    const points: Point[] = [[30, 5], [45, 20], [60, 35]] // prettier-ignore
    expect(valueOver('increase', points, 60, 60)).toBeCloseTo(30 * (35 / 30), 12)
    expect(
      valueOver(
        'increase',
        [
          [30, 0],
          [60, 30],
        ],
        60,
        60,
      ),
    ).toBeCloseTo(30, 12)
  })

  test('a zero point beyond half an interval does not lengthen it (since 2.52)', () => {
    // 12 at 30 s: zero 12 s before, within 1.1 intervals; the edge is 30 s away, so 7.5 s it is.
    const points: Point[] = [[30, 12], [45, 27], [60, 42]] // prettier-ignore
    expect(valueOver('increase', points, 60, 60)).toBeCloseTo(30 * ((30 + 7.5) / 30), 12)
  })
})

describe('restarts, and too few points', () => {
  test('a restart counts from zero and never makes a fall or a spike', () => {
    const points: Point[] = [[15, 1000], [30, 1015], [45, 3], [60, 18]] // prettier-ignore
    expect(valueOver('increase', points, 60, 60)).toBeCloseTo((15 + 3 + 15) * (60 / 45), 12)
  })

  test('a new start is a restart even where the counter has passed its old value', () => {
    const same: Point[] = [[15, 100, 1], [30, 110, 1], [45, 120, 1]] // prettier-ignore
    const restarted: Point[] = [[15, 100, 1], [30, 110, 1], [45, 120, 31]] // prettier-ignore
    expect(valueOver('increase', same, 45, 40)).toBeCloseTo(20 * (40 / 30), 12)
    expect(valueOver('increase', restarted, 45, 40)).toBeCloseTo(130 * (40 / 30), 12)
  })

  test('a start that only some points tell is no restart', () => {
    const points: Point[] = [[15, 100], [30, 110, 1], [45, 120]] // prettier-ignore
    expect(valueOver('increase', points, 45, 40)).toBeCloseTo(20 * (40 / 30), 12)
  })

  test('one point is warming up, none is empty', () => {
    expect(over('rate', [[10, 5]], 15, 10)).toEqual({ state: 'warming-up' })
    expect(over('rate', [[10, 5]], 20, 10)).toEqual({ state: 'empty' })
    expect(over('rate', [[30, 5], [31, 6]], 20, 10)).toEqual({ state: 'empty' }) // prettier-ignore
    expect(over('rate', [], 20, 10)).toEqual({ state: 'empty' })
  })

  test('never negative, never above what was counted, whatever the points', () => {
    const points = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.nat(10_000)), {
      minLength: 2,
      maxLength: 30,
    })
    fc.assert(
      fc.property(points, (steps) => {
        let second = 0
        const made = steps.map(([gap, value]): Point => [(second += gap), value])
        const increase = valueOver('increase', made, second, second + 1)
        const counted = made.reduce((sum, [, value]) => sum + value, 0)
        expect(increase).toBeGreaterThanOrEqual(0)
        // With two points, at most 1.1 of the one interval is added on each side.
        expect(increase).toBeLessThanOrEqual(3.2 * counted)
      }),
    )
  })
})

describe('rate and increase of deltas', () => {
  const deltas: Point[] = [[10, 4, 5], [15, 0, 10], [20, 6, 15]] // prettier-ignore

  test('the sum of what ended in the window, over the whole window', () => {
    expect(over('increase', deltas, 20, 60, 'delta')).toEqual({
      state: 'value',
      value: 10,
      dataMs: 20_000,
    })
    expect(valueOver('rate', deltas, 20, 60, 'delta')).toBeCloseTo(10 / 60, 12)
    expect(valueOver('increase', deltas, 20, 10, 'delta')).toBe(6)
  })

  test('one count is enough, zero is a value, nothing is empty', () => {
    expect(valueOver('rate', [[10, 4, 5]], 10, 5, 'delta')).toBe(0.8)
    expect(valueOver('rate', [[10, 0, 5]], 10, 5, 'delta')).toBe(0)
    expect(over('rate', deltas, 100, 5, 'delta')).toEqual({ state: 'empty' })
  })
})
