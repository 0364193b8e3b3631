/**
 * Rounding to thousandths, the finest unit any autoscaler reads. One place, so that every edge tells the same
 * number of the same reading.
 */

/**
 * Thousandths of a magnitude (not negative, finite): to the nearest, halves up; what is not zero never becomes
 * zero. The shortest decimal of the value decides about halves: 1.0005 is stored as 1.000499999999999944… and
 * multiplied is 1000.4999999999999, but reads "1.0005". Fifteen digits restore it; where the product has
 * more, a double has no such halves left.
 */
export function toMilli(magnitude: number): number {
  const scaled = magnitude * 1000
  if (Number.isInteger(scaled)) return scaled
  const decimal = scaled < FIFTEEN_DIGITS ? Number(scaled.toPrecision(15)) : scaled
  return Math.max(1, Math.round(decimal))
}

const FIFTEEN_DIGITS = 1e14
