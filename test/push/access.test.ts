import { afterEach, expect, test } from 'vitest'
import type { Proof } from '../../adapter/push/ports.ts'
import type { PushReport } from '../../src/ports.ts'
import { report, startPush } from './pushClient.ts'
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
  push = await startPush({ receiver, reportsPerSecond: 1 })
  const answers = []
  for (let sequence = 1; sequence <= 4; sequence += 1)
    answers.push(await push.client.report(report({ sequence })))
  expect(answers.at(-1)).toMatch(/^RESOURCE_EXHAUSTED: .* send again in \d+ ms/)
  expect(await push.client.report(report({ pod: 'v-1' }))).toMatchObject({ outcome: 'ACCEPTED' })
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
