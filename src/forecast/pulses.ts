import type { Walk } from './walk.ts'

const DAY_SHARE = 1 - Math.exp(-15 / 7200)
/** A load so many times its two-hour mean is a pulse. */
const PULSE = 1.6
const AGE_BINS = 24
const SLOTS_A_BIN = 40
const PHASE_BINS = 6
const PHASE_SLOTS = 20

/** Number of bins that `Pulses.push` distinguishes. */
export const PULSE_BINS = AGE_BINS * PHASE_BINS

/**
 * Where a moment lies between pulses, as a bin: ten-minute steps since the last pulse began, times five-minute
 * steps of the half hour on the wall clock, when scheduled work tends to begin.
 */
export class Pulses {
  #mean = NaN
  #inPulse = false
  #beganSlot = -Infinity

  visit(walk: Walk): void {
    this.#mean = walk.number(this.#mean)
    this.#inPulse = walk.flag(this.#inPulse)
    this.#beganSlot = walk.number(this.#beganSlot)
  }

  push(slot: number, load: number, floor: number): number {
    if (this.#mean !== this.#mean) this.#mean = load
    this.#mean += DAY_SHARE * (load - this.#mean)
    const inPulse = load > PULSE * Math.max(this.#mean, floor)
    if (inPulse && !this.#inPulse) this.#beganSlot = slot
    this.#inPulse = inPulse
    const age = Math.max(0, slot - this.#beganSlot)
    const phase = Math.floor(((slot + 1) % (PHASE_BINS * PHASE_SLOTS)) / PHASE_SLOTS)
    return Math.min(Math.floor(age / SLOTS_A_BIN), AGE_BINS - 1) * PHASE_BINS + phase
  }
}
