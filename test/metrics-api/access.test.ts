import { afterEach, describe, expect, test } from 'vitest'
import type {
  Attributes,
  Authenticator,
  Authorizer,
  Decision,
  Identity,
  User,
} from '../../adapter/metrics-api/ports.ts'
import type { LogFields, Logger } from '../../src/ports.ts'
import { ADMIN, custom, external, fresh, POD, readerOf, serve } from './fakes.ts'
import type { Served } from './fakes.ts'
import type { MetricsApiDeps } from '../../adapter/metrics-api/app.ts'

const QUEUE = '/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue'
const PODS = '/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/rps'
const BOB: User = { name: 'bob', groups: ['system:authenticated'], extra: {} }

const reader = readerOf([
  external('queue', [], fresh({}, 42)),
  custom('rps', POD, ['pod'], fresh({ pod: 'web-1' }, 1)),
])

let served: Served | undefined
afterEach(() => served?.close())

async function start(changes: Partial<MetricsApiDeps>): Promise<Served> {
  served = await serve({ reader, ...changes })
  return served
}

const as = (identity: Identity): Authenticator => ({ authenticate: () => identity })
const denied: Authorizer = { authorize: () => ({ allowed: false }) }

interface StatusBody {
  readonly message: string
  readonly reason: string
  readonly details?: object
  readonly code: number
}

describe('refusals read as Kubernetes writes them', () => {
  test.each<[string, Identity, string, object]>([
    [
      QUEUE,
      { kind: 'user', user: BOB },
      'queue.external.metrics.k8s.io is forbidden: User "bob" cannot list resource "queue" in API group "external.metrics.k8s.io" in the namespace "default"',
      { group: 'external.metrics.k8s.io', kind: 'queue' },
    ],
    [
      QUEUE,
      { kind: 'anonymous' },
      'queue.external.metrics.k8s.io is forbidden: User "system:anonymous" cannot list resource "queue" in API group "external.metrics.k8s.io" in the namespace "default"',
      { group: 'external.metrics.k8s.io', kind: 'queue' },
    ],
    [
      PODS,
      { kind: 'user', user: BOB },
      'pods.custom.metrics.k8s.io "*" is forbidden: User "bob" cannot get resource "pods/rps" in API group "custom.metrics.k8s.io" in the namespace "default"',
      { name: '*', group: 'custom.metrics.k8s.io', kind: 'pods' },
    ],
    [
      '/apis/custom.metrics.k8s.io/v1beta1/nodes/n/load',
      { kind: 'user', user: BOB },
      'nodes.custom.metrics.k8s.io "n" is forbidden: User "bob" cannot get resource "nodes/load" in API group "custom.metrics.k8s.io" at the cluster scope',
      { name: 'n', group: 'custom.metrics.k8s.io', kind: 'nodes' },
    ],
    [
      '/apis/external.metrics.k8s.io/v1beta1',
      { kind: 'anonymous' },
      'forbidden: User "system:anonymous" cannot get path "/apis/external.metrics.k8s.io/v1beta1"',
      {},
    ],
    ['/', { kind: 'anonymous' }, 'forbidden: User "system:anonymous" cannot get path "/"', {}],
    [
      '/metrics',
      { kind: 'anonymous' },
      'forbidden: User "system:anonymous" cannot get path "/metrics"',
      {},
    ],
  ])('%s', async (path, identity, message, details) => {
    const { get } = await start({ authenticator: as(identity), authorizer: denied })
    const got = await get(path)
    expect(got.status).toBe(403)
    expect(got.json()).toMatchObject({ message, details, reason: 'Forbidden', code: 403 })
    expect(got.text).not.toContain('42')
  })

  test('the reason of the decision follows', async () => {
    const authorizer = { authorize: () => ({ allowed: false, reason: 'no rule' }) }
    const { get } = await start({ authorizer })
    expect(((await get(QUEUE)).json() as StatusBody).message).toMatch(/"default": no rule$/)
  })

  test('credentials that do not hold', async () => {
    const { get } = await start({ authenticator: as({ kind: 'invalid', message: 'expired' }) })
    const got = await get(QUEUE)
    expect(got.status).toBe(401)
    expect(got.json()).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'Unauthorized',
      reason: 'Unauthorized',
      code: 401,
    })
  })
})

describe('not knowing is never yes', () => {
  const fails = (): never => {
    throw new Error('review refused')
  }
  const later = <Value>(value: Value) =>
    new Promise<Value>((resolve) => {
      setImmediate(() => resolve(value))
    })
  test.each<[string, Partial<MetricsApiDeps>, number]>([
    ['authentication throws', { authenticator: { authenticate: fails } }, 503],
    [
      'authentication rejects',
      { authenticator: { authenticate: () => Promise.reject(new Error('x')) } },
      503,
    ],
    ['authorization throws', { authorizer: { authorize: fails } }, 503],
    [
      'authorization rejects',
      { authorizer: { authorize: () => Promise.reject(new Error('x')) } },
      503,
    ],
    [
      'authorization denies later',
      { authorizer: { authorize: () => later({ allowed: false }) } },
      403,
    ],
    [
      'both allow later',
      {
        authenticator: { authenticate: () => later<Identity>({ kind: 'user', user: ADMIN }) },
        authorizer: { authorize: () => later<Decision>({ allowed: true }) },
      },
      200,
    ],
    [
      'authentication later finds them invalid',
      { authenticator: { authenticate: () => later<Identity>({ kind: 'invalid', message: '' }) } },
      401,
    ],
  ])('%s', async (_, changes, status) => {
    const { get } = await start(changes)
    const got = await get(QUEUE)
    expect(got.status).toBe(status)
    expect(got.text.includes('"42"')).toBe(status === 200)
    expect(got.text).not.toContain('review refused')
  })
})

test('the authorizer is asked what Kubernetes would ask', async () => {
  const asked: [User, Attributes][] = []
  const authorizer: Authorizer = {
    authorize(user, attributes) {
      asked.push([user, attributes])
      return { allowed: true }
    },
  }
  const { get } = await start({ authorizer, authenticator: as({ kind: 'anonymous' }) })
  await get(QUEUE)
  await get(PODS)
  await get('/version')
  expect(asked.map(([user]) => user.groups)).toEqual(
    Array.from({ length: 3 }, () => ['system:unauthenticated']),
  )
  expect(asked.map(([, attributes]) => attributes)).toEqual([
    {
      kind: 'resource',
      verb: 'list',
      group: 'external.metrics.k8s.io',
      version: 'v1beta1',
      namespace: 'default',
      resource: 'queue',
    },
    {
      kind: 'resource',
      verb: 'get',
      group: 'custom.metrics.k8s.io',
      version: 'v1beta2',
      namespace: 'default',
      resource: 'pods',
      name: '*',
      subresource: 'rps',
    },
    { kind: 'nonResource', verb: 'get', path: '/version' },
  ])
})

test('health needs no credentials and readiness follows the adapter', async () => {
  let ready = true
  const { get } = await start({
    authenticator: as({ kind: 'invalid', message: '' }),
    authorizer: denied,
    isReady: () => ready,
  })
  for (const path of ['/healthz', '/livez', '/readyz', '/readyz?verbose']) {
    const got = await get(path)
    expect([got.status, got.text]).toEqual([200, 'ok'])
  }
  expect((await get('/healthz', undefined, { method: 'HEAD' })).status).toBe(200)
  expect((await get('/healthz', undefined, { method: 'POST' })).status).toBe(405)
  ready = false
  expect((await get('/readyz')).status).toBe(503)
  expect((await get('/livez')).status).toBe(200)
})

test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])(
  '%s is refused',
  async (method) => {
    const { get } = await start({})
    for (const path of [QUEUE, PODS, '/apis', '/nowhere']) {
      const got = await get(path, undefined, { method })
      expect(got.status).toBe(405)
      expect(got.headers['allow']).toBe('GET')
      if (method !== 'HEAD')
        expect(got.json()).toMatchObject({
          reason: 'MethodNotAllowed',
          message: 'the server does not allow this method on the requested resource',
        })
    }
  },
)

test.each([
  '/nowhere',
  '/apis/external.metrics.k8s.io/v9',
  '/apis/metrics.k8s.io/v1beta1',
  `${QUEUE}/../../../../metrics`,
  '/apis/external.metrics.k8s.io/v1beta1/namespaces/default',
  '//metrics',
  '/__proto__',
])('%s is not there', async (path) => {
  const { get } = await start({})
  const got = await get(path)
  expect([400, 404]).toContain(got.status)
  expect(got.json()).toMatchObject({ kind: 'Status', status: 'Failure' })
  expect(got.text).not.toContain('42')
})

test('a very long address is answered and the next request too', async () => {
  const { get } = await start({})
  const long = await get(`${QUEUE}?labelSelector=${'a,'.repeat(5000)}a`)
  expect(long.status).toBe(404)
  expect(long.text.length).toBeLessThan(3000)
  expect((await get(`${QUEUE}${'x'.repeat(3000)}`)).status).toBe(400)
  expect((await get(`${QUEUE}?labelSelector=${'a'.repeat(20_000)}`)).status).toBe(431)
  expect((await get(QUEUE)).status).toBe(200)
})

test('a fault inside is a 500 without its text, and is logged', async () => {
  const lines: [string, LogFields | undefined][] = []
  const log: Logger = {
    debug() {},
    info() {},
    warn() {},
    error: (event, fields) => void lines.push([event, fields]),
  }
  const broken = {
    ...reader,
    external: () => {
      throw new Error('secret inside')
    },
  }
  const { get } = await start({
    reader: broken,
    log,
    metricsText: () => Promise.reject(new Error('registry')),
  })
  const got = await get(QUEUE)
  expect(got.status).toBe(500)
  expect(got.json()).toMatchObject({ reason: 'InternalError' })
  expect(got.text).not.toContain('secret inside')
  expect((await get('/metrics')).status).toBe(500)
  expect(lines.map(([event]) => event)).toEqual(['request-failed', 'request-failed'])
})

test('each answer is observed once', async () => {
  const seen: string[] = []
  const { get } = await start({ observe: (route, status) => void seen.push(`${route} ${status}`) })
  await get(QUEUE)
  await get(`${QUEUE}s`)
  await get(PODS)
  await get('/readyz')
  await get('/metrics')
  await get('/nowhere')
  expect(seen).toEqual([
    'external 200',
    'external 404',
    'custom 200',
    'ready 200',
    'document 200',
    'unknown 404',
  ])
})
