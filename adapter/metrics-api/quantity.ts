/**
 * Kubernetes quantities (apimachinery `resource.Quantity`, format DecimalSI), as far as metrics need them:
 * milli is the finest unit, because every reader takes `Quantity.MilliValue()`.
 */

/** Bounds of what a reader's `MilliValue()` (an int64) can hold; values beyond are capped like Kubernetes does. */
const MILLI_MAX = 2n ** 63n - 1n

const SUFFIXES = ['m', '', 'k', 'M', 'G', 'T', 'P', 'E'] as const

/** Below this, `value * 1000` and its rounding are exact enough in a double to skip big integers. */
const FAST_MILLI_MAX = 2 ** 53

/**
 * The canonical text of a value. Rounds to the nearest milli, halves away from zero; what is not zero never
 * becomes zero (at least `1m`). Throws `RangeError` for NaN and infinities: they are no measurement.
 */
export function formatQuantity(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`not a quantity: ${String(value)}`)
  if (value === 0) return '0'
  const magnitude = Math.abs(value)
  const sign = value < 0 ? '-' : ''
  const milli = toMilli(magnitude)
  if (milli < FAST_MILLI_MAX) return sign + canonical(milli)
  const exact = BigInt(Math.trunc(magnitude)) * 1000n
  return sign + canonicalBig(exact > MILLI_MAX ? MILLI_MAX : exact)
}

/**
 * The shortest decimal of the value decides about halves: 1.0005 is stored as 1.000499999999999944… and
 * multiplied is 1000.4999999999999, but reads "1.0005". Fifteen digits restore it; where the product has
 * more, a double has no such halves left.
 */
function toMilli(magnitude: number): number {
  const scaled = magnitude * 1000
  if (Number.isInteger(scaled)) return scaled
  const decimal = scaled < FIFTEEN_DIGITS ? Number(scaled.toPrecision(15)) : scaled
  return Math.max(1, Math.round(decimal))
}

const FIFTEEN_DIGITS = 1e14

function canonical(milli: number): string {
  let rest = milli
  let suffix = 0
  while (rest % 1000 === 0 && suffix < SUFFIXES.length - 1) {
    rest /= 1000
    suffix += 1
  }
  return `${rest}${SUFFIXES[suffix] ?? ''}`
}

function canonicalBig(milli: bigint): string {
  let rest = milli
  let suffix = 0
  while (rest % 1000n === 0n && suffix < SUFFIXES.length - 1) {
    rest /= 1000n
    suffix += 1
  }
  return `${rest}${SUFFIXES[suffix] ?? ''}`
}
