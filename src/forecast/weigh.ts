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

/** How much more or less violation is accepted, too. */
const SHARES = [0.5, 1, 2]

/** Logs of the violations of one plan, by utilisation; filled anew for each. */
const violations = new Float64Array(COUNT)

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
    const wanted = SHARES.map((share) => Math.log(share * accepted))
    for (let e = 0; e < plans; e++) {
      let cost = 0
      let scale = 0
      for (let s = 0; s < COUNT; s++)
        violations[s] = Math.log(Math.max(trials.violated(e, s) / work, 1e-6))
      for (let i = 0; i < wanted.length; i++) {
        const { paid, flaps, utilisation } = pointAt(trials, e, wanted[i] ?? 0)
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

/** Interpolates, in logs, from the highest utilisation down to the one that violates no more than `wanted`. */
function pointAt(trials: Trials, plan: number, wanted: number): Point {
  let s = COUNT - 1
  while (s >= 0 && (violations[s] ?? 0) > wanted) s--
  const low = Math.max(s, 0)
  const paid = Math.log(trials.paid(plan, low))
  const flaps = trials.flaps(plan, low)
  const utilisation = UTILISATIONS[low] ?? 1
  const violation = violations[low] ?? 0
  if (s < 0) return { paid: paid + 0.3 * (violation - wanted), flaps, utilisation }
  if (s === COUNT - 1) return { paid, flaps, utilisation }
  const above = violations[s + 1] ?? 0
  const g = Math.min(Math.max((above - wanted) / Math.max(above - violation, 1e-9), 0), 1)
  return {
    paid: (1 - g) * Math.log(trials.paid(plan, s + 1)) + g * paid,
    flaps: (1 - g) * trials.flaps(plan, s + 1) + g * flaps,
    utilisation: (1 - g) * (UTILISATIONS[s + 1] ?? 1) + g * utilisation,
  }
}
