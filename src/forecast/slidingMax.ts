import type { Walk } from './walk.ts'

/** Points that there is room for at first; few are needed unless a load falls for long. */
const FIRST = 8
/** One point for each so many ms, so that memory is bounded whatever the pace of the ticks. */
const RESOLUTION_MS = 15_000

/**
 * Maximum of the last `windowMs`, in bounded memory: a ring of points whose values strictly decrease. Points of
 * one 15 s are joined at the later time, so a maximum may stay up to 15 s longer, never shorter.
 */
export class SlidingMax {
  readonly #windowMs: number
  readonly #most: number
  /** A ring of points, each a value and its time. */
  #points: Float64Array
  #first = 0
  #length = 0

  constructor(windowMs: number) {
    this.#windowMs = windowMs
    this.#most = Math.ceil(windowMs / RESOLUTION_MS) + 3
    this.#points = new Float64Array(2 * Math.min(FIRST, this.#most))
  }

  visit(walk: Walk): void {
    const length = walk.length(this.#points.length, 2 * this.#most)
    if (length !== this.#points.length) this.#points = new Float64Array(length)
    walk.array(this.#points)
    this.#first = walk.number(this.#first)
    this.#length = walk.number(this.#length)
  }

  /** Takes a value in and answers the maximum. Points that seem to lie in the future (a clock step) go. */
  push(value: number, nowMs: number): number {
    if (this.#windowMs === 0) return value
    while (this.#length > 0) {
      const oldestMs = this.#timeAt(0)
      if (oldestMs > nowMs - this.#windowMs && oldestMs <= nowMs + RESOLUTION_MS) break
      this.#dropOldest()
    }
    while (this.#length > 0 && this.#valueAt(this.#length - 1) <= value) this.#length -= 1
    const newest = this.#length - 1
    const slotEndMs = Math.ceil(nowMs / RESOLUTION_MS) * RESOLUTION_MS
    // A lower value within the slot of a higher one is told by it until the slot is over.
    if (newest < 0 || this.#timeAt(newest) < slotEndMs || this.#length < 2) {
      if (this.#length === this.#most) this.#dropOldest()
      else if (2 * this.#length === this.#points.length) this.#grow()
      const at = this.#placeOf(this.#length)
      this.#points[at] = value
      this.#points[at + 1] = slotEndMs
      this.#length += 1
    }
    return this.#valueAt(0)
  }

  /** When the maximum leaves the window. */
  expiresMs(nowMs: number): number {
    return Math.max(nowMs + 1, this.#timeAt(0) + this.#windowMs)
  }

  #dropOldest(): void {
    this.#first = this.#placeOf(1) / 2
    this.#length -= 1
  }

  #grow(): void {
    const points = new Float64Array(2 * Math.min(2 * this.#length, this.#most))
    for (let i = 0; i < this.#length; i++) {
      points[2 * i] = this.#valueAt(i)
      points[2 * i + 1] = this.#timeAt(i)
    }
    this.#points = points
    this.#first = 0
  }

  #valueAt(index: number): number {
    return this.#points[this.#placeOf(index)] ?? 0
  }

  #timeAt(index: number): number {
    return this.#points[this.#placeOf(index) + 1] ?? 0
  }

  #placeOf(index: number): number {
    return 2 * ((this.#first + index) % (this.#points.length / 2))
  }
}
