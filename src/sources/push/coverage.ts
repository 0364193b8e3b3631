import type { Sample } from '../../model.ts'
import type { PushReport } from '../../ports.ts'

/**
 * Of which time a pod's reports tell. Before the first one that came here nothing is known, as after a start of
 * ours; only where that is the first of its process there was nothing to tell.
 */
export class Coverage {
  #instance: string | undefined
  #fromMs = NaN
  #untilMs = -Infinity

  add({ instance, sequence, startMs, endMs }: PushReport): NonNullable<Sample['covered']> {
    if (this.#instance === undefined) {
      this.#instance = instance
      this.#fromMs = startMs
    }
    if (instance === this.#instance)
      this.#fromMs = sequence === 1 ? -Infinity : Math.min(this.#fromMs, startMs)
    this.#untilMs = Math.max(this.#untilMs, endMs)
    return { fromMs: this.#fromMs, untilMs: this.#untilMs }
  }
}
