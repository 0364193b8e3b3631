import { describe, expect, test } from 'vitest'
import type { SampleKind, WindowFunction } from '../../src/model.ts'
import { evaluateWindow } from '../../src/series/window.ts'
import { line, type Point } from './line.ts'

const points: Point[] = [[10, 3], [20, 1], [30, 4], [40, 1], [50, 5]] // prettier-ignore

function at(fn: WindowFunction, atS: number, windowS: number, quantile = 0.5) {
  const window = { function: fn, durationMs: windowS * 1000, quantile }
  return evaluateWindow(line('gauge', points), window, atS * 1000)
}

describe('windows over a level', () => {
  const table: [WindowFunction, number, number, number, number, number][] = [
    // function, at, window, quantile, value, data
    ['last', 50, 60, 0, 5, 50],
    ['last', 49, 60, 0, 1, 40],
    ['avg', 50, 60, 0, 14 / 5, 50],
    ['avg', 50, 40, 0, 11 / 4, 50], // open on the left: the point at 10 s is out
    ['min', 50, 60, 0, 1, 50],
    ['max', 45, 60, 0, 4, 40],
    ['quantile', 50, 60, 0.5, 3, 50],
    ['quantile', 50, 60, 0.9, 4.6, 50],
    ['quantile', 50, 60, 0, 1, 50],
    ['quantile', 50, 60, 1, 5, 50],
    ['quantile', 50, 10, 0.9, 5, 50],
  ]
  test.each(table)('%s at %d s over %d s, quantile %d', (...row) => {
    const [fn, atS, windowS, quantile, value, dataS] = row
    const result = at(fn, atS, windowS, quantile)
    expect(result).toMatchObject({ state: 'value', dataMs: dataS * 1000 })
    expect(result.state === 'value' && result.value).toBeCloseTo(value, 12)
  })

  test.each(['last', 'avg', 'min', 'max', 'quantile', 'ewma', 'rate', 'increase'] as const)(
    '%s of no points is empty, before them and after them',
    (fn) => {
      expect(at(fn, 9, 60)).toEqual({ state: 'empty' })
      expect(at(fn, 110, 60)).toEqual({ state: 'empty' })
    },
  )

  test('a quantile of more points than any window before', () => {
    const many = line(
      'gauge',
      Array.from({ length: 1001 }, (_, i): Point => [i, (i * 10) % 1001]),
    )
    const window = { function: 'quantile' as const, durationMs: 2_000_000, quantile: 0.25 }
    expect(evaluateWindow(many, window, 1_000_000)).toMatchObject({ value: 250 })
  })

  test('an average beyond the range of numbers is no value', () => {
    const huge = line('gauge', [[1, 1.7e308], [2, 1.7e308]]) // prettier-ignore
    const window = { function: 'avg' as const, durationMs: 10_000, quantile: 0 }
    expect(evaluateWindow(huge, window, 5000)).toEqual({ state: 'empty' })
  })
})

function ewma(kind: SampleKind, made: Point[], atS: number, windowS: number) {
  const window = { function: 'ewma' as const, durationMs: windowS * 1000, quantile: 0 }
  return evaluateWindow(line(kind, made), window, atS * 1000)
}

/** The definition, plainly: e0 = x0, e = 0.2 x + 0.8 e. */
function smoothed(...buckets: number[]): number {
  return buckets.reduce((e, x) => 0.2 * x + 0.8 * e)
}

describe('ewma: 5 s buckets, α 0.2', () => {
  const table: [string, SampleKind, Point[], number, number, number, number][] = [
    // kind, points, at, window, value, data
    ['mean of each bucket', 'gauge', [[1, 2], [5, 4], [6, 10], [10, 20], [12, 99]], 13, 60, smoothed(3, 15), 10], // prettier-ignore
    ['a level stays between points', 'gauge', [[1, 0], [6, 10], [21, 20]], 25, 60, smoothed(0, 10, 10, 10, 20), 21], // prettier-ignore
    ['and is not repeated after the newest', 'gauge', [[1, 10], [6, 20]], 50, 60, smoothed(10, 20), 6], // prettier-ignore
    ['a bucket cut by the window is out', 'gauge', [[11, 10], [16, 20], [21, 30]], 30, 18, smoothed(20, 30), 21], // prettier-ignore
    ['growth per second', 'cumulative', [[0, 0], [5, 10], [10, 40], [12, 50]], 12, 60, smoothed(2, 6), 10], // prettier-ignore
    ['linear between points', 'cumulative', [[0, 0], [15, 30]], 15, 60, 2, 15], // prettier-ignore
    ['whole buckets between points only', 'cumulative', [[2, 100], [12, 110]], 14, 60, 1, 10], // prettier-ignore
    ['restart', 'cumulative', [[0, 100], [5, 110], [10, 5]], 10, 60, smoothed(2, 1), 10], // prettier-ignore
    ['counts per second', 'delta', [[2, 5, 1], [4, 5, 3], [8, 30, 7]], 11, 60, smoothed(2, 6), 8], // prettier-ignore
    ['silence is zero, between and after', 'delta', [[4, 10, 3], [13, 20, 12]], 21, 60, smoothed(2, 0, 4, 0), 13], // prettier-ignore
    ['a long interval is spread', 'delta', [[10, 20, 0]], 10, 60, 2, 10], // prettier-ignore
    ['overlapping intervals follow each other', 'delta', [[5, 10, 0], [10, 20, 0]], 10, 60, smoothed(2, 4), 10], // prettier-ignore
    ['counts without a start', 'delta', [[3, 10], [5, 5], [6, 5]], 10, 60, smoothed(3, 1), 6], // prettier-ignore
    ['silent before, within the window', 'delta', [[4, 10, 3], [23, 10, 22]], 25, 15, smoothed(0, 0, 2), 23], // prettier-ignore
  ]
  test.each(table)('%s (%s)', (...row) => {
    const [, kind, made, atS, windowS, value, dataS] = row
    const result = ewma(kind, made, atS, windowS)
    expect(result).toMatchObject({ state: 'value', dataMs: dataS * 1000 })
    expect(result.state === 'value' && result.value).toBeCloseTo(value, 9)
  })

  test.each<[string, SampleKind, Point[], number]>([
    ['gauge', 'gauge', [[6, 3]], 9],
    ['counter with one point', 'cumulative', [[6, 3]], 20],
    ['counter without a whole bucket', 'cumulative', [[6, 3], [14, 9]], 20], // prettier-ignore
    ['delta', 'delta', [[6, 3, 5]], 9],
  ])('no whole bucket yet is warming up: %s', (_, kind, made, atS) => {
    expect(ewma(kind, made, atS, 60)).toEqual({ state: 'warming-up' })
  })
})
