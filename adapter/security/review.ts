import type { Clock } from '../../src/ports.ts'
import { TidelineError } from '../../src/errors.ts'
import { ExpiringMap } from './expiringMap.ts'

const REVIEW_TIMEOUT_MS = 10_000
const FIRST_RETRY_MS = 500
const RETRY_FACTOR = 1.5
const ATTEMPTS_MAX = 5
const RETRYABLE: ReadonlySet<string> = new Set(['refused', 'timeout', 'unavailable'])

const KEPT_MS = 10_000
const IN_FLIGHT_MAX = 256

export interface ReviewCache<Answer> {
  /**
   * A kept answer at once; else a promise of a new one, shared by all who ask meanwhile. What could not be asked
   * is not kept. Throws `TidelineError` `unavailable` while too many are asked.
   */
  answer(key: string, ask: (signal: AbortSignal) => Promise<Answer>): Answer | Promise<Answer>
}

/** Keeps the answers of reviews, good and bad, for 10 s; `what` names them in an error, in the plural. */
export function reviewCache<Answer extends object>(
  clock: Clock,
  what: string,
  answersMax: number,
): ReviewCache<Answer> {
  const kept = new ExpiringMap<Answer>(answersMax)
  const inFlight = new Map<string, Promise<Answer>>()
  return {
    answer(key, ask) {
      const known = kept.get(key, clock.monotonicMs())
      if (known !== undefined) return known
      const running = inFlight.get(key)
      if (running !== undefined) return running
      if (inFlight.size >= IN_FLIGHT_MAX)
        throw new TidelineError('unavailable', `too many ${what} at once`)
      const asked = askWithRetry(clock, ask)
        .then((answer) => {
          kept.set(key, answer, clock.monotonicMs() + KEPT_MS)
          return answer
        })
        .finally(() => inFlight.delete(key))
      inFlight.set(key, asked)
      return asked
    },
  }
}

/**
 * Asks the API server, again where it could not be reached, for 10 s in all; the steps are those of
 * Kubernetes' own delegating servers. Rejects with `TidelineError`: `timeout` after 10 s, else the last failure.
 */
async function askWithRetry<Answer>(
  clock: Clock,
  ask: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const limit = new AbortController()
  const settled = new AbortController()
  const late = clock.sleep(REVIEW_TIMEOUT_MS, settled.signal).then((): never => {
    limit.abort()
    throw new TidelineError('timeout', 'the API server did not answer a review in 10 s')
  })
  // The race has a winner before `late` rejects in the usual case; its rejection is then of no interest.
  late.catch(() => undefined)
  try {
    return await Promise.race([attempts(clock, ask, limit.signal), late])
  } finally {
    settled.abort()
    limit.abort()
  }
}

async function attempts<Answer>(
  clock: Clock,
  ask: (signal: AbortSignal) => Promise<Answer>,
  signal: AbortSignal,
): Promise<Answer> {
  for (let attempt = 1, waitMs = FIRST_RETRY_MS; ; attempt += 1, waitMs *= RETRY_FACTOR) {
    try {
      return await ask(signal)
    } catch (error) {
      const retryable = error instanceof TidelineError && RETRYABLE.has(error.code)
      if (!retryable || attempt >= ATTEMPTS_MAX || signal.aborted) throw error
      await clock.sleep(waitMs, signal)
    }
  }
}
