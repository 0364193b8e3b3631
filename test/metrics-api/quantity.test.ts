import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatQuantity } from '../../adapter/metrics-api/quantity.ts'
import { parseMilli } from './parseQuantity.ts'

test.each([
  [0, '0'],
  [-0, '0'],
  [1, '1'],
  [42, '42'],
  [1500, '1500'],
  [1000, '1k'],
  [2000, '2k'],
  [12_000, '12k'],
  [1_000_000, '1M'],
  [1_500_000, '1500k'],
  [1e9, '1G'],
  [1e12, '1T'],
  [1e15, '1P'],
  [0.1, '100m'],
  [0.3, '300m'],
  [0.1 + 0.2, '300m'],
  [33.5, '33500m'],
  [1.5, '1500m'],
  [0.0004, '1m'],
  [1e-300, '1m'],
  [-0.0004, '-1m'],
  [0.0014, '1m'],
  [0.0015, '2m'],
  [1.0005, '1001m'],
  [-1.0005, '-1001m'],
  [-33.5, '-33500m'],
  [-2000, '-2k'],
  [999.9996, '1k'],
  [999.9994, '999999m'],
  [123_456_789.123, '123456789123m'],
  [9_007_199_254_740_991, '9007199254740991'],
  [9e15, '9P'],
  [1e19, '9223372036854775807m'],
  [Number.MAX_VALUE, '9223372036854775807m'],
  [-Number.MAX_VALUE, '-9223372036854775807m'],
])('%d is written %s', (value, text) => {
  expect(formatQuantity(value)).toBe(text)
})

test.each([NaN, Infinity, -Infinity])('%d is no quantity', (value) => {
  expect(() => formatQuantity(value)).toThrow(RangeError)
})

test('what is written is within half a milli of the value, up to the precision of a double', () => {
  fc.assert(
    fc.property(fc.double({ min: -1e12, max: 1e12, noNaN: true }), (value) => {
      const milli = Number(parseMilli(formatQuantity(value)))
      // Half a milli, and what reading the value at fifteen digits may move it.
      const tolerance = 0.5 + Math.abs(value * 1000) * 2e-15
      const lifted = value !== 0 && Math.abs(value) < 0.0005
      if (lifted) expect(milli).toBe(Math.sign(value))
      else expect(Math.abs(milli - value * 1000)).toBeLessThanOrEqual(tolerance * (1 + 1e-9))
    }),
  )
})

test('whole milli values survive exactly', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 50), max: 2 ** 50 }), (milli) => {
      // Beyond 15 significant digits a double no longer tells decimal neighbours apart.
      fc.pre(Math.abs(milli) < 1e15)
      expect(parseMilli(formatQuantity(milli / 1000))).toBe(BigInt(milli))
    }),
  )
})

test('the text is canonical: the largest suffix that leaves a whole number, no leading zero, no -0', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = formatQuantity(value)
      expect(text).toMatch(/^(0|-?[1-9]\d*[mkMGTPE]?)$/)
      const digits = text.replace(/[a-zA-Z]$/, '')
      if (text !== '0' && !text.endsWith('E')) expect(digits.endsWith('000')).toBe(false)
    }),
  )
})

test('order is kept', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
      fc.pre(Number.isFinite(a) && Number.isFinite(b) && a < b)
      expect(parseMilli(formatQuantity(a)) <= parseMilli(formatQuantity(b))).toBe(true)
    }),
  )
})
