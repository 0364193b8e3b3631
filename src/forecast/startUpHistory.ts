import type { PodStartUp } from '../ports.ts'
import { LONGEST_START_MS } from './startUp.ts'

/** The newest so many are counted, and none that is older than a month. */
const SEEN_MAX = 64
const AGE_MAX_MS = 30 * 24 * 3600_000
/** Longer than this, a pod waited for something else, or a clock is wrong. */
const ABSURD_MS = 3600_000
/** How much slower than the quickest a pod may be of which it is not known whether it was ready before. */
const DOUBTFUL_FACTOR = 2
const DOUBTFUL_SLACK_MS = 15_000

export interface MeasuredStartUp {
  readonly ms: number
  /** Start-ups that it stands on. */
  readonly seen: number
}

/**
 * The last start-ups of a workload, and their quantile. Memory is bounded: the newest 64 of the last 30 days.
 *
 * A pod that was seen to become ready for the first time counts as it is (as 15 minutes where it took longer, and
 * not at all beyond an hour). Of one that was ready when it was found, only the last time at which it became so is
 * known: had it ceased to be ready in between, it would seem to have taken longer, never shorter. So it counts while
 * it is within twice the quickest.
 */
export class StartUpHistory {
  /** By the time they became ready, the oldest first. */
  readonly #startUps: PodStartUp[] = []
  /** Grows with each change. */
  version = 0

  /** False where it is not counted: known already, older than those kept, or no start-up that can be. */
  add(startUp: PodStartUp, nowMs: number): boolean {
    const { pod, ms, witnessed } = startUp
    if (!(ms >= 0) || ms > (witnessed ? ABSURD_MS : LONGEST_START_MS)) return false
    if (!Number.isFinite(startUp.readyMs)) return false
    if (this.#startUps.some((one) => one.pod === pod)) return false
    // What another clock calls the future would stay the newest for too long.
    const readyMs = Math.min(startUp.readyMs, nowMs)
    if (readyMs <= nowMs - AGE_MAX_MS) return false
    const at = this.#startUps.findLastIndex((one) => one.readyMs <= readyMs) + 1
    if (at === 0 && this.#startUps.length >= SEEN_MAX) return false
    const counted = { pod, ms: Math.min(ms, LONGEST_START_MS), readyMs, witnessed }
    this.#startUps.splice(at, 0, counted)
    if (this.#startUps.length > SEEN_MAX) this.#startUps.shift()
    this.version += 1
    return true
  }

  /** The smallest start-up that a share `quantile` of them does not exceed; undefined where there is none. */
  measured(quantile: number, nowMs: number): MeasuredStartUp | undefined {
    this.#forget(nowMs)
    const quickest = Math.min(...this.#startUps.map(({ ms }) => ms))
    const credible = Math.max(DOUBTFUL_FACTOR * quickest, quickest + DOUBTFUL_SLACK_MS)
    const counted = this.#startUps
      .filter(({ ms, witnessed }) => witnessed || ms <= credible)
      .map(({ ms }) => ms)
      .toSorted((a, b) => a - b)
    const ms = counted[Math.max(0, Math.ceil(quantile * counted.length) - 1)]
    return ms === undefined ? undefined : { ms, seen: counted.length }
  }

  /** Until then `measured` stays as it is, unless something is added. */
  get changesMs(): number {
    return (this.#startUps[0]?.readyMs ?? Infinity) + AGE_MAX_MS
  }

  get all(): readonly PodStartUp[] {
    return this.#startUps
  }

  #forget(nowMs: number): void {
    while ((this.#startUps[0]?.readyMs ?? Infinity) <= nowMs - AGE_MAX_MS) {
      this.#startUps.shift()
      this.version += 1
    }
  }
}
