/** Texts that a caller writes, and that come back to it in messages. */
import { afterEach, expect, test } from 'vitest'
import type { Proof } from '../../adapter/push/ports.ts'
import { report, startPush } from './pushClient.ts'
import type { RunningPush } from './pushClient.ts'

let push: RunningPush | undefined
afterEach(async () => {
  await push?.close()
  push = undefined
})

const name = 'system:serviceaccount:vision:default'
const extra = { 'authentication.kubernetes.io/pod-name': ['v-0'] }
const proof: Proof = {
  kind: 'token',
  review: () => ({ authenticated: true, user: { name, extra } }),
}
const receiver = { report: () => ({ outcome: 'accepted' }) as const }

test.each([
  ['cut within a character', `${'😀'.repeat(500)}`],
  ['cut within a character, one on', `a${'😀'.repeat(500)}`],
  ['half a character', '\ud800'],
  ['a line break', 'a\r\nb\u0000'],
])('%s: the call is answered', async (_, namespace) => {
  push = await startPush({ receiver, proof })
  expect(await push.client.report(report({ namespace }), 'v-0')).toMatch(/^PERMISSION_DENIED: /)
})
