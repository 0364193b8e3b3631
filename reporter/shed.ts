/** An answer is good for so long; after that nothing is limited. */
const GOOD_MS = 10_000

/**
 * Lets through what the adapter said that this pod is to take, with bursts of one second's worth. Of several
 * replicas the one that said least counts; one that does not know does not contradict those that do.
 */
export class Shedder {
  readonly #told = new Map<string, { readonly rate: number; readonly atMs: number }>()
  #left = 0
  /** Undefined while nothing is limited. */
  #filledMs: number | undefined

  told(from: string, rate: number | undefined, nowMs: number): void {
    if (rate === undefined) this.#told.delete(from)
    else this.#told.set(from, { rate, atMs: nowMs })
  }

  /** Whether one more call is to be taken. */
  takes(nowMs: number): boolean {
    const rate = this.#rateAt(nowMs)
    if (rate === undefined) {
      this.#filledMs = undefined
      return true
    }
    const most = Math.max(1, rate)
    const filled =
      this.#filledMs === undefined ? most : this.#left + ((nowMs - this.#filledMs) / 1000) * rate
    this.#left = Math.min(most, filled)
    this.#filledMs = nowMs
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }

  #rateAt(nowMs: number): number | undefined {
    let least: number | undefined
    for (const [from, { rate, atMs }] of this.#told)
      if (nowMs - atMs > GOOD_MS) this.#told.delete(from)
      else least = Math.min(rate, least ?? rate)
    return least
  }
}
