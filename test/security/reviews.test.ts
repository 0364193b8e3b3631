import { describe, expect, test } from 'vitest'
import { TidelineError } from '../../src/errors.ts'
import type { Attributes, User } from '../../adapter/metrics-api/ports.ts'
import { delegatedAuthorizer } from '../../adapter/security/authorize.ts'
import type { AccessReviewSpec } from '../../adapter/security/authorize.ts'
import { apiTokenReviewer } from '../../adapter/security/tokenReview.ts'
import { until } from '../kit/until.ts'
import { ManualClock } from './manualClock.ts'

const bob: User = { name: 'bob', groups: ['dev', 'system:authenticated'], extra: { k: ['v'] } }
const external: Attributes = {
  kind: 'resource',
  verb: 'list',
  group: 'external.metrics.k8s.io',
  version: 'v1beta1',
  namespace: 'default',
  resource: 'queue_depth',
  subresource: '',
}

describe('delegatedAuthorizer', () => {
  test('asks once, then answers at once for 10 s, then asks again', async () => {
    const clock = new ManualClock(0)
    const asked: AccessReviewSpec[] = []
    const authorizer = delegatedAuthorizer({
      clock,
      post: async (spec) => {
        asked.push(spec)
        return { allowed: spec.user === 'bob', reason: 'no rule' }
      },
    })
    const [one, two] = await Promise.all([
      authorizer.authorize(bob, external),
      authorizer.authorize({ ...bob }, external),
    ])
    expect([one, two]).toEqual([{ allowed: true }, { allowed: true }])
    expect(asked).toEqual([
      {
        user: 'bob',
        groups: bob.groups,
        extra: bob.extra,
        resourceAttributes: {
          verb: 'list',
          group: 'external.metrics.k8s.io',
          version: 'v1beta1',
          namespace: 'default',
          resource: 'queue_depth',
        },
      },
    ])
    expect(authorizer.authorize(bob, external)).toEqual({ allowed: true })
    expect(await authorizer.authorize({ ...bob, name: 'eve' }, external)).toEqual({
      allowed: false,
      reason: 'no rule',
    })
    clock.advance(10_000)
    expect(authorizer.authorize(bob, external)).toBeInstanceOf(Promise)
    expect(asked).toHaveLength(3)
  })

  test('what differs in anything is another question', async () => {
    let asked = 0
    const authorizer = delegatedAuthorizer({
      clock: new ManualClock(0),
      post: async () => {
        asked += 1
        return { allowed: true }
      },
    })
    const questions: [User, Attributes][] = [
      [bob, external],
      [{ ...bob, groups: ['dev,system:authenticated'] }, external],
      [{ ...bob, extra: {} }, external],
      [{ ...bob, uid: '1' }, external],
      [bob, { ...external, namespace: 'other' }],
      [bob, { ...external, name: 'x' }],
      [bob, { kind: 'nonResource', verb: 'get', path: '/version' }],
    ]
    for (const [user, attributes] of questions) await authorizer.authorize(user, attributes)
    expect(asked).toBe(questions.length)
  })

  test('superusers and health paths pass without a question', () => {
    const authorizer = delegatedAuthorizer({
      clock: new ManualClock(0),
      post: () => Promise.reject(new Error('asked')),
    })
    const root = { ...bob, groups: ['system:masters'] }
    expect(authorizer.authorize(root, external)).toEqual({ allowed: true })
    for (const path of ['/healthz', '/livez', '/readyz'])
      expect(authorizer.authorize(bob, { kind: 'nonResource', verb: 'get', path })).toEqual({
        allowed: true,
      })
  })

  test('an API server that cannot answer refuses, and is asked again', async () => {
    const clock = new ManualClock(0)
    let failing = true
    let asked = 0
    const authorizer = delegatedAuthorizer({
      clock,
      post: async () => {
        asked += 1
        if (failing) throw new TidelineError('refused', 'nothing listens')
        return { allowed: true }
      },
    })
    const decision = Promise.resolve(authorizer.authorize(bob, external))
    const seen = expect(decision).rejects.toMatchObject({ code: 'refused' })
    for (let tries = 1; tries < 5; tries += 1) {
      await until(`try ${tries}`, () => asked === tries && clock.sleeping === 2)
      clock.advance(2_000)
    }
    await seen
    expect(asked).toBe(5)
    failing = false
    expect(await authorizer.authorize(bob, external)).toEqual({ allowed: true })
  })

  test('a review without an answer ends after 10 s', async () => {
    const clock = new ManualClock(0)
    let aborted = false
    const authorizer = delegatedAuthorizer({
      clock,
      post: (_, signal) =>
        new Promise(() => signal.addEventListener('abort', () => (aborted = true))),
    })
    const seen = expect(Promise.resolve(authorizer.authorize(bob, external))).rejects.toMatchObject(
      { code: 'timeout' },
    )
    clock.advance(10_000)
    await seen
    expect(aborted).toBe(true)
  })
})

describe('apiTokenReviewer', () => {
  test('keeps verdicts of both kinds for 10 s and asks once at a time', async () => {
    const clock = new ManualClock(0)
    const asked: string[] = []
    const reviewer = apiTokenReviewer({
      clock,
      post: async (token) => {
        asked.push(token)
        return token === 'good'
          ? { authenticated: true, user: { username: 'carol', uid: '7', groups: ['ops'] } }
          : { authenticated: false }
      },
    })
    const carol = { name: 'carol', uid: '7', groups: ['ops'], extra: {} }
    const both = await Promise.all([reviewer.review('good'), reviewer.review('good')])
    expect(both).toEqual(Array(2).fill({ authenticated: true, user: carol }))
    expect(reviewer.review('good')).toEqual({ authenticated: true, user: carol })
    expect(await reviewer.review('bad')).toMatchObject({ authenticated: false })
    expect(reviewer.review('bad')).toMatchObject({ authenticated: false })
    expect(asked).toEqual(['good', 'bad'])
    clock.advance(10_000)
    await reviewer.review('good')
    expect(asked).toEqual(['good', 'bad', 'good'])
  })

  test('a failure is no verdict and is not kept', async () => {
    let failing = true
    const reviewer = apiTokenReviewer({
      clock: new ManualClock(0),
      post: async () => {
        if (failing) throw new TidelineError('unauthorized', 'may not create tokenreviews')
        return { authenticated: true, user: { username: 'carol' } }
      },
    })
    await expect(reviewer.review('t')).rejects.toMatchObject({ code: 'unauthorized' })
    failing = false
    expect(await reviewer.review('t')).toMatchObject({ authenticated: true })
  })
})
