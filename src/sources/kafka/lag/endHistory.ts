/** Points kept; the older half is thinned out when there are more, so that old times get coarser. */
const POINTS_MAX = 256

/**
 * When the end of a partition was where: tells when a message was produced without reading it. Between two
 * points the end is taken to have moved evenly.
 */
export class EndHistory {
  #times: number[] = []
  #ends: number[] = []

  get length(): number {
    return this.#times.length
  }

  /** An end that falls (a topic made anew), or a clock that was set back, begins a new history. */
  note(atMs: number, end: number): void {
    const count = this.#times.length
    if (
      count > 0 &&
      (atMs <= (this.#times[count - 1] ?? 0) || end < (this.#ends[count - 1] ?? 0))
    ) {
      this.#times = []
      this.#ends = []
    }
    if (count > 1 && this.#ends.at(-1) === end && this.#ends.at(-2) === end) {
      this.#times[this.#times.length - 1] = atMs
      return
    }
    this.#times.push(atMs)
    this.#ends.push(end)
    if (this.#times.length > POINTS_MAX) this.#thin()
  }

  /** Puts what is known of earlier times before the first point; without an end it was where it is there. */
  prepend(points: readonly { readonly atMs: number; readonly end: number | undefined }[]): void {
    const firstMs = this.#times[0] ?? Infinity
    const firstEnd = this.#ends[0] ?? Infinity
    const times: number[] = []
    const ends: number[] = []
    let highest = 0
    for (const { atMs, end } of points.toSorted((a, b) => a.atMs - b.atMs)) {
      if (atMs >= firstMs) continue
      // Timestamps of producers may be out of order: the end itself never falls.
      highest = Math.max(highest, Math.min(end ?? firstEnd, firstEnd))
      times.push(atMs)
      ends.push(highest)
    }
    this.#times.unshift(...times)
    this.#ends.unshift(...ends)
  }

  /**
   * When the message at `offset` was produced; with `earlier` it was no later than that. Undefined where it is
   * not there yet.
   */
  producedMs(offset: number): { readonly ms: number; readonly earlier: boolean } | undefined {
    const after = this.#ends.findIndex((end) => end > offset)
    const ms = this.#times[after]
    if (ms === undefined) return undefined
    const beforeMs = this.#times[after - 1]
    if (beforeMs === undefined) return { ms, earlier: true }
    const before = this.#ends[after - 1] ?? 0
    const share = (offset - before) / ((this.#ends[after] ?? 0) - before)
    return { ms: beforeMs + (ms - beforeMs) * share, earlier: false }
  }

  #thin(): void {
    const half = this.#times.length >> 1
    const kept = (_: number, index: number) => index >= half || index % 2 === 0
    this.#times = this.#times.filter(kept)
    this.#ends = this.#ends.filter(kept)
  }
}
