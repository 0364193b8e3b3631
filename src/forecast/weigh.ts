import { type Trial, UTILISATIONS } from './trial.ts'
import type { Walk } from './walk.ts'

const COUNT = UTILISATIONS.length
/** The utilisation at which the HPA's own default defines how much violation is accepted. */
const USUAL = 4
const LEAST_VIOLATION = 0.001
const MOST_VIOLATION = 0.05
/** Price of a flap a day, and of one above what the HPA's default has. */
const FLAP = 0.0005
const EXTRA_FLAP = 0.002
const TEMPERATURE = 0.004
/** Slots after which experience counts as much as the prior: 6 hours. */
const PRIOR_SLOTS = 1440
const SLOTS_A_DAY = 5760

interface Point {
  /** ln of the capacity paid at the accepted violation. */
  paid: number
  flaps: number
  utilisation: number
}

/**
 * Weights of plans by what they would have cost on the recent past: ln of the capacity paid where each violates
 * as much as the HPA's default does at 70 % (half, and twice as much, too), plus the price of flaps; shrunk to
 * `prior` while little is known; weight ∝ exp(−cost/temperature). `scale` (logs) makes the plans comparable:
 * read against one target, all are to violate alike.
 */
export class Weights {
  readonly weights: Float64Array
  readonly scale: Float64Array
  readonly #costs: Float64Array
  readonly #prior: readonly number[]
  readonly #point: Point = { paid: 0, flaps: 0, utilisation: 0 }

  /** The last of `prior` belongs to the HPA's default; the first is the plan the scale refers to. */
  constructor(prior: readonly number[]) {
    this.#prior = prior
    this.weights = new Float64Array(prior.length)
    this.scale = new Float64Array(prior.length)
    this.#costs = new Float64Array(prior.length)
    this.#weigh(0)
  }

  visit(walk: Walk): void {
    walk.array(this.weights)
    walk.array(this.scale)
    walk.array(this.#costs)
  }

  /** `work` and `slots` are discounted sums, as those of the trials. */
  update(trials: readonly Trial[], work: number, slots: number): void {
    const usual = trials.at(-1)
    if (usual === undefined || work <= 0) return
    const accepted = Math.min(
      MOST_VIOLATION,
      Math.max(LEAST_VIOLATION, (usual.violated[USUAL] ?? 0) / work),
    )
    const trust = slots / (slots + PRIOR_SLOTS)
    const usualFlaps = usual.flaps[USUAL] ?? 0
    let reference = 0
    for (let e = 0; e < trials.length; e++) {
      const trial = trials[e]
      if (trial === undefined) continue
      let cost = 0
      let scale = 0
      for (const share of [0.5, 1, 2]) {
        const { paid, flaps, utilisation } = this.#pointAt(trial, work, share * accepted)
        const extra = Math.max(0, flaps - usualFlaps)
        cost += paid + ((FLAP * flaps + EXTRA_FLAP * extra) / slots) * SLOTS_A_DAY
        scale += Math.log(0.7 / utilisation)
      }
      this.#costs[e] = cost / 3
      if (e === 0) reference = scale / 3
      this.scale[e] =
        (this.scale[e] ?? 0) + 0.05 * ((scale / 3 - reference) * trust - (this.scale[e] ?? 0))
    }
    this.#weigh(trust)
  }

  #weigh(trust: number): void {
    const { weights } = this
    const costs = this.#costs
    let mean = 0
    for (const cost of costs) mean += cost / costs.length
    let best = Infinity
    for (let e = 0; e < costs.length; e++) {
      costs[e] = ((costs[e] ?? 0) - mean) * trust + (this.#prior[e] ?? 0) * (1 - trust)
      best = Math.min(best, costs[e] ?? 0)
    }
    let sum = 0
    for (let e = 0; e < costs.length; e++) {
      weights[e] = Math.exp(-((costs[e] ?? 0) - best) / TEMPERATURE)
      sum += weights[e] ?? 0
    }
    for (let e = 0; e < costs.length; e++) weights[e] = (weights[e] ?? 0) / sum
  }

  /** Interpolates, in logs, from the highest utilisation down to the one that violates no more than accepted. */
  #pointAt(trial: Trial, work: number, accepted: number): Point {
    const point = this.#point
    const paid = (s: number) => Math.log(trial.paid[s] ?? 1)
    const violation = (s: number) => Math.log(Math.max((trial.violated[s] ?? 0) / work, 1e-6))
    const wanted = Math.log(accepted)
    let s = COUNT - 1
    while (s >= 0 && violation(s) > wanted) s--
    if (s < 0) {
      point.paid = paid(0) + 0.3 * (violation(0) - wanted)
      point.flaps = trial.flaps[0] ?? 0
      point.utilisation = UTILISATIONS[0]
      return point
    }
    const above = Math.min(s + 1, COUNT - 1)
    const span = Math.max(violation(above) - violation(s), 1e-9)
    const g = s === COUNT - 1 ? 1 : Math.min(Math.max((violation(above) - wanted) / span, 0), 1)
    const mix = (low: number, high: number) => (1 - g) * high + g * low
    point.paid = mix(paid(s), paid(above))
    point.flaps = mix(trial.flaps[s] ?? 0, trial.flaps[above] ?? 0)
    point.utilisation = mix(UTILISATIONS[s] ?? 1, UTILISATIONS[above] ?? 1)
    return point
  }
}
