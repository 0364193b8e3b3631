import { TidelineError } from '../../src/errors.ts'
import type { KubeClient } from './kubeClient.ts'

/**
 * Posts a TokenReview (authentication.k8s.io/v1) and gives its status. Rejects with `TidelineError`. `audience` is
 * whom a token must be for; left out: the API server.
 */
export function tokenReviewPoster(client: KubeClient, audience?: string) {
  const audiences = audience === undefined ? {} : { audiences: [audience] }
  return async (token: string, signal: AbortSignal) => {
    const answer = await client.request(
      'POST',
      '/apis/authentication.k8s.io/v1/tokenreviews',
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, ...audiences },
      },
      signal,
    )
    const status = statusOf(answer, 'TokenReview')
    const user = isRecord(status['user']) ? status['user'] : {}
    // An API server that knows nothing of audiences names none.
    const meant = audience === undefined || texts(status['audiences']).includes(audience)
    const said = textOr(status['error'], '')
    const error = meant || said !== '' ? said : `it is not for the audience ${audience}`
    return {
      // The API server leaves a false `authenticated` out.
      authenticated: status['authenticated'] === true && meant,
      ...(error === '' ? {} : { error }),
      user: {
        username: textOr(user['username'], ''),
        uid: textOr(user['uid'], ''),
        groups: texts(user['groups']),
        extra: extraOf(user['extra']),
      },
    }
  }
}

/** Posts a SubjectAccessReview (authorization.k8s.io/v1) and gives its status. Rejects with `TidelineError`. */
export function accessReviewPoster(client: KubeClient) {
  return async (spec: object, signal: AbortSignal) => {
    const answer = await client.request(
      'POST',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec },
      signal,
    )
    const status = statusOf(answer, 'SubjectAccessReview')
    if (typeof status['allowed'] !== 'boolean')
      throw new TidelineError('bad-response', 'a SubjectAccessReview came back without `allowed`')
    return {
      allowed: status['allowed'],
      denied: status['denied'] === true,
      reason: textOr(status['reason'], ''),
    }
  }
}

function statusOf(answer: unknown, kind: string): Readonly<Record<string, unknown>> {
  if (isRecord(answer) && answer['kind'] === kind && isRecord(answer['status']))
    return answer['status']
  throw new TidelineError('bad-response', `the API server’s answer is no ${kind} with a status`)
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}

function extraOf(value: unknown): Readonly<Record<string, readonly string[]>> {
  if (!isRecord(value)) return {}
  return Object.fromEntries(Object.entries(value).map(([key, list]) => [key, texts(list)]))
}
