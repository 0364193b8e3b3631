import fc from 'fast-check'
import { expect, test } from 'vitest'
import { COMBINE_FUNCTIONS } from '../../src/model.ts'
import { combine } from '../../src/series/combine.ts'

test.each([
  ['sum', 6],
  ['avg', 2],
  ['min', -1],
  ['max', 4],
  ['count', 3],
] as const)('%s reads the first n values', (fn, expected) => {
  expect(combine(fn, Float64Array.of(3, -1, 4, 1000), 3)).toBe(expected)
})

test.each(COMBINE_FUNCTIONS)('%s of nothing is not a number', (fn) => {
  expect(combine(fn, [], 0)).toBeUndefined()
})

test('a sum keeps what plain addition rounds away', () => {
  expect(combine('sum', [1, 1e100, 1, -1e100], 4)).toBe(2)
  expect(combine('sum', Array<number>(10).fill(0.1), 10)).toBe(1)
})

test('a sum does not depend on the order of the series', () => {
  const values = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 })
  fc.assert(
    fc.property(values, (list) => {
      const there = combine('sum', list, list.length) ?? NaN
      const back = combine('sum', list.toReversed(), list.length) ?? NaN
      expect(Math.abs(there - back)).toBeLessThanOrEqual(1e-15 * there)
    }),
  )
})
