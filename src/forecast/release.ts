import { resizedRing } from './startUp.ts'
import type { Walk } from './walk.ts'

const RING = 64
const MASK = RING - 1
/** A forecast that is no further below the plan is no reason to go down. */
const BAND = 0.1

/**
 * How a forecast becomes a plan: up at once; down only after the forecast has been below a band under the plan
 * for `slots` in a row, and then to the largest forecast of those. What the plan itself would have left waiting
 * (at most a minute of its capacity) is added, so that a backlog is worked off within a minute.
 */
export class Release {
  plan = 0
  /** Slots in a row below the band. */
  below = 0
  slots: number
  readonly #recent = new Float64Array(RING)
  #plans: Float64Array
  #backlog = 0
  #count = 0

  /** `startSlots`: from the order of a pod to its service. */
  constructor(slots: number, startSlots: number) {
    this.slots = slots
    this.#plans = new Float64Array(startSlots + 2)
  }

  /** From now on it goes down after `slots`, and a start takes so long; the plan stays. */
  startsIn(slots: number, startSlots: number): void {
    this.slots = slots
    this.#plans = resizedRing(this.#plans, this.#count, startSlots + 2)
  }

  visit(walk: Walk): void {
    this.plan = walk.number(this.plan)
    this.below = walk.number(this.below)
    this.#backlog = walk.number(this.#backlog)
    this.#count = walk.number(this.#count)
    walk.array(this.#recent)
    walk.array(this.#plans)
  }

  push(forecast: number, load: number): void {
    const at = this.#count++
    if (at === 0) {
      this.plan = forecast
      this.#plans.fill(forecast)
    }
    const wanted = forecast + this.#waiting(load) / 60
    const recent = this.#recent
    recent[at & MASK] = wanted
    if (wanted >= this.plan) {
      this.plan = wanted
      this.below = 0
    } else if (wanted < this.plan * (1 - BAND)) {
      this.below += 1
      if (this.below >= this.slots) {
        let max = wanted
        for (let back = Math.min(this.slots, at + 1) - 1; back > 0; back--)
          max = Math.max(max, recent[(at - back) & MASK] ?? 0)
        this.plan = max
      }
    } else this.below = 0
    this.#plans[at % this.#plans.length] = this.plan
  }

  /** Work that waits, in units of load × s, where capacity is a fifth above the least plan of the start-up. */
  #waiting(load: number): number {
    let least = Infinity
    const plans = this.#plans
    for (let i = 0; i < plans.length; i++) least = Math.min(least, plans[i] ?? 0)
    const capacity = Math.max(1.2 * least, 1e-9)
    const backlog = this.#backlog + (load - capacity) * 15
    this.#backlog = backlog <= 0 ? 0 : Math.min(backlog, 60 * capacity)
    return this.#backlog
  }
}
