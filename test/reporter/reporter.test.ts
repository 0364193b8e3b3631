/** The reporter in a real gRPC server, and the real port for reports that it reports to. */
import { Client, credentials, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js'
import type { ServiceError, sendUnaryData, ServerDuplexStream } from '@grpc/grpc-js'
import { load } from '@grpc/proto-loader'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { PushServerDeps } from '../../adapter/push/ports.ts'
import type { Reporter, ReporterOptions } from '../../reporter/reporter.ts'
import { startReporter } from '../../reporter/reporter.ts'
import { retryReader } from '../../reporter/retry.ts'
import type { PushOutcome, PushReport } from '../../src/ports.ts'
import { until } from '../kit/until.ts'
import { report, startPush } from '../push/pushClient.ts'

const plain = { requestStream: false, responseStream: false }
const codec = {
  requestSerialize: (text: string) => Buffer.from(text),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (text: string) => Buffer.from(text),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
}
const ECHO = {
  say: { path: '/echo/say', ...plain, ...codec },
  chat: { path: '/echo/chat', requestStream: true, responseStream: true, ...codec },
}

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A port for reports that keeps what it is told, and what it told of the distinct ones. */
async function startPort(deps: Partial<Omit<PushServerDeps, 'receiver'>> = {}) {
  const reports: PushReport[] = []
  const receiver = {
    outcome: { outcome: 'accepted' } as PushOutcome,
    report(report: PushReport) {
      reports.push(report)
      return receiver.outcome
    },
  }
  const port = await startPush({ receiver, ...deps })
  closers.push(port.close)
  const sum = (field: 'requests' | 'errors') =>
    reports.flatMap(({ counts }) => counts).reduce((all, one) => all + one[field], 0)
  return { ...port, reports, receiver, sum }
}

/** A service whose every call `bad` fails; its reporter reports to `port`. */
async function startService(port: number, options: Partial<ReporterOptions> = {}) {
  const reporter: Reporter = await startReporter({
    address: `127.0.0.1:${port}`,
    credentials: credentials.createInsecure(),
    ...{ service: 'detector', namespace: 'vision', pod: 'v-0' },
    ...options,
  })
  const server = new Server({ interceptors: [reporter.interceptor] })
  server.addService(ECHO, {
    say(call: { request: string }, answer: sendUnaryData<string>) {
      if (call.request === 'bad') answer({ code: status.INTERNAL, details: 'asked for' })
      else answer(null, call.request)
    },
    chat(call: ServerDuplexStream<string, string>) {
      call.on('data', (text: string) => call.write(text))
      call.on('end', () => call.end())
    },
  })
  const own = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  const client = new Client(`127.0.0.1:${own}`, credentials.createInsecure())
  closers.push(async () => {
    client.close()
    server.forceShutdown()
    await reporter.close()
  })
  const say = (text: string) =>
    new Promise<string>((resolve) => {
      const { path, requestSerialize, responseDeserialize } = ECHO.say
      const told = (error: ServiceError | null, answer?: string) =>
        resolve(error === null ? (answer ?? '') : (status[error.code] ?? ''))
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, text, told)
    })
  const chat = () => {
    const { path, requestSerialize, responseDeserialize } = ECHO.chat
    return client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  }
  return { reporter, say, chat }
}

test('each call is reported once, with its fault and its latency, in intervals that meet', async () => {
  const port = await startPort()
  const { say, chat } = await startService(port.port)
  expect(await say('good')).toBe('good')
  expect(await say('bad')).toBe('INTERNAL')
  const stream = chat()
  stream.write('a')
  stream.end()
  for await (const text of stream) expect(text).toBe('a')
  await until('three calls', () => port.sum('requests') === 3)
  expect(port.sum('errors')).toBe(1)
  const observed = () =>
    port.reports.flatMap(({ counts }) => counts.flatMap(({ latency }) => latency?.counts ?? []))
  await until('their latencies', () => observed().reduce((sum, one) => sum + one, 0) === 3)
  await until('a third report', () => port.reports.length >= 3)
  for (const [index, report] of port.reports.entries()) {
    expect(report).toMatchObject({ namespace: 'vision', pod: 'v-0', service: 'detector' })
    expect(report.sequence).toBe(index + 1)
    if (index > 0) expect(report.startMs).toBe(port.reports[index - 1]?.endMs)
  }
  expect(new Set(port.reports.map(({ instance }) => instance)).size).toBe(1)
})

test('nothing to do is reported as zero, of every kind that is served', async () => {
  const port = await startPort()
  const kinds = [
    { model: 'yolo', version: '8' },
    { model: 'detr', version: '' },
  ]
  const { say } = await startService(port.port, { kinds, kindOf: () => ({ model: 'new', version: '' }) }) // prettier-ignore
  await until('a report', () => port.reports.length > 0)
  expect(port.reports[0]?.counts).toMatchObject(kinds.map((kind) => ({ ...kind, requests: 0 })))
  await say('good')
  await until('the call', () => port.sum('requests') === 1)
  expect(port.reports.at(-1)?.counts.find(({ requests }) => requests === 1)?.model).toBe('new')
})

test('while the adapter is away calls go on; what it did not answer is sent again unchanged', async () => {
  const port = await startPort()
  port.receiver.outcome = { outcome: 'refused', reason: 'unavailable', message: 'not yet' }
  const { say, reporter } = await startService(port.port)
  expect(await say('good')).toBe('good')
  await until('three tries', () => port.reports.length >= 3)
  expect(reporter.counters()).toMatchObject({ sent: 0, lastFault: 'UNAVAILABLE: not yet' })
  const tried = port.reports.length
  expect(new Set(port.reports.map((report) => JSON.stringify(report))).size).toBe(1)
  port.receiver.outcome = { outcome: 'accepted' }
  await until('all that waited', () => reporter.counters().sent >= 3)
  const sequences = port.reports.slice(tried).map(({ sequence }) => sequence)
  expect(sequences.slice(0, 3)).toEqual([1, 2, 3])
})

test('reads when to try again as the adapter writes it', async () => {
  const port = await startPort()
  port.receiver.outcome = { outcome: 'refused', reason: 'unavailable', message: 'not yet' }
  const failure = await port.client.ask(report()).catch((thrown: ServiceError) => thrown)
  const proto = join(import.meta.dirname, '../../proto/status.proto')
  const read = retryReader(await load(proto, { longs: Number }))
  expect(read(failure as ServiceError)).toBe(1000)
  const metadata = new Metadata()
  const bare = { name: '', message: '', code: status.UNAVAILABLE, details: '', metadata }
  expect(read(bare)).toBeUndefined()
  metadata.set('grpc-status-details-bin', Buffer.from('of somebody else'))
  expect(read(bare)).toBeUndefined()
})

test('a report that is refused for good is dropped and counted', async () => {
  const port = await startPort()
  port.receiver.outcome = { outcome: 'refused', reason: 'invalid', message: 'no' }
  const { say, reporter } = await startService(port.port)
  await say('good')
  await until('the drop', () => reporter.counters().droppedCalls === 1)
  expect(reporter.counters()).toMatchObject({
    calls: 1,
    sent: 0,
    lastFault: 'INVALID_ARGUMENT: no',
  })
})

test('without an adapter calls are served, and the end comes', async () => {
  const { say, reporter } = await startService(1)
  expect(await say('good')).toBe('good')
  await reporter.close()
  expect(reporter.counters()).toMatchObject({ calls: 1, sent: 0, droppedCalls: 1 })
})

test('beyond the admissible rate calls are refused only where that is asked for', async () => {
  const port = await startPort({ admissibleRate: () => 2 })
  for (const shed of [false, true]) {
    const { say, reporter } = await startService(port.port, { shed })
    await until('a rate', () => reporter.counters().sent > 0)
    const answers = await Promise.all(Array.from({ length: 10 }, () => say('good')))
    expect(answers.every((answer) => answer === 'good')).toBe(!shed)
    expect(new Set(answers)).toEqual(new Set(shed ? ['good', 'RESOURCE_EXHAUSTED'] : ['good']))
    expect(reporter.counters().calls).toBe(10)
  }
  await until('refused calls as demand', () => port.sum('requests') === 20)
})
