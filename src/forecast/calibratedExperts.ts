import { pinball } from './quantileRegression.ts'
import type { Walk } from './walk.ts'

/** Step of the calibration, in log units. */
const STEP = 0.004
/** Half-life of the losses: 6 hours of slots. */
const HALF_LIFE = 1440
const DECAY = 0.5 ** (1 / HALF_LIFE)
const SHARPNESS = 8

/**
 * Simple forecasts, each shifted to its own quantile and then blended. The shift follows
 * q ← q + η (τ − 1[y ≤ x + q]) (adaptive conformal inference, Gibbs and Candès 2021); the blend weighs by
 * exp(−8 (L − L*)/L*) with L the discounted pinball loss and L* the best one (exponential weights, scale-free).
 * One that has no forecast sleeps: it takes the loss of the blend (specialists, Freund et al. 1997).
 */
export class CalibratedExperts {
  /** The shifts, the losses, and a ring of what each blend that is not learned from yet was: its shifts, and itself. */
  #numbers: Float64Array
  readonly #size: number
  readonly #tau: number
  #pending: number
  #learned = false

  /** `pending`: how many blends are made before one is learned from, and that one. */
  constructor(size: number, tau: number, pending: number) {
    this.#size = size
    this.#tau = tau
    this.#pending = pending
    this.#numbers = new Float64Array(2 * size + pending * (size + 1))
  }

  /** From now on so many are; what the blends were that are not learned from yet is of no use any more. */
  restart(pending: number): void {
    const learned = this.#numbers.subarray(0, 2 * this.#size)
    this.#pending = pending
    this.#numbers = new Float64Array(2 * this.#size + pending * (this.#size + 1))
    this.#numbers.set(learned)
  }

  visit(walk: Walk): void {
    walk.array(this.#numbers)
    this.#learned = walk.flag(this.#learned)
  }

  /** `forecasts` are those of the blend that was made `at`; NaN: there was none. */
  learn(at: number, forecasts: Float64Array, outcome: number): void {
    const numbers = this.#numbers
    const size = this.#size
    const tau = this.#tau
    const then = this.#placeOf(at)
    const blendLoss = pinball(outcome - (numbers[then + size] ?? 0), tau)
    for (let i = 0; i < size; i++) {
      const residual = outcome - (forecasts[i] ?? NaN)
      const before = (numbers[size + i] ?? 0) * DECAY
      if (residual !== residual) {
        numbers[size + i] = before + blendLoss
        continue
      }
      numbers[size + i] = before + pinball(residual - (numbers[then + i] ?? 0), tau)
      const shift = numbers[i] ?? 0
      numbers[i] = shift + STEP * (residual > shift ? tau : tau - 1)
    }
    this.#learned = true
  }

  /** Before anything is learned, the forecast `first`. */
  blend(at: number, forecasts: Float64Array, first: number): number {
    const mixed = this.#learned ? this.#mixed(forecasts) : NaN
    const blend = mixed === mixed ? mixed : (forecasts[first] ?? NaN)
    const place = this.#placeOf(at)
    this.#numbers.copyWithin(place, 0, this.#size)
    this.#numbers[place + this.#size] = blend
    return blend
  }

  #mixed(forecasts: Float64Array): number {
    const numbers = this.#numbers
    const size = this.#size
    let best = Infinity
    for (let i = 0; i < size; i++) best = Math.min(best, numbers[size + i] ?? Infinity)
    const scale = -SHARPNESS / (best + 1e-9)
    let weights = 0
    let sum = 0
    for (let i = 0; i < size; i++) {
      const forecast = forecasts[i] ?? NaN
      if (forecast !== forecast) continue
      const weight = Math.exp(scale * ((numbers[size + i] ?? 0) - best))
      weights += weight
      sum += weight * (forecast + (numbers[i] ?? 0))
    }
    return sum / weights
  }

  #placeOf(at: number): number {
    return 2 * this.#size + (at % this.#pending) * (this.#size + 1)
  }
}
