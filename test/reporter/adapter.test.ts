/** A service with the reporter, the whole adapter as its own process, TLS both ways: calls become a signal. */
import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js'
import type { sendUnaryData } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Reporter } from '../../reporter/reporter.ts'
import { startReporter } from '../../reporter/reporter.ts'
import type { PushAdapter } from '../push/pushAdapter.ts'
import { startPushAdapter } from '../push/pushAdapter.ts'
import { client as clientOf } from '../security/certificates.ts'
import { eventually } from '../setup/running.ts'

const NOW_MS = Date.now()
const SIGNALS = `
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: requests, namespace: vision}
spec:
  source: services
  select: {metric: inference_requests}
  window: {function: increase, duration: 1m}
  combine: {function: sum}
  freshFor: 4s
  expose: {external: {name: requests}}
`
const bytes = {
  requestSerialize: (text: string) => Buffer.from(text),
  requestDeserialize: (data: Buffer) => data.toString(),
  responseSerialize: (text: string) => Buffer.from(text),
  responseDeserialize: (data: Buffer) => data.toString(),
}
const ECHO = { path: '/echo/say', requestStream: false, responseStream: false, ...bytes }

let started: PushAdapter | undefined
let reporter: Reporter | undefined
const server = { now: undefined as Server | undefined }
let client: Client

async function startService({ reportPort, serverCa, podsCa }: PushAdapter): Promise<Reporter> {
  const own = clientOf(podsCa, NOW_MS, { commonName: 'detector' })
  const reporting = await startReporter({
    address: `localhost:${reportPort}`,
    credentials: credentials.createSsl(
      Buffer.from(serverCa.cert),
      Buffer.from(own.key),
      Buffer.from(own.cert),
    ),
    ...{ service: 'detector', namespace: 'vision', pod: 'v-0' },
  })
  const service = new Server({ interceptors: [reporting.interceptor] })
  service.addService(
    { say: ECHO },
    {
      say: (call: { request: string }, answer: sendUnaryData<string>) => answer(null, call.request),
    },
  )
  const bound = await new Promise<number>((resolve, reject) => {
    service.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, taken) =>
      error === null ? resolve(taken) : reject(error),
    )
  })
  server.now = service
  client = new Client(`127.0.0.1:${bound}`, credentials.createInsecure())
  return reporting
}

beforeAll(async () => {
  started = await startPushAdapter('{}', SIGNALS, NOW_MS)
  reporter = await startService(started)
})

afterAll(async () => {
  client?.close()
  server.now?.forceShutdown()
  await reporter?.close()
  await started?.stop()
})

const say = () =>
  new Promise<string>((resolve) => {
    const told = (error: Error | null, answer?: string) => resolve(error?.message ?? answer ?? '')
    client.makeUnaryRequest(ECHO.path, ECHO.requestSerialize, ECHO.responseDeserialize, 'a', told)
  })
const value = async () =>
  (await started?.adapter.get('/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/requests'))
    ?.json

test('an idle service is zero, and its calls are counted, each once', async () => {
  await eventually('zero', async () =>
    expect(await value()).toMatchObject({ items: [{ value: '0' }] }),
  )
  const answers = await Promise.all(Array.from({ length: 250 }, say))
  expect(new Set(answers)).toEqual(new Set(['a']))
  await eventually('all calls', async () =>
    expect(await value()).toMatchObject({ items: [{ value: '250' }] }),
  )
  expect(reporter?.counters()).toMatchObject({ calls: 250, dropped: 0, lastFault: undefined })
})

test('a service without its adapter goes on; a service that is gone is no number', async () => {
  await reporter?.close()
  expect(await say()).toBe('a')
  await eventually('no number', async () => expect(await value()).not.toHaveProperty('items'))
})
