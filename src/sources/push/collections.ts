import type { Sample } from '../../model.ts'
import type { PushPoint } from '../../ports.ts'
import { Coverage, GAP_MAX_MS } from './coverage.ts'

/** A point that is new, and where the one before it of its stream ended. */
export interface Told extends Pick<PushPoint, 'kind' | 'startMs' | 'endMs'> {
  readonly beforeMs: number | undefined
}

/** Times between collections that are remembered, and how many must be known to go by the shortest of them. */
const APART_MAX = 64
const APART_MIN = 3
/** One that is later than this many of the shortest times had another before it, which is lost. */
const LATE_FACTOR = 1.5

/**
 * When a process collected what its streams count, which it does for all of them at once, and so which time its deltas
 * tell of. A stream that counted nothing is left out by many SDKs, and begins later the next time: with the time of the
 * collection before, or of the first that it counts again. So the time between is empty where the collection before is
 * known to have come here, and unknown where it was lost:
 * - some delta begins where the last collection was: nothing lies between;
 * - a delta of a stream that was in the last one begins later: there was one between, and it is lost;
 * - otherwise the time between the two tells, where it is known how long that is.
 */
export class Collections {
  #coverage = new Coverage()
  #isFirst: boolean
  #lastMs = -Infinity
  /** The newest last. */
  readonly #apartMs: number[] = []
  #everyMs: number | undefined

  /** `isFirst`: what is told first was so by a process that has just begun. */
  constructor(isFirst: boolean) {
    this.#isFirst = isFirst
  }

  /** The usual time from one collection to the next; undefined while only one is known. */
  get everyMs(): number | undefined {
    return this.#everyMs
  }

  /** Takes in the new points of an export, in order of their ends, and gives the time that is known by now. */
  add(points: readonly Told[]): Sample['covered'] {
    let known: Sample['covered']
    let from = 0
    for (let at = 1; at <= points.length; at += 1) {
      const [before, next] = [points[at - 1], points[at]]
      if (next !== undefined && next.endMs <= (before?.endMs ?? 0) + GAP_MAX_MS) continue
      known = this.#collect(points.slice(from, at)) ?? known
      from = at
    }
    return known
  }

  /** What was told until now is not stored any more. */
  forget(): void {
    this.#coverage = new Coverage()
    this.#isFirst = false
    this.#lastMs = -Infinity
  }

  #collect(points: readonly Told[]): Sample['covered'] {
    const lastMs = this.#lastMs
    let untilMs = -Infinity
    let earliestMs = Infinity
    let laterMs = Infinity
    let isLost = false
    for (const { kind, startMs, endMs, beforeMs = NaN } of points) {
      untilMs = Math.max(untilMs, endMs)
      if (kind !== 'delta') continue
      const beganMs = startMs ?? endMs
      earliestMs = Math.min(earliestMs, beganMs)
      if (beganMs <= lastMs + GAP_MAX_MS) continue
      laterMs = Math.min(laterMs, beganMs)
      if (Math.abs(beforeMs - lastMs) <= GAP_MAX_MS) isLost = true
    }
    // A part of the last one, or one that was overtaken.
    if (untilMs <= lastMs + GAP_MAX_MS)
      return earliestMs === Infinity ? undefined : this.#cover(earliestMs, untilMs)
    // Of a collection that is lost only this is known: it was before any stream began again.
    const apartMs = untilMs - (isLost ? laterMs : lastMs)
    const sinceMs = isLost
      ? laterMs
      : Math.min(earliestMs, this.#follows(apartMs) ? lastMs : untilMs)
    this.#lastMs = untilMs
    if (Number.isFinite(apartMs)) this.#note(apartMs)
    return this.#cover(sinceMs, untilMs)
  }

  #note(apartMs: number): void {
    this.#apartMs.push(apartMs)
    if (this.#apartMs.length > APART_MAX) this.#apartMs.shift()
    this.#everyMs = this.#apartMs.toSorted((a, b) => a - b)[this.#apartMs.length >> 1]
  }

  #follows(apartMs: number): boolean {
    const known = this.#apartMs
    return known.length >= APART_MIN && apartMs <= LATE_FACTOR * Math.min(...known)
  }

  #cover(fromMs: number, untilMs: number): Sample['covered'] {
    const known = this.#coverage.add({ fromMs, untilMs }, this.#isFirst)
    this.#isFirst = false
    return known
  }
}
