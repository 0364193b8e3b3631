import type { Sample } from '../../model.ts'
import type { PushReport } from '../../ports.ts'

interface Interval {
  fromMs: number
  untilMs: number
}

/** Between reports that follow each other there may be so much; more is reports that are lost, or late. */
const GAP_MAX_MS = 100
/** For so long it is not known yet whether what lacks is lost: the time before it is what is known. */
const LATE_MAX_MS = 3000
const INTERVALS_MAX = 16

/**
 * Of which time a pod's reports tell: without gap, up to now. Before the first one that came here nothing is known,
 * as after a start of ours; only where that is the first of its process there was nothing to tell.
 */
export class Coverage {
  /** In order, apart by more than a gap. */
  #intervals: Interval[] = []

  add({ sequence, startMs, endMs }: PushReport): NonNullable<Sample['covered']> {
    // While no process ran there was nothing to tell either.
    const began = sequence === 1
    const before = this.#intervals.findLast(({ untilMs }) => untilMs <= startMs)?.untilMs
    const added = { fromMs: began ? (before ?? -Infinity) : startMs, untilMs: endMs }
    const apart: Interval[] = []
    for (const one of this.#intervals) {
      const touches =
        one.fromMs <= added.untilMs + GAP_MAX_MS && added.fromMs <= one.untilMs + GAP_MAX_MS
      if (!touches) apart.push(one)
      else {
        added.fromMs = Math.min(added.fromMs, one.fromMs)
        added.untilMs = Math.max(added.untilMs, one.untilMs)
      }
    }
    this.#intervals = [...apart, added]
      .toSorted((a, b) => a.untilMs - b.untilMs)
      .slice(-INTERVALS_MAX)
    return this.#known(added)
  }

  #known(added: Interval): Interval {
    const newest = this.#intervals.at(-1) ?? added
    const before = this.#intervals.at(-2)
    const isYoung = newest.untilMs - newest.fromMs < LATE_MAX_MS
    return before !== undefined && isYoung && newest.fromMs - before.untilMs < LATE_MAX_MS
      ? before
      : newest
  }
}
