import { resizedRing } from './startUp.ts'
import type { Walk } from './walk.ts'

/** A forecast that is no further below the plan is no reason to go down. */
const BAND = 0.1

/** What is known of a plan, number by number. */
const PLAN = 0
/** Slots in a row that the forecast was below the band. */
const BELOW = 1
const BACKLOG = 2
const SIZE = 3

/**
 * How forecasts become plans: up at once; down only after the forecast has been below a band under the plan for
 * some slots in a row, and then to the largest forecast of those. What the plan itself would have left waiting (at
 * most a minute of its capacity) is added, so that a backlog is worked off within a minute.
 */
export class Releases {
  /** What is known of each plan; then, of each, a ring of its last forecasts and one of its last plans. */
  #numbers: Float64Array
  #slots: readonly number[]
  #startSlots: number
  #count = 0

  /** `slots`: how long each plan waits; `startSlots`: from the order of a pod to its service. */
  constructor(slots: readonly number[], startSlots: number) {
    this.#slots = slots
    this.#startSlots = startSlots + 2
    this.#numbers = new Float64Array(this.#length())
  }

  /** From now on plans wait, and a start takes, so long; what is planned stays. */
  startsIn(slots: readonly number[], startSlots: number): void {
    const before = this.#numbers
    const lengths = this.#rings()
    this.#slots = slots
    this.#startSlots = startSlots + 2
    this.#numbers = new Float64Array(this.#length())
    let from = slots.length * SIZE
    let to = from
    this.#numbers.set(before.subarray(0, from))
    for (const [ring, length] of this.#rings().entries()) {
      const end = from + (lengths[ring] ?? 0)
      this.#numbers.set(resizedRing(before.subarray(from, end), this.#count, length), to)
      from = end
      to += length
    }
  }

  #rings(): readonly number[] {
    return this.#slots.flatMap((slots) => [slots, this.#startSlots])
  }

  #length(): number {
    return this.#rings().reduce((sum, length) => sum + length, this.#slots.length * SIZE)
  }

  visit(walk: Walk): void {
    walk.array(this.#numbers)
    this.#count = walk.number(this.#count)
  }

  /** Slots until the plan can go down, if the load stays as it is. */
  slotsLeft(plan: number): number {
    return (this.#slots[plan] ?? 0) - (this.#numbers[plan * SIZE + BELOW] ?? 0)
  }

  /** One slot: `forecasts` in, `plans` out. */
  push(forecasts: Float64Array, load: number, plans: Float64Array): void {
    const slots = this.#slots
    const numbers = this.#numbers
    let ring = slots.length * SIZE
    for (let e = 0; e < slots.length; e++) {
      const of = { plan: e * SIZE, ring, slots: slots[e] ?? 0 }
      this.#push(of, forecasts[e] ?? 0, load)
      plans[e] = numbers[of.plan + PLAN] ?? 0
      ring += of.slots + this.#startSlots
    }
    this.#count += 1
  }

  #push({ plan: p, ring, slots }: Place, forecast: number, load: number): void {
    const numbers = this.#numbers
    const at = this.#count
    const plans = ring + slots
    if (at === 0) {
      numbers[p + PLAN] = forecast
      numbers.fill(forecast, plans, plans + this.#startSlots)
    }
    const plan = numbers[p + PLAN] ?? 0
    const wanted = forecast + this.#waiting(p, plans, load) / 60
    numbers[ring + (at % slots)] = wanted
    let next = plan
    let below = 0
    if (wanted >= plan) next = wanted
    else if (wanted < plan * (1 - BAND)) {
      below = (numbers[p + BELOW] ?? 0) + 1
      if (below >= slots) {
        next = 0
        for (let i = 0; i < slots; i++) next = Math.max(next, numbers[ring + i] ?? 0)
      }
    }
    numbers[p + PLAN] = next
    numbers[p + BELOW] = below
    numbers[plans + (at % this.#startSlots)] = next
  }

  /** Work that waits, in units of load × s, where capacity is a fifth above the least plan of the start-up. */
  #waiting(p: number, plans: number, load: number): number {
    const numbers = this.#numbers
    let least = Infinity
    for (let i = 0; i < this.#startSlots; i++) least = Math.min(least, numbers[plans + i] ?? 0)
    const capacity = Math.max(1.2 * least, 1e-9)
    const more = (numbers[p + BACKLOG] ?? 0) + (load - capacity) * 15
    const backlog = more <= 0 ? 0 : Math.min(more, 60 * capacity)
    numbers[p + BACKLOG] = backlog
    return backlog
  }
}

/** Where the numbers of a plan begin, and those of its rings, of which the first has `slots`. */
interface Place {
  readonly plan: number
  readonly ring: number
  readonly slots: number
}
