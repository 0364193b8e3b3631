import { SLOT_MS } from './recent.ts'
import type { Walk } from './walk.ts'

/** Longer without a tick than this, and than three times the last interval, is a gap. */
const GAP_MS = 120_000
/** More is taken as so much: sums of squares stay numbers, and one such value spoils nothing for good. */
const LOAD_MAX = 1e100

/**
 * From ticks at any pace to mean loads of 15 s slots of the wall clock. A value is taken to be the mean since the
 * tick before, as the rows of a recording are. A gap, or a clock that steps, begins anew at the slot of now.
 */
export class Slots {
  mean = 0
  #lastMs = NaN
  #intervalMs = SLOT_MS
  #slot = 0
  #sum = 0
  #fromMs = 0
  #load = 0

  visit(walk: Walk): void {
    this.mean = walk.number(this.mean)
    this.#lastMs = walk.number(this.#lastMs)
    this.#intervalMs = walk.number(this.#intervalMs)
    this.#slot = walk.number(this.#slot)
    this.#sum = walk.number(this.#sum)
    this.#fromMs = walk.number(this.#fromMs)
    this.#load = walk.number(this.#load)
  }

  /** The newest slot that has ended. */
  get newest(): number {
    return this.#slot - 1
  }

  /** The tick at `nowMs` does not continue the one before. */
  restarts(nowMs: number): boolean {
    const sinceMs = nowMs - this.#lastMs
    return sinceMs < -SLOT_MS || sinceMs > Math.max(GAP_MS, 3 * this.#intervalMs)
  }

  /** The first slot that ends with this tick, with its `mean`; ask `next` for more. */
  add(load: number, nowMs: number): number | undefined {
    const first = this.#lastMs !== this.#lastMs
    if (first || this.restarts(nowMs)) {
      // What was before is unknown: the load is taken as that of the whole slot.
      this.#slot = Math.ceil(nowMs / SLOT_MS) - 1
      this.#fromMs = this.#slot * SLOT_MS
      this.#sum = 0
    } else if (nowMs <= this.#lastMs) return undefined
    else this.#intervalMs = nowMs - this.#lastMs
    this.#lastMs = nowMs
    this.#load = Math.min(Math.max(load, -LOAD_MAX), LOAD_MAX)
    return this.next()
  }

  next(): number | undefined {
    const endMs = (this.#slot + 1) * SLOT_MS
    const toMs = Math.min(endMs, this.#lastMs)
    if (toMs > this.#fromMs) this.#sum += this.#load * (toMs - this.#fromMs)
    this.#fromMs = toMs
    if (this.#lastMs < endMs) return undefined
    this.mean = this.#sum / SLOT_MS
    this.#sum = 0
    const done = this.#slot
    this.#slot += 1
    return done
  }
}
