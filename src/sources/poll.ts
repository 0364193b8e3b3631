import type { Clock } from '../ports.ts'
import { TidelineError } from '../errors.ts'
import { failureOf } from './failure.ts'

export interface Polling {
  readonly clock: Clock
  readonly intervalMs: number
  /** At most `intervalMs`; a collect that takes longer is aborted. */
  readonly timeoutMs: number
  /** Spreads pollers over the interval; the same key has the same place in every process. */
  readonly key: string
  /** Limits how many collects are open at once; a wait for it is not in the timeout. */
  readonly gate?: Gate
  /** Told of each failed collect; not of one that was broken off because `signal` aborted. */
  readonly failed: (failure: TidelineError) => void
  /** Told how many slots passed while a collect was still going on. */
  readonly missed?: (slots: number) => void
}

/**
 * Calls `collect` at once and then in each slot, one call at a time, until `signal` aborts. A slot that comes
 * while a collect is going on is skipped. `collect` settles soon after its own signal aborts and writes nothing
 * from then on. Never rejects.
 */
export async function poll(
  polling: Polling,
  collect: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, intervalMs, gate } = polling
  const startMs = clock.monotonicMs()
  // The first collect is at once, so that a new pod is known early; the slots after it are spread by the key.
  let slot = Math.ceil(intervalMs / 2) + (hashOf(polling.key) % Math.ceil(intervalMs / 2))
  while (!signal.aborted) {
    if (gate === undefined) await attempt(polling, collect, signal)
    else await gate.pass(() => attempt(polling, collect, signal), signal)
    const elapsedMs = clock.monotonicMs() - startMs
    if (elapsedMs > slot) {
      const missed = Math.ceil((elapsedMs - slot) / intervalMs)
      slot += missed * intervalMs
      if (!signal.aborted) polling.missed?.(missed)
    }
    await clock.sleep(startMs + slot - clock.monotonicMs(), signal)
    slot += intervalMs
  }
}

async function attempt(
  polling: Polling,
  collect: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return
  const { clock, timeoutMs } = polling
  await withDeadline(clock, timeoutMs, signal, async (deadline) => {
    try {
      await collect(deadline)
    } catch (thrown) {
      if (signal.aborted) return
      polling.failed(
        deadline.aborted
          ? new TidelineError('timeout', `no whole answer within ${timeoutMs} ms`, thrown)
          : failureOf(thrown),
      )
    }
  })
}

/**
 * Does `work`, whose own signal aborts after `ms`, or with `signal`. Inside of `work` it tells what came of it;
 * when `work` has settled, the timer is gone.
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal | undefined,
  work: (deadline: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController()
  const over = new AbortController()
  const abort = () => {
    deadline.abort()
    over.abort()
  }
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  const timer = clock.sleep(ms, over.signal).then(() => deadline.abort())
  try {
    return await work(deadline.signal)
  } finally {
    signal?.removeEventListener('abort', abort)
    over.abort()
    await timer
  }
}

/** Lets at most `places` through at once, the others wait in order. */
export class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#free = places
  }

  /** Does `work` when there is a place; not at all when `signal` aborts before. */
  async pass(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    if (this.#free > 0) this.#free -= 1
    else if (!(await this.#place(signal))) return
    try {
      await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }

  #place(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const take = () => {
        signal.removeEventListener('abort', leave)
        resolve(true)
      }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1)
        resolve(false)
      }
      if (signal.aborted) return resolve(false)
      this.#waiting.push(take)
      signal.addEventListener('abort', leave, { once: true })
    })
  }
}

/** Settles as `work` does, or rejects as soon as `signal` aborts: for work that knows no signal. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // Whatever becomes of it after the abort is of no interest, and must not count as unhandled.
  work.catch(() => undefined)
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(new DOMException('broken off', 'AbortError'))
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** FNV-1a, 32 bit: stable over processes and releases. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}
