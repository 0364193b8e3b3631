/** An answer is good for so long; after that nothing is limited. */
const GOOD_MS = 10_000

/** Lets through what the adapter said that this pod is to take, with bursts of one second's worth. */
export class Shedder {
  #rate: number | undefined
  #toldMs = -Infinity
  #left = 0
  #filledMs = 0

  told(rate: number | undefined, nowMs: number): void {
    if (rate !== undefined && (this.#rate === undefined || nowMs - this.#toldMs > GOOD_MS)) {
      this.#left = Math.max(1, rate)
      this.#filledMs = nowMs
    }
    this.#rate = rate
    this.#toldMs = nowMs
  }

  /** Whether one more call is to be taken. */
  takes(nowMs: number): boolean {
    const rate = this.#rate
    if (rate === undefined || nowMs - this.#toldMs > GOOD_MS) return true
    const filled = this.#left + ((nowMs - this.#filledMs) / 1000) * rate
    this.#left = Math.min(Math.max(1, rate), filled)
    this.#filledMs = nowMs
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }
}
