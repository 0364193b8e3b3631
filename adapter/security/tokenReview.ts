import { createHash } from 'node:crypto'
import type { Clock } from '../../src/ports.ts'
import { TidelineError } from '../../src/errors.ts'
import type { TokenReviewer, TokenVerdict } from './authenticate.ts'
import { ExpiringMap } from './expiringMap.ts'
import { askWithRetry } from './review.ts'

/** `status` of a TokenReview (authentication.k8s.io/v1), as the API server answered it. */
interface TokenReviewStatus {
  readonly authenticated: boolean
  readonly error?: string
  readonly user?: {
    readonly username?: string
    readonly uid?: string
    readonly groups?: readonly string[]
    readonly extra?: Readonly<Record<string, readonly string[]>>
  }
}

export interface TokenReviewDeps {
  /** Posts one TokenReview. Rejects with `TidelineError`. */
  readonly post: (token: string, signal: AbortSignal) => Promise<TokenReviewStatus>
  readonly clock: Clock
}

const VERDICT_MS = 10_000
const VERDICTS_MAX = 4_096
const IN_FLIGHT_MAX = 256
const TOKEN_BYTES_MAX = 16_384

/**
 * Reviews bearer tokens through the API server. Verdicts, good and bad, are kept for 10 s under a hash of the
 * token; simultaneous questions about one token are asked once; failures are not kept.
 */
export function apiTokenReviewer(deps: TokenReviewDeps): TokenReviewer {
  const verdicts = new ExpiringMap<TokenVerdict>(VERDICTS_MAX)
  const inFlight = new Map<string, Promise<TokenVerdict>>()
  return {
    review(token) {
      if (token.length > TOKEN_BYTES_MAX)
        return { authenticated: false, message: 'bearer token too long' }
      const key = createHash('sha256').update(token).digest('base64')
      const known = verdicts.get(key, deps.clock.monotonicMs())
      if (known !== undefined) return known
      const running = inFlight.get(key)
      if (running !== undefined) return running
      if (inFlight.size >= IN_FLIGHT_MAX)
        throw new TidelineError('unavailable', 'too many token reviews at once')
      const asked = askWithRetry(deps.clock, (signal) => deps.post(token, signal))
        .then((status) => {
          const verdict = verdictOf(status)
          verdicts.set(key, verdict, deps.clock.monotonicMs() + VERDICT_MS)
          return verdict
        })
        .finally(() => inFlight.delete(key))
      inFlight.set(key, asked)
      return asked
    },
  }
}

function verdictOf(status: TokenReviewStatus): TokenVerdict {
  const name = status.user?.username ?? ''
  if (!status.authenticated || name === '')
    return { authenticated: false, message: 'the API server does not accept the bearer token' }
  const uid = status.user?.uid ?? ''
  return {
    authenticated: true,
    user: {
      name,
      ...(uid === '' ? {} : { uid }),
      groups: status.user?.groups ?? [],
      extra: status.user?.extra ?? {},
    },
  }
}
