import { createHash } from 'node:crypto'
import type { Clock } from '../../src/ports.ts'
import type { TokenReviewer, TokenVerdict } from './authenticate.ts'
import { reviewCache } from './review.ts'

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

const VERDICTS_MAX = 4_096
const TOKEN_BYTES_MAX = 16_384
const MESSAGE_MAX = 400

/**
 * Reviews bearer tokens through the API server. Verdicts, good and bad, are kept for 10 s under a hash of the
 * token; simultaneous questions about one token are asked once; failures are not kept.
 */
export function apiTokenReviewer(deps: TokenReviewDeps): TokenReviewer {
  const verdicts = reviewCache<TokenVerdict>(deps.clock, 'token reviews', VERDICTS_MAX)
  return {
    review(token) {
      if (token.length > TOKEN_BYTES_MAX)
        return { authenticated: false, message: 'bearer token too long' }
      const key = createHash('sha256').update(token).digest('base64')
      return verdicts.answer(key, async (signal) => verdictOf(await deps.post(token, signal)))
    },
  }
}

function verdictOf(status: TokenReviewStatus): TokenVerdict {
  const name = status.user?.username ?? ''
  if (!status.authenticated || name === '') {
    const why = status.error === undefined || status.error === '' ? '' : `: ${status.error}`
    const message = `the API server does not accept the bearer token${why}`
    return { authenticated: false, message: message.slice(0, MESSAGE_MAX) }
  }
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
