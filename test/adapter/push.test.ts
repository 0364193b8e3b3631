/** The whole adapter as its own process: a report through mutual TLS becomes a signal's value. */
import { credentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadPush } from '../../adapter/push/wire.ts'
import type { KeyPair } from '../../adapter/security/selfSigned.ts'
import type { PushAdapter } from '../push/pushAdapter.ts'
import { requestSignals, startPushAdapter } from '../push/pushAdapter.ts'
import { PushClient, report } from '../push/pushClient.ts'
import { client as clientOf } from '../security/certificates.ts'
import { eventually } from '../setup/running.ts'

const NOW_MS = Date.now()
const SIGNALS = `${requestSignals({ rateWindow: '1m', target: 12.5 })}---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: latency, namespace: vision}
spec:
  source: services
  select: {metric: inference_latency_seconds_bucket}
  window: {function: quantile, quantile: 0.5, duration: 1m}
  expose: {external: {name: latency}}
`

let started: PushAdapter
const clients: PushClient[] = []

beforeAll(async () => {
  started = await startPushAdapter('{bucket: 100ms}', SIGNALS, NOW_MS)
})

afterAll(async () => {
  for (const client of clients) client.close()
  await started?.stop()
})

async function dial(own?: KeyPair): Promise<PushClient> {
  const { reportPort, serverCa } = started
  const buffer = (text?: string) => (text === undefined ? null : Buffer.from(text))
  const channel = credentials.createSsl(buffer(serverCa.cert), buffer(own?.key), buffer(own?.cert))
  const client = new PushClient(reportPort, await loadPush(), channel)
  clients.push(client)
  return client
}

const value = async (name: string) =>
  (await started.adapter.get(`/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/${name}`))
    .json

test('reports of two pods, one of them retried, are the sum of both', async () => {
  const client = await dial(clientOf(started.podsCa, NOW_MS, { commonName: 'detector' }))
  const latency = { bounds: [0.1, 0.2], counts: [0, 4, 0], sumSeconds: 0.6 }
  const counts = [{ model: 'yolo', version: '8', requests: 5, errors: 1, latency }]
  const first = report({ counts })
  expect(await client.report(first)).toMatchObject({ sequence: 1, outcome: 'ACCEPTED' })
  expect(await client.report(first)).toMatchObject({ outcome: 'DUPLICATE' })
  expect(await client.report(report({ pod: 'v-1', counts }))).toMatchObject({ outcome: 'ACCEPTED' })
  await eventually('the sum', async () =>
    expect(await value('requests')).toMatchObject({ items: [{ value: '10' }] }),
  )
  const idle = [{ model: 'yolo', version: '8', requests: 0, errors: 0, latency: { ...latency, counts: [0, 0, 0], sumSeconds: 0 } }] // prettier-ignore
  let sequence = 1
  let startUnixMs = first.endUnixMs
  // A rate is that of whole steps, so it takes a report of what came after.
  const goOn = async () => {
    sequence += 1
    const interval = { startUnixMs, endUnixMs: Date.now() }
    startUnixMs = interval.endUnixMs
    const one = { sequence, counts: idle, ...interval }
    const told = ['v-0', 'v-1'].map((pod) => client.report(report({ ...one, pod })))
    return (await Promise.all(told))[0]
  }
  await eventually('the median', async () => {
    await goOn()
    expect(await value('latency')).toMatchObject({ items: [{ value: '150m' }] })
  })
  await eventually('what a pod is to take', async () =>
    expect(await goOn()).toMatchObject({ outcome: 'ACCEPTED', admissibleRate: 12.5 }),
  )
  const other = await client.report(report({ pod: 'v-2', service: 'other' }))
  expect(other).not.toHaveProperty('admissibleRate')
  const { text } = await started.adapter.get('/metrics')
  expect(text).toMatch(/tideline_push_reports_total\{outcome="duplicate"\} 1/)
})

test('a certificate reports for its namespaces alone; without one nobody does', async () => {
  const client = await dial(clientOf(started.podsCa, NOW_MS, { commonName: 'detector' }))
  expect(await client.report(report({ namespace: 'shop' }))).toBe(
    'PERMISSION_DENIED: the report is for shop/v-0, and certificate "detector" may report for vision/*',
  )
  const stranger = await dial(clientOf(started.podsCa, NOW_MS, { commonName: 'stranger' }))
  expect(await stranger.report(report())).toMatch(
    /^PERMISSION_DENIED: .*"stranger" is not in push.auth.namespaces/,
  )
  expect(await (await dial()).report(report())).toMatch(/^UNAVAILABLE/)
})
