/** Rates are taken over so many polls, since consumers commit every few seconds only. */
const POLLS_MAX = 12
const POLLS_MIN = 3

interface Totals {
  /** Of a clock that does not step. */
  readonly atMs: number
  readonly produced: number
  readonly consumed: number
}

/** Time until a lag is consumed, at the rates of the last polls. */
export class Drain {
  #polls: Totals[] = []

  observe(totals: Totals): void {
    // Totals fall where partitions went away: what the others did cannot be told from before.
    const last = this.#polls.at(-1)
    if (last !== undefined && (totals.produced < last.produced || totals.consumed < last.consumed))
      this.#polls = []
    this.#polls.push(totals)
    if (this.#polls.length > POLLS_MAX + 1) this.#polls.shift()
  }

  /** 0 where there is no lag; undefined where it does not shrink, or too few polls are known. */
  secondsFor(lag: number): number | undefined {
    if (lag === 0) return 0
    const first = this.#polls[0]
    const last = this.#polls.at(-1)
    if (first === undefined || last === undefined || this.#polls.length < POLLS_MIN)
      return undefined
    const seconds = (last.atMs - first.atMs) / 1000
    const shrunk = last.consumed - first.consumed - (last.produced - first.produced)
    return seconds > 0 && shrunk > 0 ? (lag * seconds) / shrunk : undefined
  }
}
