import type { Sample } from '../../model.ts'

type Interval = NonNullable<Sample['covered']>

/** Between reports that follow each other there may be so much; more is reports that are lost, or late. */
export const GAP_MAX_MS = 100
/** For so long it is not known yet whether what lacks is lost: the time before it is what is known. */
const LATE_MAX_MS = 3000
const INTERVALS_MAX = 16

/**
 * Of which time a sender's reports tell: without gap, up to now. Before the first one that came here nothing is known,
 * as after a start of ours; only where that is the first of its process there was nothing to tell.
 */
export class Coverage {
  /** In order, apart by more than a gap. */
  #intervals: Interval[] = []

  /** Takes in the time that one more report is of, and gives what is known by now. `isFirst`: of its process. */
  add(told: Interval, isFirst: boolean): Interval {
    // While no process ran there was nothing to tell either.
    const before = this.#intervals.findLast(({ untilMs }) => untilMs <= told.fromMs)?.untilMs
    let { fromMs, untilMs } = isFirst ? { ...told, fromMs: before ?? -Infinity } : told
    const apart: Interval[] = []
    for (const one of this.#intervals) {
      const touches = one.fromMs <= untilMs + GAP_MAX_MS && fromMs <= one.untilMs + GAP_MAX_MS
      if (!touches) apart.push(one)
      else {
        fromMs = Math.min(fromMs, one.fromMs)
        untilMs = Math.max(untilMs, one.untilMs)
      }
    }
    this.#intervals = [...apart, { fromMs, untilMs }]
      .toSorted((a, b) => a.untilMs - b.untilMs)
      .slice(-INTERVALS_MAX)
    return this.#known({ fromMs, untilMs })
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
