import type { Walk } from './walk.ts'

/** Slots are the forecast's clock: everything is learned from mean loads over 15 s. */
export const SLOT_MS = 15_000

const SIZE = 128
const MASK = SIZE - 1

/** Share that a new value gets in an exponential mean of the time constant `seconds`, one slot apart. */
function share(seconds: number): number {
  return 1 - Math.exp(-SLOT_MS / 1000 / seconds)
}
const FIVE_MINUTES = share(300)
const HALF_HOUR = share(1800)

/** A least-squares line through the last slots: where it is now, its slope per slot, and how well it fits. */
export interface Line {
  level: number
  slope: number
  mean: number
  /** Share of the variance that the line explains, 0 to 1. */
  explained: number
  /** Standard deviation of what it leaves. */
  residual: number
}

/** The last half hour of a load, slot by slot, without a gap. Memory is constant. */
export class Recent {
  /** Slots since the beginning or the last gap. */
  count = 0
  /** Means of the last minute, and exponential ones of 5 and 30 minutes. */
  minute = 0
  fiveMinutes = 0
  halfHour = 0
  /** Mean of the last two slots: less noisy than one, and what maxima are taken of. */
  smooth = 0
  /** A ring of loads, and one of two-slot means. */
  readonly #numbers = new Float64Array(2 * SIZE)

  visit(walk: Walk): void {
    this.count = walk.number(this.count)
    this.minute = walk.number(this.minute)
    this.fiveMinutes = walk.number(this.fiveMinutes)
    this.halfHour = walk.number(this.halfHour)
    this.smooth = walk.number(this.smooth)
    walk.array(this.#numbers)
  }

  push(load: number): void {
    const at = this.count
    const before = at === 0 ? load : (this.#numbers[(at - 1) & MASK] ?? load)
    this.smooth = 0.5 * (load + before)
    this.#numbers[at & MASK] = load
    this.#numbers[SIZE + (at & MASK)] = this.smooth
    this.count = at + 1
    if (at === 0) {
      this.fiveMinutes = load
      this.halfHour = load
    }
    this.fiveMinutes += FIVE_MINUTES * (load - this.fiveMinutes)
    this.halfHour += HALF_HOUR * (load - this.halfHour)
    this.minute = this.#meanOf(4)
  }

  /** After a gap nothing here can be told; what was learned lives elsewhere. */
  restart(): void {
    this.count = 0
  }

  /** Largest two-slot mean of the last `slots` (at most 120). */
  max(slots: number): number {
    const length = Math.min(slots, this.count)
    let max = -Infinity
    for (let back = 1; back <= length; back++) {
      const value = this.#numbers[SIZE + ((this.count - back) & MASK)] ?? 0
      if (value > max) max = value
    }
    return max
  }

  /** The same for several lengths, in increasing order, in one pass. */
  maxima(lengths: readonly number[], into: Float64Array): void {
    let max = -Infinity
    let back = 1
    for (let i = 0; i < lengths.length; i++) {
      const length = Math.min(lengths[i] ?? 0, this.count)
      for (; back <= length; back++) {
        const value = this.#numbers[SIZE + ((this.count - back) & MASK)] ?? 0
        if (value > max) max = value
      }
      into[i] = max
    }
  }

  #meanOf(slots: number): number {
    const length = Math.min(slots, this.count)
    let sum = 0
    for (let back = 1; back <= length; back++) sum += this.#numbers[(this.count - back) & MASK] ?? 0
    return sum / length
  }

  /** Fits the last `slots` by least squares, with the time of the newest as origin; writes into `line`. */
  fit(slots: number, line: Line): void {
    const length = Math.min(slots, this.count)
    let sum = 0
    let moment = 0
    let squares = 0
    for (let i = 0; i < length; i++) {
      const value = this.#numbers[(this.count - length + i) & MASK] ?? 0
      sum += value
      moment += value * i
      squares += value * value
    }
    const middle = (length - 1) / 2
    const spread = (length * (length * length - 1)) / 12
    const mean = sum / length
    const slope = length > 2 ? (moment - middle * sum) / spread : 0
    const total = Math.max(squares - length * mean * mean, 0)
    const explained = slope * slope * spread
    line.mean = mean
    line.slope = slope
    line.level = mean + slope * middle
    line.explained = total > 1e-12 ? Math.min(1, explained / total) : 0
    line.residual = Math.sqrt(Math.max(total - explained, 0) / Math.max(length - 2, 1))
  }
}
