import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Intervals } from '../../adapter/recording/intervals.ts'
import type { Row } from '../../adapter/recording/intervals.ts'

function rowsOf(observed: readonly (readonly [ms: number, value: number])[], doneMs = -Infinity) {
  const intervals = new Intervals(1000, doneMs)
  const rows = observed.map(([ms, value]) => intervals.add(value, ms))
  return [...rows, intervals.close(Infinity)].filter((row) => row !== undefined)
}

test.each<[string, (readonly [number, number])[], Row[]]>([
  [
    'a row is the mean of its interval, which is closed at its end',
    [
      [1001, 2],
      [1500, 4],
      [2000, 6],
    ],
    [{ endMs: 2000, value: 4 }],
  ],
  [
    'what is told again is not counted again',
    [
      [1500, 4],
      [1500, 4],
      [1800, 8],
    ],
    [{ endMs: 2000, value: 6 }],
  ],
  [
    'an older observation, of another replica, is left out',
    [
      [1500, 4],
      [1200, 9],
    ],
    [{ endMs: 2000, value: 4 }],
  ],
  [
    'an interval without one has no row',
    [
      [500, 1],
      [3500, 3],
    ],
    [
      { endMs: 1000, value: 1 },
      { endMs: 4000, value: 3 },
    ],
  ],
  ['zero is a value', [[500, 0]], [{ endMs: 1000, value: 0 }]],
])('%s', (_, observed, rows) => {
  expect(rowsOf(observed)).toEqual(rows)
})

test('what was recorded before is not recorded again', () => {
  expect(
    rowsOf(
      [
        [500, 1],
        [1500, 2],
        [2500, 3],
      ],
      2000,
    ),
  ).toEqual([{ endMs: 3000, value: 3 }])
})

test('an interval is closed when it is over, and what comes later for it is left out', () => {
  const intervals = new Intervals(1000, -Infinity)
  expect(intervals.add(5, 1200)).toBe(undefined)
  expect(intervals.close(1999)).toBe(undefined)
  expect(intervals.close(2000)).toEqual({ endMs: 2000, value: 5 })
  expect(intervals.add(7, 1900)).toBe(undefined)
  expect(intervals.close(9000)).toBe(undefined)
})

test('rows come in order of time, each within what was observed in its interval', () => {
  const observation = fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 99 }))
  fc.assert(
    fc.property(fc.array(observation), (observed) => {
      let before = -Infinity
      for (const { endMs, value } of rowsOf(observed)) {
        expect(endMs).toBeGreaterThan(before)
        before = endMs
        const own = observed.filter(([ms]) => ms > endMs - 1000 && ms <= endMs)
        const values = own.map(([, one]) => one)
        expect(value).toBeGreaterThanOrEqual(Math.min(...values))
        expect(value).toBeLessThanOrEqual(Math.max(...values))
      }
    }),
  )
})
