import { Releases } from './release.ts'
import { Trials } from './trial.ts'
import { Weights } from './weigh.ts'
import type { Walk } from './walk.ts'

/** Slots that a forecast lies below its plan before the plan goes down; less patience where a start is quick. */
const PATIENCE = 5
const PATIENCE_QUICK = 4
const QUICK_START_SLOTS = 4

/** Plans: which forecasts are averaged (in logs), and how long it takes to go down where not `PATIENCE`. */
const PLANS: readonly { readonly heads: readonly number[]; readonly slots?: number }[] = [
  { heads: [1, 0, 0, 0, 0] },
  { heads: [0, 0, 0, 0, 1] },
  { heads: [0, 0, 1, 0, 0] },
  { heads: [1, 0, 1, 0, 1] },
  { heads: [1, 1, 1, 1, 1], slots: 8 },
  { heads: [0, 0, 0, 1, 0] },
  { heads: [0, 1, 0, 0, 1] },
  { heads: [0, 1, 0, 1, 0], slots: 40 },
]
const WAITS = PLANS.map(({ slots }) => slots ?? PATIENCE)
const WAITS_QUICK = PLANS.map(({ slots }) => slots ?? PATIENCE_QUICK)
/** Cost, in logs, that every plan but the first is taken to have while nothing is known. */
const PRIOR = 0.03
const PRIORS = [0, ...PLANS.map(() => PRIOR)]
const HPA = PLANS.length
/** The HPA's default window of 300 s, in slots. */
const HPA_SLOTS = 20
/** Slots between two comparisons of the plans. */
export const WEIGH_EVERY = 60
const LONGEST_MEMORY_SLOTS = 41_551

/** Filled anew with each slot, so one of each does for all series. */
const forecasts = new Float64Array(PLANS.length)
const plans = new Float64Array(PLANS.length + 1)

/**
 * From forecasts to one plan: release rules make plans of them, each plan (and the HPA's default) is tried on the
 * recent past, and all are mixed by what they would have cost there.
 */
export class Plans {
  /** Slots until a plan that counts can go down, if the load stays as it is. */
  slotsToRelease = 0
  readonly #releases: Releases
  readonly #trials: Trials
  readonly #weights = new Weights(PRIORS)
  readonly #minutes = new Float64Array(HPA_SLOTS)
  #count = 0
  #work = 0
  #slots = 0

  /** `startSlots`: from the order of a pod to its service. */
  constructor(startSlots: number) {
    this.#releases = new Releases(waitsOf(startSlots), startSlots)
    this.#trials = new Trials(PLANS.length + 1, startSlots)
  }

  /** From now on a start takes so long; the plans in force stay. */
  startsIn(startSlots: number): void {
    this.#releases.startsIn(waitsOf(startSlots), startSlots)
    this.#trials.startsIn(startSlots)
    this.slotsToRelease = this.#slotsLeft()
  }

  visit(walk: Walk): void {
    for (const part of [this.#releases, this.#trials, this.#weights]) part.visit(walk)
    walk.array(this.#minutes)
    this.slotsToRelease = walk.number(this.slotsToRelease)
    this.#count = walk.number(this.#count)
    this.#work = walk.number(this.#work)
    this.#slots = walk.number(this.#slots)
  }

  /** How much the HPA's default counts. */
  get usual(): number {
    return this.#weights.weight(HPA)
  }

  /**
   * One slot: `load` came, `minute` is its mean of the last minute, `heads` are logs of what is forecast, and `unit`
   * is a replica's load. Answers the load to plan for.
   */
  push(load: number, minute: number, unit: number, heads: Float64Array): number {
    const at = this.#count++
    const keep = 1 - Math.max(1 / LONGEST_MEMORY_SLOTS, Math.min(0.5, 2 / (at + 1)))
    this.#work = this.#work * keep + load * 15
    this.#slots = this.#slots * keep + 1
    for (let e = 0; e < HPA; e++) forecasts[e] = Math.exp(meanOf(heads, PLANS[e]?.heads))
    this.#releases.push(forecasts, load, plans)
    plans[HPA] = this.#hpaDefault(at, minute)
    const planned = this.#mixed()
    this.#trials.push(load, plans, unit, keep)
    if (at % WEIGH_EVERY === WEIGH_EVERY - 1)
      this.#weights.update(this.#trials, this.#work, this.#slots)
    this.slotsToRelease = this.#slotsLeft()
    return planned
  }

  /** Mean of the plans' logs, each on its own scale, by their weights. */
  #mixed(): number {
    const weights = this.#weights
    let planned = 0
    for (let e = 0; e <= HPA; e++) {
      const weight = weights.weight(e)
      if (weight > 1e-4)
        planned += weight * (Math.log(Math.max(plans[e] ?? 0, 1e-9)) + weights.scale(e))
    }
    return Math.exp(planned)
  }

  #slotsLeft(): number {
    if (this.usual > 0.5) return HPA_SLOTS
    let slots = 0
    for (let e = 0; e < HPA; e++)
      if (this.#weights.weight(e) > 0.1) slots = Math.max(slots, this.#releases.slotsLeft(e))
    return slots
  }

  /** What the HPA's default does to the one-minute mean. */
  #hpaDefault(at: number, minute: number): number {
    const minutes = this.#minutes
    minutes[at % HPA_SLOTS] = minute
    let max = 0
    for (let i = 0; i < HPA_SLOTS; i++) max = Math.max(max, minutes[i] ?? 0)
    return max
  }
}

function waitsOf(startSlots: number): readonly number[] {
  return startSlots < QUICK_START_SLOTS ? WAITS_QUICK : WAITS
}

function meanOf(heads: Float64Array, shares: readonly number[] | undefined): number {
  let sum = 0
  let count = 0
  for (let i = 0; i < heads.length; i++) {
    const share = shares?.[i] ?? 0
    sum += share * (heads[i] ?? 0)
    count += share
  }
  return sum / count
}
