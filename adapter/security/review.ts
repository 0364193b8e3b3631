import type { Clock } from '../../src/ports.ts'
import { TidelineError } from '../../src/errors.ts'

const REVIEW_TIMEOUT_MS = 10_000
const FIRST_RETRY_MS = 500
const RETRY_FACTOR = 1.5
const ATTEMPTS_MAX = 5
const RETRYABLE: ReadonlySet<string> = new Set(['refused', 'timeout', 'unavailable'])

/**
 * Asks the API server, again where it could not be reached, for 10 s in all; the steps are those of
 * Kubernetes' own delegating servers. Rejects with `TidelineError`: `timeout` after 10 s, else the last failure.
 */
export async function askWithRetry<Answer>(
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
