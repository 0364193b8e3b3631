/** What a caller sends to do harm: texts that come back to it in messages, and messages that are costly to read. */
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
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
  review: (token) =>
    token === 'v-0'
      ? { authenticated: true, user: { name, extra } }
      : { authenticated: false, message: 'not accepted' },
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

const EXPORT = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'
const REPORT = '/tideline.push.v1.Push/Report'

test.each([
  ['an export of empty resources', EXPORT, Buffer.alloc(400_002, Buffer.from([0x0a, 0]))],
  ['a report of empty counts', REPORT, Buffer.alloc(2002, Buffer.from([0x42, 0]))],
  ['what is longer than it is', EXPORT, Buffer.from([0x0a, 5, 0])],
  ['no message', REPORT, Buffer.from('hello world')],
])(
  '%s is refused by its size, and not even looked at where nobody proves who he is',
  async (...of) => {
    const [, path, body] = of
    push = await startPush({ receiver, proof })
    const client = new Client(`127.0.0.1:${push.port}`, credentials.createInsecure())
    const ask = (token: string) =>
      new Promise<string>((resolve) => {
        const metadata = new Metadata()
        metadata.set('authorization', `Bearer ${token}`)
        const same = (bytes: Buffer) => bytes
        client.makeUnaryRequest(path, same, same, body, metadata, (error) =>
          resolve(error === null ? 'OK' : `${status[error.code]}: ${error.details}`),
        )
      })
    try {
      expect(await ask('nobody')).toMatch(/^UNAUTHENTICATED/)
      expect(await ask('v-0')).toMatch(/^INVALID_ARGUMENT: the message cannot be read: /)
    } finally {
      client.close()
    }
  },
)

test('in a stream nothing is read either of what nobody proves, and each answer names its report', async () => {
  push = await startPush({ receiver, proof })
  const sent = [report({ sequence: 7 }), report({ sequence: 2 ** 40 })]
  expect(await push.client.reports(sent, 'nobody')).toMatchObject([
    { sequence: 7, outcome: 'REFUSED', code: 'UNAUTHENTICATED' },
    { sequence: 2 ** 40, outcome: 'REFUSED', code: 'UNAUTHENTICATED' },
  ])
  const client = new Client(`127.0.0.1:${push.port}`, credentials.createInsecure())
  const same = (bytes: Buffer) => bytes
  const ask = (token: string, body: Buffer) =>
    new Promise<string>((resolve, reject) => {
      const metadata = new Metadata()
      metadata.set('authorization', `Bearer ${token}`)
      const call = client.makeBidiStreamRequest(`${REPORT}s`, same, same, metadata)
      call.on('data', (answer: Buffer) => resolve(answer.toString('latin1')))
      call.on('error', reject)
      call.end(body)
    })
  try {
    // A sequence of 5, and what is no field.
    const body = Buffer.from([0x28, 5, 0xff, 0xff])
    const sequence = '\b\u0005'
    expect(await ask('nobody', body)).toMatch(new RegExp(`^${sequence}.*UNAUTHENTICATED`, 's'))
    expect(await ask('v-0', body)).toMatch(new RegExp(`^${sequence}.*INVALID_ARGUMENT`, 's'))
  } finally {
    client.close()
  }
})
