import { resizedRing } from './startUp.ts'
import type { Walk } from './walk.ts'

/**
 * What a plan would have cost: tiny replays of the autoscaler, one for each target utilisation, that run along
 * with the load. A fleet orders capacity as an HPA does (10 % tolerance, at most doubling or four pods a step,
 * no window of its own), what it orders serves after the start-up time, and work queues up to a minute. A
 * replica is taken to be of the size `unit`; that of the real ones need not be known.
 */
export const UTILISATIONS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15] as const
const COUNT = UTILISATIONS.length
const SLOT_S = 15
const LONGEST_WAIT_S = 60
const SLO_WAIT_S = 5
/** A scale-up within ten minutes of a scale-down is a flap. */
const FLAP_SLOTS = 40

export class Trial {
  /** Discounted sums for each utilisation: capacity paid, work that waited too long or was dropped, flaps. */
  readonly paid = new Float64Array(COUNT)
  readonly violated = new Float64Array(COUNT)
  readonly flaps = new Float64Array(COUNT)
  readonly #ordered = new Float64Array(COUNT)
  readonly #queue = new Float64Array(COUNT)
  #ring: Float64Array
  readonly #ready = new Float64Array(COUNT)
  readonly #readyAt = new Int32Array(COUNT)
  readonly #wentDown = new Int32Array(COUNT).fill(-FLAP_SLOTS)
  readonly #isDown = new Uint8Array(COUNT)
  #length: number
  #count = 0
  #plan = 0

  constructor(startSlots: number) {
    this.#length = startSlots + 1
    this.#ring = new Float64Array(COUNT * this.#length)
  }

  /** From now on a start takes so long; what earlier ones cost stays in the sums. */
  startsIn(startSlots: number): void {
    const length = startSlots + 1
    const ring = new Float64Array(COUNT * length)
    for (let s = 0; s < COUNT; s++) {
      const before = this.#ring.subarray(s * this.#length, (s + 1) * this.#length)
      ring.set(resizedRing(before, this.#count, length), s * length)
    }
    this.#ring = ring
    this.#length = length
  }

  visit(walk: Walk): void {
    walk.array(this.paid)
    walk.array(this.violated)
    walk.array(this.flaps)
    walk.array(this.#ordered)
    walk.array(this.#queue)
    walk.array(this.#ring)
    walk.array(this.#ready)
    walk.array(this.#readyAt)
    walk.array(this.#wentDown)
    walk.array(this.#isDown)
    this.#count = walk.number(this.#count)
    this.#plan = walk.number(this.#plan)
  }

  /** One slot: `load` came, `plan` is what the autoscaler reads next; `unit` is the smallest fleet. */
  push(load: number, plan: number, unit: number, keep: number): void {
    const at = this.#count++
    const ordered = this.#ordered
    if (at === 0) {
      for (let s = 0; s < COUNT; s++) {
        ordered[s] = Math.max(unit, plan / (UTILISATIONS[s] ?? 1))
        this.#ready[s] = ordered[s] ?? 0
        this.#ring.fill(ordered[s] ?? 0, s * this.#length, (s + 1) * this.#length)
      }
    }
    const work = load * SLOT_S
    for (let s = 0; s < COUNT; s++) {
      this.#serve(s, at, work, keep)
      this.paid[s] = (this.paid[s] ?? 0) * keep + (ordered[s] ?? 0)
      this.flaps[s] = (this.flaps[s] ?? 0) * keep
      if (at > 0) this.#order(s, at, this.#plan / (UTILISATIONS[s] ?? 1), unit)
    }
    this.#plan = plan
  }

  /** Capacity that serves is the least ordered during the start-up; fluid queue, first in, first out. */
  #serve(s: number, at: number, work: number, keep: number): void {
    const length = this.#length
    const ordered = this.#ordered[s] ?? 0
    const slot = s * length
    this.#ring[slot + (at % length)] = ordered
    let ready = this.#ready[s] ?? 0
    if (ordered <= ready) {
      ready = ordered
      this.#readyAt[s] = at
    } else if (at - (this.#readyAt[s] ?? 0) >= length) {
      ready = Infinity
      for (let back = 0; back < length && back <= at; back++) {
        const value = this.#ring[slot + ((at - back) % length)] ?? 0
        if (value < ready) {
          ready = value
          this.#readyAt[s] = at - back
        }
      }
    }
    this.#ready[s] = ready
    const before = this.#queue[s] ?? 0
    const limit = LONGEST_WAIT_S * ready
    let queue = Math.max(0, before + work - ready * SLOT_S)
    let violated = (this.violated[s] ?? 0) * keep
    if (before !== 0 || queue !== 0) {
      const dropped = Math.max(0, queue - limit)
      if (queue > limit) queue = limit
      const least = Math.min(before, queue) / ready
      const most = Math.max(before, queue) / ready
      const late =
        most <= SLO_WAIT_S ? 0 : least >= SLO_WAIT_S ? 1 : (most - SLO_WAIT_S) / (most - least)
      violated += Math.min(work, dropped) + late * Math.max(work - dropped, 0)
    }
    this.violated[s] = violated
    this.#queue[s] = queue
  }

  #order(s: number, at: number, wanted: number, unit: number): void {
    const ordered = this.#ordered[s] ?? 0
    const ratio = wanted / ordered
    if (ratio >= 0.9 && ratio <= 1.1) return
    const next = Math.max(unit, Math.ceil(wanted / unit) * unit)
    if (next > ordered) {
      if (this.#isDown[s] === 1 && at - (this.#wentDown[s] ?? 0) < FLAP_SLOTS)
        this.flaps[s] = (this.flaps[s] ?? 0) + 1
      this.#isDown[s] = 0
      this.#ordered[s] = Math.min(next, Math.max(ordered + 4 * unit, 2 * ordered))
    } else if (next < ordered) {
      this.#wentDown[s] = at
      this.#isDown[s] = 1
      this.#ordered[s] = next
    }
  }
}
