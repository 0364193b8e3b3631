import { resizedRing } from './startUp.ts'
import type { Walk } from './walk.ts'

/**
 * What plans would have cost: tiny replays of the autoscaler, one for each plan and target utilisation, that run
 * along with the load. A fleet orders capacity as an HPA does (10 % tolerance, at most doubling or four pods a
 * step, no window of its own), what it orders serves after the start-up time, and work queues up to a minute. A
 * replica is taken to be of the size `unit`; that of the real ones need not be known.
 */
export const UTILISATIONS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15] as const
const COUNT = UTILISATIONS.length
const SLOT_S = 15
const LONGEST_WAIT_S = 60
const SLO_WAIT_S = 5
/** A scale-up within ten minutes of a scale-down is a flap. */
const FLAP_SLOTS = 40

/** What is known of a fleet, number by number. */
const PAID = 0
const VIOLATED = 1
const FLAPS = 2
const ORDERED = 3
const QUEUE = 4
const READY = 5
const READY_AT = 6
const WENT_DOWN = 7
const SIZE = 8

/** All fleets lie side by side in one array, plan by plan and utilisation by utilisation: each slot goes over all. */
export class Trials {
  readonly #fleets: Float64Array
  /** What each ordered in the last slots, as many as a start-up takes: slot by slot, in a ring. */
  #orders: Float64Array
  #slots: number
  /** What the autoscalers read last. */
  readonly #plans: Float64Array
  #count = 0

  constructor(plans: number, startSlots: number) {
    this.#slots = startSlots + 1
    this.#fleets = new Float64Array(plans * COUNT * SIZE)
    this.#orders = new Float64Array(plans * COUNT * this.#slots)
    this.#plans = new Float64Array(plans)
  }

  /** From now on a start takes so long; what earlier ones cost stays in the sums. */
  startsIn(startSlots: number): void {
    this.#slots = startSlots + 1
    const fleets = this.#fleets.length / SIZE
    this.#orders = resizedRing(this.#orders, this.#count, this.#slots, fleets)
  }

  visit(walk: Walk): void {
    walk.array(this.#fleets)
    walk.array(this.#orders)
    walk.array(this.#plans)
    this.#count = walk.number(this.#count)
  }

  /** Discounted sums: capacity paid, work that waited too long or was dropped, scale-ups soon after a scale-down. */
  paid(plan: number, utilisation: number): number {
    return this.#fleets[(plan * COUNT + utilisation) * SIZE + PAID] ?? 0
  }
  violated(plan: number, utilisation: number): number {
    return this.#fleets[(plan * COUNT + utilisation) * SIZE + VIOLATED] ?? 0
  }
  flaps(plan: number, utilisation: number): number {
    return this.#fleets[(plan * COUNT + utilisation) * SIZE + FLAPS] ?? 0
  }

  /** One slot: `load` came, `plans` are what the autoscalers read next; `unit` is the smallest fleet. */
  push(load: number, plans: Float64Array, unit: number, keep: number): void {
    const at = this.#count++
    if (at === 0) this.#begin(plans, unit)
    this.#serve(at, load * SLOT_S, keep)
    if (at > 0) this.#order(at, unit)
    this.#plans.set(plans)
  }

  #begin(plans: Float64Array, unit: number): void {
    const fleets = this.#fleets
    for (let e = 0, f = 0; e < plans.length; e++)
      for (let s = 0; s < COUNT; s++, f += SIZE) {
        const ordered = Math.max(unit, (plans[e] ?? 0) / (UTILISATIONS[s] ?? 1))
        fleets[f + ORDERED] = ordered
        fleets[f + READY] = ordered
        fleets[f + WENT_DOWN] = NEVER
      }
  }

  /** Fluid queues, first in, first out. */
  #serve(at: number, work: number, keep: number): void {
    const fleets = this.#fleets
    const count = fleets.length / SIZE
    const row = (at % this.#slots) * count
    for (let one = 0; one < count; one++) {
      const f = one * SIZE
      this.#orders[row + one] = fleets[f + ORDERED] ?? 0
      const ready = this.#ready(f, at)
      const before = fleets[f + QUEUE] ?? 0
      const queue = Math.max(0, before + work - ready * SLOT_S)
      const limit = LONGEST_WAIT_S * ready
      const left = queue > limit ? limit : queue
      let violated = (fleets[f + VIOLATED] ?? 0) * keep
      if (before !== 0 || queue !== 0) {
        const dropped = Math.max(0, queue - limit)
        const late = shareLate(Math.min(before, left) / ready, Math.max(before, left) / ready)
        violated += Math.min(work, dropped) + late * Math.max(work - dropped, 0)
      }
      fleets[f + QUEUE] = left
      fleets[f + VIOLATED] = violated
      fleets[f + PAID] = (fleets[f + PAID] ?? 0) * keep + (fleets[f + ORDERED] ?? 0)
      fleets[f + FLAPS] = (fleets[f + FLAPS] ?? 0) * keep
    }
  }

  /** Capacity that serves: the least ordered during the start-up. */
  #ready(f: number, at: number): number {
    const fleets = this.#fleets
    const slots = this.#slots
    const ordered = fleets[f + ORDERED] ?? 0
    let ready = fleets[f + READY] ?? 0
    if (ordered <= ready) {
      ready = ordered
      fleets[f + READY_AT] = at
    } else if (at - (fleets[f + READY_AT] ?? 0) >= slots) {
      ready = Infinity
      for (let back = 0; back < slots && back <= at; back++) {
        const value = this.#orders[((at - back) % slots) * (fleets.length / SIZE) + f / SIZE] ?? 0
        if (value < ready) {
          ready = value
          fleets[f + READY_AT] = at - back
        }
      }
    }
    fleets[f + READY] = ready
    return ready
  }

  #order(at: number, unit: number): void {
    const fleets = this.#fleets
    const plans = this.#plans
    for (let e = 0, f = 0; e < plans.length; e++) {
      const plan = plans[e] ?? 0
      for (let s = 0; s < COUNT; s++, f += SIZE) {
        const ordered = fleets[f + ORDERED] ?? 0
        const wanted = plan / (UTILISATIONS[s] ?? 1)
        const ratio = wanted / ordered
        if (ratio >= 0.9 && ratio <= 1.1) continue
        const next = Math.max(unit, Math.ceil(wanted / unit) * unit)
        if (next > ordered) {
          if (at - (fleets[f + WENT_DOWN] ?? 0) < FLAP_SLOTS)
            fleets[f + FLAPS] = (fleets[f + FLAPS] ?? 0) + 1
          fleets[f + WENT_DOWN] = NEVER
          fleets[f + ORDERED] = Math.min(next, Math.max(ordered + 4 * unit, 2 * ordered))
        } else if (next < ordered) {
          fleets[f + WENT_DOWN] = at
          fleets[f + ORDERED] = next
        }
      }
    }
  }
}

/** Slot of a scale-down that was not, or was followed by a scale-up. */
const NEVER = -FLAP_SLOTS

/** Share of the work that waits longer than the SLO, where the wait grows or falls evenly between two. */
function shareLate(least: number, most: number): number {
  if (most <= SLO_WAIT_S) return 0
  return least >= SLO_WAIT_S ? 1 : (most - SLO_WAIT_S) / (most - least)
}
