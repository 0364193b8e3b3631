import type { FailureCode } from '../../model.ts'
import type { SourceDeps } from '../../ports.ts'

/** The last part of the origin that stands for all there was no room for. */
export const OTHERS = '(others)'

/** Of which it is noted; each is an origin in the store. */
const NOTED_MAX = 10_000

interface Reason {
  readonly code: FailureCode
  readonly message: string
}

/**
 * Senders whose load is known to be missing, as what they sent was refused: a number that is made of the others must
 * not be taken for the whole, so each is an origin that fails and has no series. One that is not refused any more for
 * `maxAgeMs` is taken to be gone.
 */
export class Unheard {
  readonly #maxAgeMs: number
  readonly #deps: Pick<SourceDeps, 'clock' | 'sink' | 'name' | 'log'>
  /** When they were last refused, by origin. */
  readonly #refusedMs = new Map<string, number>()

  constructor(maxAgeMs: number, deps: Pick<SourceDeps, 'clock' | 'sink' | 'name' | 'log'>) {
    this.#maxAgeMs = maxAgeMs
    this.#deps = deps
  }

  /** `isOnly`: nothing else is known of the origin, so that it ends when this is over. */
  note(origin: string, { code, message }: Reason, isOnly = true): void {
    const { clock, sink, name, log } = this.#deps
    const isNew = !this.#refusedMs.has(origin)
    if (isNew && this.#refusedMs.size >= NOTED_MAX) return
    if (isOnly) this.#refusedMs.set(origin, clock.monotonicMs())
    sink.fail(name, origin, { code, message, atMs: clock.nowMs() })
    if (isNew && isOnly) log.warn('origin-failing', { source: name, origin, code, message })
  }

  /** It was heard after all, and what becomes of the origin is known otherwise. */
  heard(origin: string): void {
    this.#refusedMs.delete(origin)
  }

  look(nowMs: number): void {
    for (const [origin, refusedMs] of this.#refusedMs) {
      if (nowMs - refusedMs <= this.#maxAgeMs) continue
      this.#refusedMs.delete(origin)
      this.#deps.sink.end(this.#deps.name, origin)
    }
  }
}
