import type { Walk } from './walk.ts'

/** One point for each so many ms, so that memory is bounded whatever the pace of the ticks. */
const RESOLUTION_MS = 15_000

/**
 * Maximum of the last `windowMs`, in constant memory: a ring of points whose values strictly decrease. Points of
 * one 15 s are joined at the later time, so a maximum may stay up to 15 s longer, never shorter.
 */
export class SlidingMax {
  readonly #windowMs: number
  readonly #values: Float64Array
  readonly #times: Float64Array
  #first = 0
  #length = 0

  constructor(windowMs: number) {
    this.#windowMs = windowMs
    const size = Math.ceil(windowMs / RESOLUTION_MS) + 3
    this.#values = new Float64Array(size)
    this.#times = new Float64Array(size)
  }

  visit(walk: Walk): void {
    walk.array(this.#values)
    walk.array(this.#times)
    this.#first = walk.number(this.#first)
    this.#length = walk.number(this.#length)
  }

  /** Takes a value in and answers the maximum. Points that seem to lie in the future (a clock step) go. */
  push(value: number, nowMs: number): number {
    const size = this.#values.length
    while (this.#length > 0) {
      const oldest = this.#times[this.#first] ?? 0
      if (oldest > nowMs - this.#windowMs && oldest <= nowMs + RESOLUTION_MS) break
      this.#first = (this.#first + 1) % size
      this.#length -= 1
    }
    while (this.#length > 0 && this.#at(this.#values, this.#length - 1) <= value) this.#length -= 1
    const newest = this.#length - 1
    const slotEndMs = Math.ceil(nowMs / RESOLUTION_MS) * RESOLUTION_MS
    // A lower value within the slot of a higher one is told by it until the slot is over.
    if (newest < 0 || this.#at(this.#times, newest) < slotEndMs || this.#length < 2) {
      if (this.#length === size) {
        this.#first = (this.#first + 1) % size
        this.#length -= 1
      }
      const at = (this.#first + this.#length) % size
      this.#values[at] = value
      this.#times[at] = slotEndMs
      this.#length += 1
    }
    return this.#values[this.#first] ?? value
  }

  /** When the maximum leaves the window. */
  expiresMs(nowMs: number): number {
    const heldMs = this.#times[this.#first] ?? nowMs
    return Math.max(nowMs + 1, heldMs + this.#windowMs)
  }

  #at(array: Float64Array, index: number): number {
    return array[(this.#first + index) % array.length] ?? 0
  }
}
