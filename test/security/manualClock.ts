import type { Clock } from '../../src/ports.ts'

/** Wall and monotonic time that tests set; sleeps end when time is moved past them. */
export class ManualClock implements Clock {
  #ms: number
  readonly #sleepers = new Set<{ untilMs: number; wake: () => void }>()

  constructor(startMs: number) {
    this.#ms = startMs
  }

  nowMs(): number {
    return this.#ms
  }

  monotonicMs(): number {
    return this.#ms
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const sleeper = { untilMs: this.#ms + ms, wake: () => done() }
      const done = () => {
        this.#sleepers.delete(sleeper)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#sleepers.add(sleeper)
      signal.addEventListener('abort', done, { once: true })
    })
  }

  get sleeping(): number {
    return this.#sleepers.size
  }

  advance(ms: number): void {
    this.#ms += ms
    for (const sleeper of Array.from(this.#sleepers))
      if (sleeper.untilMs <= this.#ms) sleeper.wake()
  }
}
