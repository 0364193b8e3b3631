import type { Clock } from '../../src/ports.ts'
import type { Attributes, Authorizer, Decision, User } from '../metrics-api/ports.ts'
import { reviewCache } from './review.ts'

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

const DECISIONS_MAX = 8_192
const SUPERUSERS = 'system:masters'
const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz'])
const ALLOWED: Decision = { allowed: true }

/**
 * Asks the API server by SubjectAccessReview. Decisions are kept for 10 s and then answered at once, without
 * a promise; simultaneous equal questions are asked once. What could not be asked is rejected, never allowed.
 */
export function delegatedAuthorizer(deps: AuthorizationDeps): Authorizer {
  const decisions = reviewCache<Decision>(deps.clock, 'access reviews', DECISIONS_MAX)
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
      return decisions.answer(key, async (signal) =>
        decisionOf(await deps.post(specOf(user, attributes), signal)),
      )
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
