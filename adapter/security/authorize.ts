import type { Clock } from '../../src/ports.ts'
import { TidelineError } from '../../src/errors.ts'
import type { Attributes, Authorizer, Decision, User } from '../metrics-api/ports.ts'
import { ExpiringMap } from './expiringMap.ts'
import { askWithRetry } from './review.ts'

/** `spec` of a SubjectAccessReview (authorization.k8s.io/v1). */
export interface AccessReviewSpec {
  readonly user: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
  readonly resourceAttributes?: Readonly<Record<string, string>>
  readonly nonResourceAttributes?: Readonly<Record<string, string>>
}

/** `status` of a SubjectAccessReview, as the API server answered it. */
interface AccessReviewStatus {
  readonly allowed: boolean
  readonly denied?: boolean
  readonly reason?: string
}

export interface AuthorizationDeps {
  /** Posts one SubjectAccessReview. Rejects with `TidelineError`. */
  readonly post: (spec: AccessReviewSpec, signal: AbortSignal) => Promise<AccessReviewStatus>
  readonly clock: Clock
}

const DECISION_MS = 10_000
const DECISIONS_MAX = 8_192
const IN_FLIGHT_MAX = 256
const SUPERUSERS = 'system:masters'
const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz'])
const ALLOWED: Decision = { allowed: true }

/**
 * Asks the API server by SubjectAccessReview. Decisions are kept for 10 s and then answered at once, without
 * a promise; simultaneous equal questions are asked once. What could not be asked is rejected, never allowed.
 */
export function delegatedAuthorizer(deps: AuthorizationDeps): Authorizer {
  const decisions = new ExpiringMap<Decision>(DECISIONS_MAX)
  const inFlight = new Map<string, Promise<Decision>>()
  const userKeys = new WeakMap<User, string>()
  const keyOf = (user: User) => {
    const known = userKeys.get(user)
    if (known !== undefined) return known
    const key = JSON.stringify([user.name, user.uid, user.groups, user.extra])
    userKeys.set(user, key)
    return key
  }
  return {
    authorize(user, attributes) {
      if (user.groups.includes(SUPERUSERS)) return ALLOWED
      if (attributes.kind === 'nonResource' && OPEN_PATHS.has(attributes.path)) return ALLOWED
      const key = `${keyOf(user)}\n${attributesKey(attributes)}`
      const known = decisions.get(key, deps.clock.monotonicMs())
      if (known !== undefined) return known
      const running = inFlight.get(key)
      if (running !== undefined) return running
      if (inFlight.size >= IN_FLIGHT_MAX)
        throw new TidelineError('unavailable', 'too many access reviews at once')
      const asked = askWithRetry(deps.clock, (signal) =>
        deps.post(specOf(user, attributes), signal),
      )
        .then((status) => {
          const decision = decisionOf(status)
          decisions.set(key, decision, deps.clock.monotonicMs() + DECISION_MS)
          return decision
        })
        .finally(() => inFlight.delete(key))
      inFlight.set(key, asked)
      return asked
    },
  }
}

/** JSON, because a decoded path segment may hold any character. */
function attributesKey(attributes: Attributes): string {
  if (attributes.kind === 'nonResource') return JSON.stringify([attributes.verb, attributes.path])
  const { verb, group, version, namespace, resource, subresource, name } = attributes
  return JSON.stringify([verb, group, version, namespace, resource, subresource, name])
}

function specOf(user: User, attributes: Attributes): AccessReviewSpec {
  const subject = {
    user: user.name,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: user.groups,
    extra: user.extra,
  }
  if (attributes.kind === 'nonResource')
    return {
      ...subject,
      nonResourceAttributes: { verb: attributes.verb, path: attributes.path },
    }
  const given = Object.entries(attributes).filter(
    ([name, value]) => name !== 'kind' && value !== undefined && value !== '',
  )
  return { ...subject, resourceAttributes: Object.fromEntries(given) }
}

function decisionOf(status: AccessReviewStatus): Decision {
  const allowed = status.allowed && status.denied !== true
  const reason = status.reason ?? ''
  return { allowed, ...(allowed || reason === '' ? {} : { reason }) }
}
