import type { ServiceError } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { afterEach, expect, test } from 'vitest'
import type { Proof } from '../../adapter/push/ports.ts'
import type { PushOutcome, PushReport } from '../../src/ports.ts'
import { pacesOf, report, startPush } from './pushClient.ts'
import type { RunningPush } from './pushClient.ts'

let push: RunningPush | undefined
afterEach(async () => {
  await push?.close()
  push = undefined
})

const taken: PushReport[] = []
const receiver = {
  report(one: PushReport) {
    taken.push(one)
    return { outcome: 'accepted' } as const
  },
}

const POD_NAME = 'authentication.kubernetes.io/pod-name'
const tokens: Proof = {
  kind: 'token',
  review(token) {
    if (token === 'broken') throw new Error('the API server does not answer')
    if (token === 'person') return { authenticated: true, user: { name: 'anna', extra: {} } }
    if (token !== 'v-0') return { authenticated: false, message: 'not accepted' }
    const name = 'system:serviceaccount:vision:default'
    return { authenticated: true, user: { name, extra: { [POD_NAME]: ['v-0'] } } }
  },
}

test('a pod reports for itself alone, and need not say who it is', async () => {
  push = await startPush({ receiver, proof: tokens })
  const { client } = push
  expect(await client.report(report({ namespace: '', pod: '' }), 'v-0')).toMatchObject({
    outcome: 'ACCEPTED',
  })
  expect(taken.at(-1)).toMatchObject({ namespace: 'vision', pod: 'v-0' })
  const before = taken.length
  expect(await client.report(report({ pod: 'v-1' }), 'v-0')).toBe(
    'PERMISSION_DENIED: the report is for vision/v-1, and system:serviceaccount:vision:default may report for vision/v-0',
  )
  expect(await client.report(report({ namespace: 'shop' }), 'v-0')).toMatch(/^PERMISSION_DENIED/)
  expect(await client.report(report(), 'person')).toMatch(/^PERMISSION_DENIED: anna/)
  expect(await client.report(report())).toMatch(/^UNAUTHENTICATED/)
  expect(await client.report(report(), 'forged')).toMatch(/^UNAUTHENTICATED/)
  expect(await client.report(report(), 'broken')).toMatch(/^UNAVAILABLE/)
  expect(taken.length).toBe(before)
  expect(push.outcomes).toContain('permission_denied')
})

test('a pod that is too quick is told when to come again', async () => {
  push = await startPush({ receiver, paces: pacesOf({ reportsPerSecond: 1 }) })
  const answers = []
  for (let sequence = 1; sequence <= 4; sequence += 1)
    answers.push(await push.client.report(report({ sequence })))
  expect(answers.at(-1)).toMatch(/^RESOURCE_EXHAUSTED: .* send again in \d+ ms/)
  expect(await push.client.report(report({ pod: 'v-1' }))).toMatchObject({ outcome: 'ACCEPTED' })
})

/** As google/rpc/status.proto and google/rpc/error_details.proto have it, read by another decoder. */
const WIRE = `
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
`
const { root } = protobuf.parse(WIRE, { keepCase: true })

interface Status {
  readonly code: number
  readonly message: string
  readonly details: readonly { readonly type_url: string; readonly value: Uint8Array }[]
}

interface Duration {
  readonly seconds: number
  readonly nanos: number
}

/** The delay that a refusal's trailers say; undefined where they say nothing. */
async function retryIn(asked: Promise<unknown>): Promise<Duration | undefined> {
  const { code, details, metadata } = await asked.then(
    () => Promise.reject(new Error('not refused')),
    (thrown: ServiceError) => thrown,
  )
  const [trailer] = metadata.get('grpc-status-details-bin')
  if (trailer === undefined) return undefined
  const read = (name: string, bytes: Uint8Array) =>
    root
      .lookupType(name)
      .toObject(root.lookupType(name).decode(bytes), { longs: Number, defaults: true })
  const status = read('Status', trailer as Buffer) as unknown as Status
  expect(status).toMatchObject({ code, message: details })
  expect(status.details.map(({ type_url }) => type_url)).toEqual([
    'type.googleapis.com/google.rpc.RetryInfo',
  ])
  return read('RetryInfo', status.details[0]?.value ?? new Uint8Array())['retry_delay'] as Duration
}

test('what goes by tells clients of every language when to try again; what does not is silent', async () => {
  const outcomes: PushOutcome[] = []
  push = await startPush({
    receiver: { report: () => outcomes.shift() ?? { outcome: 'accepted' } },
    proof: tokens,
    paces: pacesOf({ reportsPerSecond: 3 }),
  })
  const { client } = push
  const refused = (reason: 'limit' | 'invalid' | 'unavailable') => {
    outcomes.push({ outcome: 'refused', reason, message: reason })
    return retryIn(client.ask(report(), 'v-0'))
  }
  expect(await refused('invalid')).toBeUndefined()
  expect(await refused('limit')).toBeUndefined()
  expect(await refused('unavailable')).toEqual({ seconds: 1, nanos: 0 })
  expect(await retryIn(client.ask(report(), 'broken'))).toEqual({ seconds: 1, nanos: 0 })
  expect(await retryIn(client.ask(report(), 'forged'))).toBeUndefined()
  const answers = await Promise.allSettled(
    Array.from({ length: 8 }, () => client.ask(report(), 'v-0')),
  )
  const slow = answers.filter(({ status }) => status === 'rejected').at(-1)
  expect(slow).toBeDefined()
  const told = await retryIn(Promise.reject((slow as PromiseRejectedResult).reason))
  expect(told).toMatchObject({ seconds: 0 })
  expect(told?.nanos).toBeGreaterThan(0)
  const [last] = (await client.reports([report()], 'v-0')).slice(-1)
  expect(last).toMatchObject({ outcome: 'REFUSED', code: 'RESOURCE_EXHAUSTED' })
  expect(last?.retryAfterMs).toBeGreaterThan(0)
})

test('a stream answers each report in order and outlives a refusal', async () => {
  let next = 0
  push = await startPush({
    receiver: {
      report({ sequence }) {
        next += 1
        return sequence === 2
          ? { outcome: 'refused', reason: 'invalid', message: 'no such thing' }
          : { outcome: next === 4 ? 'duplicate' : 'accepted' }
      },
    },
  })
  const sent = [1, 2, 3, 3].map((sequence) => report({ sequence }))
  expect(await push.client.reports(sent)).toMatchObject([
    { sequence: 1, outcome: 'ACCEPTED' },
    { sequence: 2, outcome: 'REFUSED', code: 'INVALID_ARGUMENT', message: 'no such thing' },
    { sequence: 3, outcome: 'ACCEPTED' },
    { sequence: 3, outcome: 'DUPLICATE' },
  ])
})
