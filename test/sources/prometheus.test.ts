import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { prometheusSource } from '../../src/sources/prometheus.ts'
import type { SourceType } from '../../src/ports.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { RecordingSink } from '../kit/recordingSink.ts'
import { sourceContract } from '../kit/sourceContract.ts'
import type { Harness } from '../kit/sourceContract.ts'
import { secretsFrom } from '../kit/trial.ts'
import { until } from '../kit/until.ts'
import { makeCertificates } from '../setup/certificates.ts'
import type { Certificates } from '../setup/certificates.ts'
import { openFrontDoor } from '../setup/frontDoor.ts'
import { startPrometheus } from '../setup/prometheusServer.ts'
import type { PrometheusServer } from '../setup/prometheusServer.ts'
import { temporaryFolder } from '../setup/running.ts'
import type { Folder } from '../setup/running.ts'

const PASSWORD = 'correct-horse-battery'
/** bcrypt, cost 4. */
const HASH = '$2b$04$abcdefghijklmnopqrstuupOWRSKKNe562z1DsLEArFuJDHVyRIMa'
const OTHER_HASH = '$2b$04$abcdefghijklmnopqrstuuc7pQ2mYFuUV2cTYn3T4W6tIhQrEPV52'

/** What Prometheus scrapes. */
const exposition = {
  depth: 0,
  text: () => `# TYPE queue_depth gauge
queue_depth{queue="jobs",pod="worker-0"} ${exposition.depth}
# TYPE odd gauge
odd{is="nan"} NaN
odd{is="infinite"} +Inf
odd{is="plain"} 4
`,
}

let scrapes = 0
const pod = createServer((_, response) => {
  scrapes += 1
  response.end(exposition.text())
})
let folder: Folder
let certificates: Certificates
let prometheus: PrometheusServer
let secure: PrometheusServer

beforeAll(async () => {
  await new Promise<void>((resolve) => pod.listen(0, '127.0.0.1', resolve))
  folder = temporaryFolder()
  certificates = makeCertificates(folder.path)
  const targets = [`127.0.0.1:${(pod.address() as AddressInfo).port}`]
  const { files } = certificates
  const tls = { cert_file: files.cert, key_file: files.key, client_ca_file: files.ca }
  const authority = { ...tls, client_auth_type: 'RequireAndVerifyClientCert' }
  ;[prometheus, secure] = await Promise.all([
    startPrometheus({ targets, scrapeInterval: '50ms' }),
    startPrometheus({ targets: [], scrapeInterval: '1s', web: { tls_server_config: authority } }),
  ])
  // Prometheus waits some seconds before it scrapes the first time.
  await until('a scrape', () => scrapes > 2, 20_000)
})
afterAll(async () => {
  await Promise.all([prometheus.stop(), secure.stop()])
  pod.closeAllConnections()
  await new Promise((resolve) => pod.close(resolve))
  folder.remove()
})

const users = (hash: string) => prometheus.protect({ basic_auth_users: { tideline: hash } })

async function harness(): Promise<Harness> {
  const door = await openFrontDoor(prometheus)
  users(HASH)
  return {
    type: prometheusSource as SourceType<unknown>,
    config: (overrides = {}) => ({
      url: `http://127.0.0.1:${door.port}`,
      queries: [{ name: 'depth', query: 'queue_depth', labels: { team: 'vision' } }],
      auth: { basic: { username: 'tideline', password: { env: 'PROMETHEUS_PASSWORD' } } },
      interval: '100ms',
      timeout: '80ms',
      ...overrides,
    }),
    secrets: { PROMETHEUS_PASSWORD: PASSWORD },
    async show(value) {
      exposition.depth = value
    },
    expected: (value) => ({
      metric: 'depth',
      labels: { queue: 'jobs', team: 'vision', pod: 'worker-0' },
      kind: 'gauge',
      value,
    }),
    async misbehave(how) {
      if (how === 'refuse') await door.refuse()
      else if (how === 'hang') door.hang()
      else if (how === 'garbage') door.answer(httpAnswer(200, '<html>hello</html>'))
      else users(OTHER_HASH)
    },
    async behave() {
      users(HASH)
      await door.forward()
    },
    requests: () => ({ count: door.counts.writes, maxConcurrent: door.counts.maxOpen }),
    close: () => door.close(),
    skip: [{ clause: '6.1', reason: 'queries are configured: none of them goes away for good' }],
  }
}

function httpAnswer(status: number, body: string): string {
  return `HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

sourceContract('prometheus', harness)

interface Run {
  readonly sink: RecordingSink
  readonly log: RecordingLogger
}

/** Runs a source over a real server until `done`, and stops it. */
async function collecting(
  config: Readonly<Record<string, unknown>>,
  done: (run: Run) => unknown,
  secrets: Readonly<Record<string, string>> = { PROMETHEUS_PASSWORD: PASSWORD },
): Promise<Run> {
  const run = { sink: new RecordingSink(), log: new RecordingLogger() }
  const stop = new AbortController()
  const parsed = prometheusSource.schema.parse({ interval: '500ms', ...config })
  const running = prometheusSource
    .create(parsed, { name: 'p', clock: systemClock, secrets: secretsFrom(secrets), ...run })
    .run(stop.signal)
  try {
    await until('the source told it', () => done(run)).catch((thrown: unknown) => {
      throw new Error(`${String(thrown)} ${JSON.stringify(run)}`)
    })
  } finally {
    stop.abort()
    await running
  }
  return run
}

const plain = () => {
  users(HASH)
  return {
    url: `http://127.0.0.1:${prometheus.port}/`,
    auth: { basic: { username: 'tideline', password: { env: 'PROMETHEUS_PASSWORD' } } },
  }
}
const ask = (query: string, name = 'asked') => ({ ...plain(), queries: [{ name, query }] })
const failed = ({ sink }: Run) => sink.failures.at(-1)
const written = ({ sink }: Run) => sink.batches.at(-1)

describe('with a real Prometheus', () => {
  test('a vector keeps its labels, loses its name, and is true at the time of evaluation', async () => {
    exposition.depth = 12
    const beforeMs = systemClock.nowMs()
    const run = await collecting(ask('queue_depth'), ({ sink }) => sink.latest()[0]?.value === 12)
    const [sample] = run.sink.latest()
    expect(sample?.labels).toEqual({
      instance: expect.stringContaining('127.0.0.1'),
      job: 'test',
      pod: 'worker-0',
      queue: 'jobs',
    })
    expect(sample?.timestampMs).toBeGreaterThanOrEqual(beforeMs - 1)
    expect(sample?.timestampMs).toBeLessThanOrEqual(systemClock.nowMs() + 1)
  })

  test('a scalar is one series', async () => {
    const { sink } = await collecting(ask('scalar(vector(3))'), written)
    expect(sink.latest()).toMatchObject([{ metric: 'asked', labels: {}, kind: 'gauge', value: 3 }])
  })

  test('an empty result is a complete batch without samples, never zero', async () => {
    const { sink } = await collecting(ask('there_is_no_such_metric'), written)
    expect(sink.batches[0]).toMatchObject({ complete: true, samples: [] })
    expect(sink.failures).toEqual([])
  })

  test('what is not finite goes to the sink as it is, and not as zero', async () => {
    const { sink } = await collecting(ask('odd'), ({ sink }) => sink.latest().length === 3)
    const values = Object.fromEntries(sink.latest().map((s) => [s.labels['is'], s.value]))
    expect(values).toEqual({ nan: NaN, infinite: Infinity, plain: 4 })
  })

  test.each([
    ['a matrix', 'queue_depth[1m]', 'wrong-type', 'instant vector'],
    ['a string', '"three"', 'wrong-type', 'instant vector'],
    ['a query that does not parse', 'sum(', 'bad-response', 'bad_data'],
    ['an error of the evaluation', 'queue_depth * on() odd', 'bad-response', 'many-to-many'],
    [
      'series with equal labels',
      '{__name__=~"up|scrape_duration_seconds"}',
      'bad-response',
      'same',
    ],
  ])('%s fails', async (_, query, code, words) => {
    const wanted = (run: Run) => failed(run)?.message.includes(words)
    const run = await collecting(ask(query), wanted)
    expect(failed(run)).toMatchObject({ code, origin: 'query:asked' })
    expect(run.sink.latest()).toEqual([])
  })

  test('each query is its own origin: one that fails fails alone', async () => {
    const queries = [
      { name: 'good', query: 'vector(1)' },
      { name: 'bad', query: 'sum(' },
    ]
    const both = (run: Run) => failed(run) !== undefined && written(run) !== undefined
    const { sink } = await collecting({ ...plain(), queries }, both)
    expect(new Set(sink.batches.map(({ origin }) => origin))).toEqual(new Set(['query:good']))
    expect(new Set(sink.failures.map(({ origin }) => origin))).toEqual(new Set(['query:bad']))
  })

  test('more series than the limit are too large', async () => {
    const run = await collecting({ ...ask('odd'), limits: { series: 2 } }, failed)
    expect(failed(run)).toMatchObject({ code: 'too-large' })
  })

  test('mutual TLS by reference; without a certificate nothing is written', async () => {
    const config = {
      url: `https://127.0.0.1:${secure.port}`,
      queries: [{ name: 'one', query: 'vector(1)' }],
      tls: { ca: { file: 'ca' }, cert: { file: 'cert' }, key: { file: 'key' } },
    }
    const { ca, cert, key } = certificates
    const { sink } = await collecting(config, written, { ca, cert, key })
    expect(sink.latest()).toMatchObject([{ value: 1 }])
    const bare = await collecting({ ...config, tls: { ca: { file: 'ca' } } }, failed, { ca })
    expect(failed(bare)?.message).toMatch(/bad certificate|certificate required/)
    expect(bare.sink.batches).toEqual([])
  })
})

describe('with a server that answers as it is told', () => {
  const requests: { url: string | undefined; headers: Record<string, unknown>; body: string }[] = []
  let answer: { status: number; body: unknown }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      requests.push({ url: request.url, headers: request.headers, body })
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer.body))
    })
  })
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const to = (status: number, body: unknown) => {
    answer = { status, body }
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/prometheus/`,
      queries: [{ name: 'asked', query: 'sum by (pod) (up)' }],
    }
  }
  const vector = (...result: unknown[]) => ({
    status: 'success',
    data: { resultType: 'vector', result },
  })

  test('the query goes as a form under the base path, with headers by value and reference', async () => {
    const headers = { 'X-Scope-OrgID': 'team-a', 'X-Token': { env: 'TOKEN' } }
    const config = { ...to(200, vector()), auth: { bearerToken: { env: 'BEARER' } }, headers }
    const secrets = { TOKEN: 'token-of-header', BEARER: 'token-of-bearer' }
    const { log, sink } = await collecting(config, written, secrets)
    const request = requests.at(-1)
    expect(request).toMatchObject({
      url: '/prometheus/api/v1/query',
      headers: {
        'x-scope-orgid': 'team-a',
        'x-token': 'token-of-header',
        authorization: 'Bearer token-of-bearer',
      },
    })
    const form = new URLSearchParams(request?.body)
    expect(form.get('query')).toBe('sum by (pod) (up)')
    expect(form.get('timeout')).toBe('500ms')
    expect(JSON.stringify([log, sink])).not.toMatch(/token-of/)
  })

  test('attribution: what the server renamed is the series’s own', async () => {
    const dcgm = {
      pod: 'dcgm-x',
      namespace: 'gpu',
      exported_pod: 'llm-0',
      exported_namespace: 'ml',
    }
    const idle = { pod: 'dcgm-x', namespace: 'gpu', exported_pod: '' }
    const body = vector(
      { metric: { ...dcgm, __name__: 'util' }, value: [1e9, '80'] },
      { metric: idle, value: [1e9, '0'] },
    )
    const { sink } = await collecting({ ...to(200, body), attribution: 'metric' }, written)
    const exporter = { exporter_pod: 'dcgm-x', exporter_namespace: 'gpu' }
    expect(sink.latest().map(({ labels }) => labels)).toEqual([
      { ...exporter, pod: 'llm-0', namespace: 'ml' },
      exporter,
    ])
  })

  test('warnings are shown once, and again when they change', async () => {
    const warned = { ...vector(), warnings: ['one store did not answer'], infos: ['no counter'] }
    const run = await collecting(to(200, warned), ({ sink, log }) => {
      if (sink.batches.length === 3) answer = { status: 200, body: vector() }
      return log.entries.some(({ event }) => event === 'query-warnings-over')
    })
    const shown = run.log.entries.filter(({ event }) => event === 'query-warnings')
    expect(shown).toHaveLength(1)
    expect(shown[0]?.fields['warnings']).toEqual(['one store did not answer', 'no counter'])
  })

  test.each([
    [503, { status: 'error', errorType: 'timeout', error: 'query timed out' }, 'timeout'],
    [400, { status: 'error', errorType: 'bad_data', error: 'parse error' }, 'bad-response'],
    [503, { status: 'error', errorType: 'unavailable', error: 'starting' }, 'unavailable'],
    [503, { message: 'no healthy upstream' }, 'unavailable'],
    [404, {}, 'not-found'],
    [302, {}, 'bad-response'],
    [401, { status: 'error', errorType: 'bad_data', error: 'no' }, 'unauthorized'],
    [403, {}, 'unauthorized'],
    [200, {}, 'bad-response'],
    [200, [1], 'bad-response'],
    [200, { status: 'success', data: { resultType: 'scalar', result: [1, 2] } }, 'bad-response'],
    [200, vector({ metric: {}, value: [1e9, '0x'] }), 'bad-response'],
    [200, vector({ metric: {}, value: [1e9, ''] }), 'bad-response'],
    [200, vector({ metric: {}, value: [null, '1'] }), 'bad-response'],
    [200, vector({ metric: {}, histogram: [1e9, {}] }), 'wrong-type'],
  ])('%i %j is %s', async (status, body, code) => {
    const run = await collecting(to(status, body), failed)
    expect(failed(run)?.code).toBe(code)
    expect(run.sink.batches).toEqual([])
  })
})

describe('configuration', () => {
  const good = { url: 'https://prometheus:9090', queries: [{ name: 'a', query: 'up' }] }
  test('defaults', () => {
    expect(prometheusSource.schema.parse(good)).toMatchObject({
      interval: 15_000,
      attribution: 'target',
    })
  })
  test.each([
    ['credentials in the URL', { url: 'https://me:secret@prometheus' }, 'auth'],
    ['a credential as a header', { headers: { Authorization: 'Bearer x' } }, 'auth'],
    ['a query twice', { queries: [good.queries[0], good.queries[0]] }, 'twice'],
    ['a timeout above the interval', { timeout: '20s' }, 'interval'],
    ['a name that is none', { queries: [{ name: 'a b', query: 'up' }] }, 'metric name'],
  ])('%s is refused with the mend', (_, change, words) => {
    const parsed = prometheusSource.schema.safeParse({ ...good, ...change })
    expect(parsed.success).toBe(false)
    expect(JSON.stringify(parsed.error?.issues)).toContain(words)
  })
})
