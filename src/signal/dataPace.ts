import type { Reading } from '../model.ts'

/** Data that comes each minute makes a forecast of the next two hardly better than none. */
const SLOW_MS = 50_000
/** Times in a row that it must be so: one that is missed is no pace. */
const IN_A_ROW = 3

/** How often the data of a signal comes, as far as it matters to a forecast. */
export class DataPace {
  /** Interval of data that comes too seldom to forecast well; undefined while it does not, or is not known. */
  slowMs: number | undefined
  #newestMs = NaN
  /** Above 0 so many slow intervals in a row, below so many others. */
  #row = 0

  /** Takes in the readings of one tick. Answers whether `slowMs` is there now and was not, or the reverse. */
  see(readings: readonly Reading[]): boolean {
    let dataMs = Infinity
    for (const reading of readings)
      if (reading.state === 'fresh' && reading.why.fallback === undefined)
        dataMs = Math.min(dataMs, reading.dataMs)
    if (dataMs === Infinity || dataMs === this.#newestMs) return false
    const sinceMs = dataMs - this.#newestMs
    this.#newestMs = dataMs
    // The first, or other series than before: no interval.
    if (!(sinceMs > 0)) return false
    const slow = sinceMs >= SLOW_MS
    this.#row = slow ? Math.max(1, this.#row + 1) : Math.min(-1, this.#row - 1)
    if (Math.abs(this.#row) < IN_A_ROW) return false
    const before = this.slowMs
    this.slowMs = slow ? sinceMs : undefined
    return (before === undefined) !== (this.slowMs === undefined)
  }
}

/** What a person should know of it. */
export function slowText(slowMs: number): string {
  return `data comes every ${Math.round(slowMs / 1000)} s: the forecast learns little from it; best is every 15 s or faster, and after 120 s without fresh data it begins anew`
}
