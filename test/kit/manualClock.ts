import type { Clock } from '../../src/ports.ts'

interface Sleeper {
  readonly untilMs: number
  readonly wake: () => void
}

/** A clock that stands still until it is told to go on. Wall and monotonic time run together. */
export class ManualClock implements Clock {
  #nowMs: number
  #sleepers: Sleeper[] = []

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  /** How many sleeps are going on. */
  get sleeping(): number {
    return this.#sleepers.length
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || ms <= 0) return resolve()
      const wake = () => {
        this.#sleepers = this.#sleepers.filter((each) => each !== sleeper)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const sleeper: Sleeper = { untilMs: this.#nowMs + ms, wake }
      this.#sleepers.push(sleeper)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  /** Lets `ms` pass, waking each sleeper at its time, and what it wakes run before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      await settle()
      const next = this.#sleepers.toSorted((a, b) => a.untilMs - b.untilMs)[0]
      if (next === undefined || next.untilMs > endMs) break
      this.#nowMs = Math.max(this.#nowMs, next.untilMs)
      next.wake()
    }
    this.#nowMs = endMs
    await settle()
  }
}

/** Lets everything that can run without time passing run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
