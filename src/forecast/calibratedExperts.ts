import { pinball } from './quantileRegression.ts'

/** Step of the calibration, in log units. */
const STEP = 0.004
/** Half-life of the losses: 6 hours of slots. */
const HALF_LIFE = 1440
const DECAY = 0.5 ** (1 / HALF_LIFE)
const SHARPNESS = 8
const UNKNOWN_LOSS = 1e3

/**
 * Simple forecasts, each shifted to its own quantile and then blended. The shift follows
 * q ← q + η (τ − 1[y ≤ x + q]) (adaptive conformal inference, Gibbs and Candès 2021); the blend weighs by
 * exp(−8 (L − L*)/L*) with L the discounted pinball loss and L* the best one (exponential weights, scale-free).
 */
export class CalibratedExperts {
  readonly shifts: Float64Array
  readonly #losses: Float64Array
  readonly #tau: number
  #learned = false

  constructor(size: number, tau: number) {
    this.#tau = tau
    this.shifts = new Float64Array(size)
    this.#losses = new Float64Array(size)
  }

  /** `forecasts` and `shifts` are those of the time when they were made; NaN: there was none. */
  learn(forecasts: Float64Array, shifts: Float64Array, outcome: number): void {
    const losses = this.#losses
    const now = this.shifts
    const tau = this.#tau
    for (let i = 0; i < losses.length; i++) {
      const residual = outcome - (forecasts[i] ?? NaN)
      if (residual !== residual) {
        losses[i] = (losses[i] ?? 0) * DECAY + UNKNOWN_LOSS
        continue
      }
      losses[i] = (losses[i] ?? 0) * DECAY + pinball(residual - (shifts[i] ?? 0), tau)
      const shift = now[i] ?? 0
      now[i] = shift + STEP * (residual > shift ? tau : tau - 1)
    }
    this.#learned = true
  }

  /** NaN where no expert has a forecast. */
  blend(forecasts: Float64Array, first: number): number {
    const losses = this.#losses
    if (!this.#learned) return forecasts[first] ?? NaN
    let best = Infinity
    for (let i = 0; i < losses.length; i++) {
      const loss = losses[i] ?? Infinity
      if (loss < best && (forecasts[i] ?? NaN) === forecasts[i]) best = loss
    }
    const scale = -SHARPNESS / (best + 1e-9)
    let weights = 0
    let sum = 0
    for (let i = 0; i < losses.length; i++) {
      const forecast = forecasts[i] ?? NaN
      if (forecast !== forecast) continue
      const weight = Math.exp(scale * ((losses[i] ?? 0) - best))
      weights += weight
      sum += weight * (forecast + (this.shifts[i] ?? 0))
    }
    return sum / weights
  }
}
