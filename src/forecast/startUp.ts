import { SLOT_MS } from './recent.ts'

/** A start-up beyond this is not looked ahead to. */
export const LONGEST_START_MS = 15 * 60_000
/** A start-up that differs by no more than this share of the one in force is the same. */
const SAME = 0.2

/**
 * The start-up time to look ahead to, where `inForceMs` was up to now and `startMs` is what it seems to be: in whole
 * slots, and the one in force while it hardly differs, since each change makes forecasts of another thing.
 */
export function startInForce(inForceMs: number, startMs: number): number {
  if (!(startMs >= 0)) return inForceMs
  const slots = Math.max(1, Math.ceil(Math.min(startMs, LONGEST_START_MS) / SLOT_MS))
  if (slots === Math.ceil(inForceMs / SLOT_MS)) return inForceMs
  if (Math.abs(startMs - inForceMs) <= SAME * inForceMs) return inForceMs
  return slots * SLOT_MS
}

/**
 * A ring of another length that ends with the same values: the newest, as many as it holds, and where there are
 * fewer the oldest of them again. Value number i, of `width` numbers, was put at i modulo the length; `count` were.
 */
export function resizedRing(
  ring: Float64Array,
  count: number,
  length: number,
  width = 1,
): Float64Array {
  const resized = new Float64Array(length * width)
  if (count === 0) return resized
  const before = ring.length / width
  for (let back = 0; back < length; back++) {
    const from = width * modulo(count - 1 - Math.min(back, before - 1), before)
    resized.set(ring.subarray(from, from + width), width * modulo(count - 1 - back, length))
  }
  return resized
}

function modulo(value: number, length: number): number {
  return ((value % length) + length) % length
}
