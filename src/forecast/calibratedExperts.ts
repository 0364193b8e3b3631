import { pinball } from './quantileRegression.ts'
import type { Walk } from './walk.ts'

/** Step of the calibration, in log units. */
const STEP = 0.004
/** Half-life of the losses: 6 hours of slots. */
const HALF_LIFE = 1440
const DECAY = 0.5 ** (1 / HALF_LIFE)
const SHARPNESS = 8

/** What belongs to a forecast that was made: the shifts then, and the blend. */
export interface Made {
  readonly shifts: Float64Array
  blend: number
}

/**
 * Simple forecasts, each shifted to its own quantile and then blended. The shift follows
 * q ← q + η (τ − 1[y ≤ x + q]) (adaptive conformal inference, Gibbs and Candès 2021); the blend weighs by
 * exp(−8 (L − L*)/L*) with L the discounted pinball loss and L* the best one (exponential weights, scale-free).
 * One that has no forecast sleeps: it takes the loss of the blend (specialists, Freund et al. 1997).
 */
export class CalibratedExperts {
  readonly shifts: Float64Array
  readonly #losses: Float64Array
  readonly #mix: Float64Array
  readonly #tau: number
  #learned = false

  constructor(size: number, tau: number) {
    this.#tau = tau
    this.shifts = new Float64Array(size)
    this.#losses = new Float64Array(size)
    this.#mix = new Float64Array(size)
  }

  visit(walk: Walk): void {
    walk.array(this.shifts)
    walk.array(this.#losses)
    walk.array(this.#mix)
    this.#learned = walk.flag(this.#learned)
  }

  /** `forecasts` are those of the time when they were made; NaN: there was none. */
  learn(forecasts: Float64Array, { shifts, blend }: Made, outcome: number): void {
    const losses = this.#losses
    const now = this.shifts
    const tau = this.#tau
    const blendLoss = pinball(outcome - blend, tau)
    for (let i = 0; i < losses.length; i++) {
      const residual = outcome - (forecasts[i] ?? NaN)
      if (residual !== residual) {
        losses[i] = (losses[i] ?? 0) * DECAY + blendLoss
        continue
      }
      losses[i] = (losses[i] ?? 0) * DECAY + pinball(residual - (shifts[i] ?? 0), tau)
      const shift = now[i] ?? 0
      now[i] = shift + STEP * (residual > shift ? tau : tau - 1)
    }
    this.#learned = true
    this.#weigh()
  }

  /** Before anything is learned, the forecast `first`. */
  blend(forecasts: Float64Array, first: number): number {
    if (!this.#learned) return forecasts[first] ?? NaN
    const mix = this.#mix
    const { shifts } = this
    let weights = 0
    let sum = 0
    for (let i = 0; i < mix.length; i++) {
      const forecast = forecasts[i] ?? NaN
      if (forecast !== forecast) continue
      const weight = mix[i] ?? 0
      weights += weight
      sum += weight * (forecast + (shifts[i] ?? 0))
    }
    return weights > 0 ? sum / weights : (forecasts[first] ?? NaN)
  }

  #weigh(): void {
    const losses = this.#losses
    let best = Infinity
    for (let i = 0; i < losses.length; i++) best = Math.min(best, losses[i] ?? Infinity)
    const scale = -SHARPNESS / (best + 1e-9)
    for (let i = 0; i < losses.length; i++)
      this.#mix[i] = Math.exp(scale * ((losses[i] ?? 0) - best))
  }
}
