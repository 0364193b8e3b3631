/** A service with the reporter, the whole adapter as its own process, TLS both ways: calls become a signal. */
import { Client, credentials, Server, ServerCredentials, status } from '@grpc/grpc-js'
import type { sendUnaryData, ServiceError } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Reporter, ReporterOptions } from '../../reporter/reporter.ts'
import { startReporter } from '../../reporter/reporter.ts'
import type { PushAdapter } from '../push/pushAdapter.ts'
import { requestSignals, startPushAdapter } from '../push/pushAdapter.ts'
import { client as clientOf } from '../security/certificates.ts'
import { eventually } from '../setup/running.ts'

const NOW_MS = Date.now()
const ADMISSIBLE = 40
const SIGNALS = requestSignals({ counted: 'freshFor: 4s', rateWindow: '2s', target: ADMISSIBLE })
const bytes = {
  requestSerialize: (text: string) => Buffer.from(text),
  requestDeserialize: (data: Buffer) => data.toString(),
  responseSerialize: (text: string) => Buffer.from(text),
  responseDeserialize: (data: Buffer) => data.toString(),
}
const ECHO = { path: '/echo/say', requestStream: false, responseStream: false, ...bytes }

let started: PushAdapter
const ends: (() => unknown)[] = []

interface Service {
  readonly reporter: Reporter
  /** What is answered to one call, or the name of its status. */
  say(): Promise<string>
}

async function startService(options: Pick<ReporterOptions, 'pod' | 'shed'>): Promise<Service> {
  const { reportPort, serverCa, podsCa } = started
  const own = clientOf(podsCa, NOW_MS, { commonName: 'detector' })
  const [root, key, cert] = [serverCa.cert, own.key, own.cert].map((text) => Buffer.from(text))
  const reporter = await startReporter({
    address: `localhost:${reportPort}`,
    credentials: credentials.createSsl(root, key, cert),
    ...{ service: 'detector', namespace: 'vision', ...options },
  })
  const server = new Server({ interceptors: [reporter.interceptor] })
  server.addService(
    { say: ECHO },
    {
      say: (call: { request: string }, answer: sendUnaryData<string>) => answer(null, call.request),
    },
  )
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, taken) =>
      error === null ? resolve(taken) : reject(error),
    )
  })
  const client = new Client(`127.0.0.1:${bound}`, credentials.createInsecure())
  ends.push(async () => {
    client.close()
    server.forceShutdown()
    await reporter.close()
  })
  const say = () =>
    new Promise<string>((resolve) => {
      const told = (error: ServiceError | null, answer?: string) =>
        resolve(error === null ? (answer ?? '') : (status[error.code] ?? ''))
      client.makeUnaryRequest(ECHO.path, ECHO.requestSerialize, ECHO.responseDeserialize, 'a', told)
    })
  return { reporter, say }
}

let idle: Service

beforeAll(async () => {
  started = await startPushAdapter('{}', SIGNALS, NOW_MS)
  ends.push(started.stop)
  idle = await startService({ pod: 'v-0' })
})

afterAll(async () => {
  for (const end of ends.toReversed()) await end()
})

const value = async () =>
  (await started.adapter.get('/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/requests'))
    .json

test('an idle service is zero, and its calls are counted, each once', async () => {
  await eventually('zero', async () =>
    expect(await value()).toMatchObject({ items: [{ value: '0' }] }),
  )
  const answers = await Promise.all(Array.from({ length: 250 }, idle.say))
  expect(new Set(answers)).toEqual(new Set(['a']))
  await eventually('all calls', async () =>
    expect(await value()).toMatchObject({ items: [{ value: '250' }] }),
  )
  expect(idle.reporter.counters()).toMatchObject({ calls: 250, dropped: 0, lastFault: undefined })
})

test('more than a pod is to take is refused by the service that is asked to, and by no other', async () => {
  const [shedding, taking] = await Promise.all([
    startService({ pod: 'v-1', shed: true }),
    startService({ pod: 'v-2' }),
  ])
  await eventually('a refusal', async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, shedding.say))
    expect(answers).toContain('RESOURCE_EXHAUSTED')
  })
  const beganMs = performance.now()
  let taken = 0
  const seconds = () => (performance.now() - beganMs) / 1000
  while (seconds() < 3) {
    const answers = await Promise.all(Array.from({ length: 10 }, shedding.say))
    taken += answers.filter((answer) => answer === 'a').length
    expect(await taking.say()).toBe('a')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  // A second's worth may have been saved up.
  expect(taken).toBeLessThanOrEqual(ADMISSIBLE * (seconds() + 1) + 1)
  expect(taken).toBeGreaterThan(ADMISSIBLE)
  expect(shedding.reporter.counters().shed).toBeGreaterThan(0)
  expect(taking.reporter.counters().shed).toBe(0)
})

test('a service without its adapter goes on; a service that is gone is no number', async () => {
  await idle.reporter.close()
  expect(await idle.say()).toBe('a')
  await eventually('no number', async () => expect(await value()).not.toHaveProperty('items'))
})
