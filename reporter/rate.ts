const BUCKET_MS = 5000
const ALPHA = 0.2

/** Calls a second, smoothed: of each bucket of 5 s its mean weighs 0.2, what was known before it 0.8. */
export class CallRate {
  #startMs: number
  #calls = 0
  #smoothed: number | undefined

  constructor(nowMs: number) {
    this.#startMs = nowMs
  }

  add(nowMs: number): void {
    this.#roll(nowMs)
    this.#calls += 1
  }

  /** Undefined until the first bucket is over. */
  read(nowMs: number): number | undefined {
    this.#roll(nowMs)
    return this.#smoothed
  }

  #roll(nowMs: number): void {
    const over = Math.floor((nowMs - this.#startMs) / BUCKET_MS)
    if (over < 1) return
    const mean = (this.#calls * 1000) / BUCKET_MS
    const first =
      this.#smoothed === undefined ? mean : this.#smoothed + ALPHA * (mean - this.#smoothed)
    // Those after it were empty.
    this.#smoothed = first * (1 - ALPHA) ** (over - 1)
    this.#startMs += over * BUCKET_MS
    this.#calls = 0
  }
}
