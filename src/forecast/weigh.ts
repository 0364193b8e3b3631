import { type Trials, UTILISATIONS } from './trial.ts'
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
  readonly paid: number
  readonly flaps: number
  readonly utilisation: number
}

/**
 * Weights of plans by what they would have cost on the recent past: ln of the capacity paid where each violates
 * as much as the HPA's default does at 70 % (half, and twice as much, too), plus the price of flaps; shrunk to
 * `prior` while little is known; weight ∝ exp(−cost/temperature). `scale` (logs) makes the plans comparable:
 * read against one target, all are to violate alike.
 */
export class Weights {
  /** The weights of all plans, then their scales. */
  readonly #numbers: Float64Array
  readonly #prior: readonly number[]

  /** The last of `prior` belongs to the HPA's default; the first is the plan the scale refers to. */
  constructor(prior: readonly number[]) {
    this.#prior = prior
    this.#numbers = new Float64Array(2 * prior.length)
    this.#weigh(
      prior.map(() => 0),
      0,
    )
  }

  visit(walk: Walk): void {
    walk.array(this.#numbers)
  }

  weight(plan: number): number {
    return this.#numbers[plan] ?? 0
  }

  scale(plan: number): number {
    return this.#numbers[this.#prior.length + plan] ?? 0
  }

  /** `work` and `slots` are discounted sums, as those of the trials. */
  update(trials: Trials, work: number, slots: number): void {
    if (work <= 0) return
    const plans = this.#prior.length
    const usual = plans - 1
    const accepted = Math.min(
      MOST_VIOLATION,
      Math.max(LEAST_VIOLATION, trials.violated(usual, USUAL) / work),
    )
    const trust = slots / (slots + PRIOR_SLOTS)
    const usualFlaps = trials.flaps(usual, USUAL)
    const costs: number[] = []
    let reference = 0
    for (let e = 0; e < plans; e++) {
      let cost = 0
      let scale = 0
      for (const share of [0.5, 1, 2]) {
        const { paid, flaps, utilisation } = pointAt(trials, e, {
          work,
          accepted: share * accepted,
        })
        const extra = Math.max(0, flaps - usualFlaps)
        cost += paid + ((FLAP * flaps + EXTRA_FLAP * extra) / slots) * SLOTS_A_DAY
        scale += Math.log(0.7 / utilisation)
      }
      costs.push(cost / 3)
      if (e === 0) reference = scale / 3
      const before = this.scale(e)
      this.#numbers[plans + e] = before + 0.05 * ((scale / 3 - reference) * trust - before)
    }
    this.#weigh(costs, trust)
  }

  #weigh(costs: readonly number[], trust: number): void {
    const prior = this.#prior
    const weights = this.#numbers
    let mean = 0
    for (const cost of costs) mean += cost / costs.length
    let best = Infinity
    for (let e = 0; e < costs.length; e++) {
      const cost = ((costs[e] ?? 0) - mean) * trust + (prior[e] ?? 0) * (1 - trust)
      weights[e] = cost
      best = Math.min(best, cost)
    }
    let sum = 0
    for (let e = 0; e < costs.length; e++) {
      const weight = Math.exp(-((weights[e] ?? 0) - best) / TEMPERATURE)
      weights[e] = weight
      sum += weight
    }
    for (let e = 0; e < costs.length; e++) weights[e] = (weights[e] ?? 0) / sum
  }
}

/** Interpolates, in logs, from the highest utilisation down to the one that violates no more than accepted. */
function pointAt(
  trials: Trials,
  plan: number,
  at: { readonly work: number; readonly accepted: number },
): Point {
  const { work, accepted } = at
  const paid = (s: number) => Math.log(trials.paid(plan, s))
  const flaps = (s: number) => trials.flaps(plan, s)
  const violation = (s: number) => Math.log(Math.max(trials.violated(plan, s) / work, 1e-6))
  const wanted = Math.log(accepted)
  let s = COUNT - 1
  while (s >= 0 && violation(s) > wanted) s--
  if (s < 0) {
    const most = paid(0) + 0.3 * (violation(0) - wanted)
    return { paid: most, flaps: flaps(0), utilisation: UTILISATIONS[0] }
  }
  const above = Math.min(s + 1, COUNT - 1)
  const span = Math.max(violation(above) - violation(s), 1e-9)
  const g = s === COUNT - 1 ? 1 : Math.min(Math.max((violation(above) - wanted) / span, 0), 1)
  const mix = (low: number, high: number) => (1 - g) * high + g * low
  return {
    paid: mix(paid(s), paid(above)),
    flaps: mix(flaps(s), flaps(above)),
    utilisation: mix(UTILISATIONS[s] ?? 1, UTILISATIONS[above] ?? 1),
  }
}
