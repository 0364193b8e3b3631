/**
 * Kubernetes quantities (apimachinery `resource.Quantity`, format DecimalSI), as far as metrics need them:
 * milli is the finest unit, because every reader takes `Quantity.MilliValue()`.
 */
import { toMilli } from '../milli.ts'

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
