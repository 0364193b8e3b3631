import { temporaryFolder } from '../setup/running.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, deflateSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { Sample, Target } from '../../src/model.ts'
import type { Component, SecretReader, TargetDiscovery } from '../../src/ports.ts'
import { scrapeSource } from '../../src/sources/scrape.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { RecordingSink } from '../kit/recordingSink.ts'
import { secretsFrom } from '../kit/trial.ts'
import { until } from '../kit/until.ts'
import { HttpUpstream } from './httpUpstream.ts'

/** What the vision service exposes: counters of detections by class, a confidence, requests. */
const VISION = `# HELP vision_detection_count_total Detections by class
# TYPE vision_detection_count_total counter
vision_detection_count_total{class="person"} 128
vision_detection_count_total{class="car"} 37
# HELP vision_avg_confidence Mean confidence of the last detections
# TYPE vision_avg_confidence gauge
vision_avg_confidence{class="person"} 0.91
vision_avg_confidence{class="car"} 0.78
# TYPE http_requests_total counter
http_requests_total{method="POST",path="/infer",status="200"} 1027
`

let upstream: HttpUpstream
let sink: RecordingSink
let log: RecordingLogger
let stop: AbortController
let running: Promise<void>

beforeEach(async () => {
  upstream = new HttpUpstream((_, response) => response.end('up 1\n'))
  await upstream.listen()
  sink = new RecordingSink()
  log = new RecordingLogger()
  stop = new AbortController()
  running = Promise.resolve()
})
afterEach(async () => {
  stop.abort()
  await running
  await upstream.close()
})

interface Given {
  readonly discovery?: TargetDiscovery
  readonly secrets?: SecretReader
}

function start(config: Record<string, unknown> = {}, given: Given = {}): Component {
  const raw = { targets: [{ url: upstream.url }], interval: '500ms', ...config }
  const component = scrapeSource.create(scrapeSource.schema.parse(raw), {
    name: 'pods',
    clock: systemClock,
    sink,
    log,
    secrets: given.secrets ?? secretsFrom({}),
    ...(given.discovery === undefined ? {} : { discovery: given.discovery }),
  })
  running = component.run(stop.signal)
  return component
}

function answer(body: string | Buffer, headers: Record<string, string> = {}, status = 200): void {
  upstream.respond = (_, response) => response.writeHead(status, headers).end(body)
}

/** The first batch without `up`, which has a test of its own. */
const firstBatch = async () => {
  const batch = await until('a batch', () => sink.batches[0])
  return { ...batch, samples: batch.samples.filter(({ metric }) => metric !== 'up') }
}
const firstFailure = () => until('a failure', () => sink.failures[0])
const valueOf = (samples: readonly Sample[], metric: string) =>
  samples.find((sample) => sample.metric === metric)?.value

describe('what targets serve', () => {
  test('the vision service', async () => {
    answer(VISION, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
    start({
      targets: [{ url: upstream.url, labels: { namespace: 'prod', pod: 'vision-0' } }],
    })
    const { samples, complete, origin, source, atMs } = await firstBatch()
    expect({ complete, origin, source }).toEqual({
      complete: true,
      origin: upstream.url,
      source: 'pods',
    })
    const pod = { namespace: 'prod', pod: 'vision-0' }
    const common = { timestampMs: atMs }
    expect(samples).toEqual([
      {
        metric: 'vision_detection_count_total',
        labels: { class: 'person', ...pod },
        kind: 'cumulative',
        value: 128,
        ...common,
      },
      {
        metric: 'vision_detection_count_total',
        labels: { class: 'car', ...pod },
        kind: 'cumulative',
        value: 37,
        ...common,
      },
      {
        metric: 'vision_avg_confidence',
        labels: { class: 'person', ...pod },
        kind: 'gauge',
        value: 0.91,
        ...common,
      },
      {
        metric: 'vision_avg_confidence',
        labels: { class: 'car', ...pod },
        kind: 'gauge',
        value: 0.78,
        ...common,
      },
      {
        metric: 'http_requests_total',
        labels: { method: 'POST', path: '/infer', status: '200', ...pod },
        kind: 'cumulative',
        value: 1027,
        ...common,
      },
    ])
  })

  test('a restarted pod starts again from low counts, and the same series go on', async () => {
    answer('# TYPE a counter\na_total 900\na_created 1600000000\n# EOF\n', {
      'content-type': 'application/openmetrics-text; version=1.0.0',
    })
    start()
    const before = (await firstBatch()).samples[0]
    expect(before).toMatchObject({ value: 900, startMs: 1_600_000_000_000 })
    await upstream.misbehave('refuse')
    await firstFailure()
    answer('# TYPE a counter\na_total 2\na_created 1600000500\n# EOF\n', {
      'content-type': 'application/openmetrics-text; version=1.0.0',
    })
    await upstream.behave()
    const after = await until('the new count', () => sink.latest().find((each) => each.value === 2))
    expect(after).toMatchObject({ startMs: 1_600_000_500_000 })
    expect(after.labels).toBe(before?.labels)
  })

  test('each collect says that the target is up, with its labels; a failed one says nothing', async () => {
    answer('a 1\n')
    start({ targets: [{ url: upstream.url, labels: { namespace: 'prod', pod: 'v-0' } }] })
    const { samples } = await until('a batch', () => sink.batches[0])
    expect(samples.find(({ metric }) => metric === 'up')).toMatchObject({
      labels: { namespace: 'prod', pod: 'v-0' },
      kind: 'gauge',
      value: 1,
    })
    await upstream.misbehave('refuse')
    await firstFailure()
    const { length } = sink.batches
    expect(sink.batches.slice(length)).toEqual([])
  })

  test('targets listed in a file come and go with it', async () => {
    answer('a 1\n')
    const folder = temporaryFolder()
    const targetsFile = join(folder.path, 'targets.yaml')
    const list = `- url: ${upstream.url}\n  labels: {pod: from-file}\n`
    writeFileSync(targetsFile, list)
    start({ targets: [], targetsFile })
    const { samples } = await firstBatch()
    expect(samples[0]?.labels).toEqual({ pod: 'from-file' })
    writeFileSync(targetsFile, 'nonsense: true')
    const failure = await firstFailure()
    expect(failure).toMatchObject({ origin: 'discovery', code: 'bad-response' })
    expect(sink.ends).not.toContainEqual(expect.objectContaining({ origin: upstream.url }))
    writeFileSync(targetsFile, '[]')
    await until('the target ends', () => sink.ends.find(({ origin }) => origin === upstream.url))
    folder.remove()
  })

  test('only the listed metrics are taken', async () => {
    answer(VISION)
    start({ metrics: ['http_requests_total', 'vision_avg*'] })
    const { samples } = await firstBatch()
    expect(new Set(samples.map(({ metric }) => metric))).toEqual(
      new Set(['vision_avg_confidence', 'http_requests_total']),
    )
  })

  test.each<[string, Buffer, Record<string, string>]>([
    ['gzip', gzipSync('level 7\n'), { 'content-encoding': 'gzip' }],
    ['deflate', deflateSync('level 7\n'), { 'content-encoding': 'deflate' }],
    ['UTF-8', Buffer.from('# HELP level é\nlevel 7\n'), {}],
  ])('%s', async (_, body, headers) => {
    answer(body, headers)
    start()
    expect(valueOf((await firstBatch()).samples, 'level')).toBe(7)
  })

  test('it is asked for OpenMetrics first, compressed', async () => {
    let asked: Record<string, unknown> = {}
    upstream.respond = (request, response) => {
      asked = request.headers
      response.end('up 1\n')
    }
    start()
    await firstBatch()
    expect(asked['accept']).toMatch(/^application\/openmetrics-text;version=1\.0\.0/)
    expect(asked['accept-encoding']).toBe('gzip')
  })
})

describe('what targets do wrong', () => {
  const MIB = 1024 * 1024

  test.each<[string, () => void, string, RegExp]>([
    [
      'HTML',
      () => answer('<html>', { 'content-type': 'text/html' }),
      'bad-response',
      /looks like an HTML page/,
    ],
    ['a malformed line', () => answer('up 1\nup{ 2\n'), 'bad-response', /line 2/],
    ['not UTF-8', () => answer(Buffer.from([0x75, 0x70, 0xff, 0x0a])), 'bad-response', /not UTF-8/],
    [
      'a broken gzip',
      () => answer(gzipSync('up 1\n').subarray(0, 15), { 'content-encoding': 'gzip' }),
      'bad-response',
      /broke off/,
    ],
    [
      'an unknown encoding',
      () => answer('x', { 'content-encoding': 'br' }),
      'bad-response',
      /"br"/,
    ],
    [
      'too short a body',
      () => answer('up 1\n', { 'content-length': '50' }),
      'bad-response',
      /broke off|timeout|within/,
    ],
    ['403', () => answer('', {}, 403), 'unauthorized', /403/],
    ['404', () => answer('', {}, 404), 'not-found', /404: check the path/],
    ['429', () => answer('', {}, 429), 'unavailable', /429/],
    ['503', () => answer('', {}, 503), 'unavailable', /503/],
    [
      '503 with a bomb',
      () => answer(gzipSync(Buffer.alloc(64 * MIB)), { 'content-encoding': 'gzip' }, 503),
      'unavailable',
      /503/,
    ],
    [
      '401 in an unknown encoding',
      () => answer('x', { 'content-encoding': 'br' }, 401),
      'unauthorized',
      /401/,
    ],
    ['500', () => answer('', {}, 500), 'bad-response', /500/],
    [
      'a redirect',
      () => answer('', { location: 'http://127.0.0.1:1/' }, 302),
      'bad-response',
      /redirects are not followed/,
    ],
  ])('%s', async (title, behave, code, message) => {
    if (title === 'too short a body')
      upstream.respond = (_, response) => {
        response.writeHead(200, { 'content-length': '50' }).write('up 1\n')
        setImmediate(() => response.destroy())
      }
    else behave()
    start({ interval: '500ms' })
    const failure = await firstFailure()
    expect(failure.message).toMatch(message)
    expect(failure.code).toBe(code)
    expect(sink.batches).toEqual([])
  })

  test('a gzip bomb is refused by its size, not unpacked', async () => {
    answer(gzipSync(Buffer.alloc(256 * MIB, '#')), { 'content-encoding': 'gzip' })
    start({ interval: '30s', limits: { bodyBytes: MIB } })
    const before = process.memoryUsage.rss()
    const failure = await firstFailure()
    expect(failure).toMatchObject({ code: 'too-large' })
    expect(failure.message).toMatch(/larger than 1048576 bytes \(limit bodyBytes\)/)
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * MIB)
  })

  test.each([
    ['lines', { limits: { series: 10_000_000 } }],
    ['bodyBytes', { limits: { lines: 10_000_000, bodyBytes: 4 * MIB } }],
    ['series', { limits: { lines: 10_000_000, bodyBytes: 100 * MIB } }],
  ])('a body of a million lines is refused by the limit %s', async (limit, config) => {
    const lines = 1_000_000
    const rows = Array.from({ length: lines }, (_, i) => `a{i="${i}"} 1\n`)
    answer(rows.join(''))
    start({ interval: '30s', ...config })
    const spent = process.cpuUsage()
    const failure = await until('a failure', () => sink.failures[0])
    expect(failure).toMatchObject({ code: 'too-large' })
    expect(failure.message).toContain(`limit ${limit}`)
    expect(process.cpuUsage(spent).user).toBeLessThan(5e6)
    expect(sink.batches).toEqual([])
  })

  test('a series of a million labels is refused at the limit', async () => {
    answer(`a{${Array.from({ length: 1_000_000 }, (_, i) => `l${i}="x"`).join(',')}} 1\n`)
    start({ interval: '30s' })
    const failure = await firstFailure()
    expect(failure).toMatchObject({ code: 'too-large' })
    expect(failure.message).toMatch(/more than 64 labels of one series/)
  })

  test('a body that drips is broken off at the timeout', async () => {
    upstream.respond = (_, response) => {
      const drip = setInterval(() => response.write('up 1\n'), 10)
      response.once('close', () => clearInterval(drip))
    }
    start({ interval: '100ms' })
    expect(await firstFailure()).toMatchObject({ code: 'timeout', message: /100 ms/ })
  })

  test('a body that may be cut off is not read', async () => {
    upstream.respond = (_, response) => {
      response.useChunkedEncodingByDefault = false
      response.shouldKeepAlive = false
      response.removeHeader('transfer-encoding')
      response.write('up 12')
      response.end()
    }
    start()
    expect((await firstFailure()).message).toMatch(/cut off/)
  })

  test('one failure is one log line, and the recovery another', async () => {
    answer('', {}, 503)
    start()
    await until('failures', () => sink.failures.length >= 4)
    answer('up 1\n')
    await firstBatch()
    await until('more', () => sink.batches.length >= 3)
    expect(log.entries.filter(({ level }) => level !== 'debug').map(({ event }) => event)).toEqual([
      'scrape-failing',
      'scrape-recovered',
    ])
  })
})

describe('targets that come and go', () => {
  function discovered(): { discovery: TargetDiscovery; publish: (...targets: Target[]) => void } {
    let tell: (targets: readonly Target[]) => void = () => undefined
    const discovery: TargetDiscovery = {
      watch: (_, publish, signal) => {
        tell = publish
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
      },
    }
    return { discovery, publish: (...targets) => tell(targets) }
  }
  const pod = (id: string, labels = {}): Target => ({
    id,
    url: upstream.url,
    labels: { namespace: 'n', pod: id, ...labels },
  })
  const pods = { targets: [], pods: { labelSelector: 'app=x', port: 'metrics' } }

  test('a new pod is asked at once, one that is gone ends, one that moved starts anew', async () => {
    const { discovery, publish } = discovered()
    start({ ...pods, interval: '30s' }, { discovery })
    publish(pod('a'), pod('b'))
    await until('both', () => new Set(sink.batches.map(({ origin }) => origin)).size === 2)
    publish(pod('b'))
    expect(sink.ends).toEqual([{ source: 'pods', origin: 'a' }])
    publish(pod('b', { node: 'n2' }))
    expect(sink.ends).toHaveLength(2)
    await until('new labels', () => sink.latest()[0]?.labels['node'] === 'n2')
    publish(pod('b', { node: 'n2' }))
    expect(sink.ends).toHaveLength(2)
  })

  test('nothing is written of a pod after its end', async () => {
    const { discovery, publish } = discovered()
    let release: () => void = () => undefined
    upstream.respond = (_, response) => {
      release = () => response.end('up 1\n')
    }
    start({ ...pods, interval: '30s' }, { discovery })
    publish(pod('a'))
    await until('a request', () => upstream.seen.count === 1)
    publish()
    release()
    stop.abort()
    await running
    expect(sink.batches).toEqual([])
    expect(sink.failures).toEqual([])
    expect(sink.ends).toEqual([{ source: 'pods', origin: 'a' }])
  })

  test('without a cluster the origin discovery says so', async () => {
    start(pods)
    expect(await firstFailure()).toMatchObject({ origin: 'discovery', code: 'not-configured' })
  })

  test('a discovery that fails is told, and its targets go on', async () => {
    const broken: TargetDiscovery = {
      watch: async (_, publish) => {
        publish([pod('a')])
        throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
      },
    }
    start(pods, { discovery: broken })
    expect(await firstFailure()).toMatchObject({ origin: 'discovery', code: 'refused' })
    await firstBatch()
    expect(sink.ends).toEqual([])
  })

  test('no more targets are asked at a time than allowed', async () => {
    const { discovery, publish } = discovered()
    upstream.respond = (_, response) => void setTimeout(() => response.end('up 1\n'), 5)
    start({ ...pods, concurrency: 2 }, { discovery })
    publish(...Array.from({ length: 20 }, (_, i) => pod(`p${i}`)))
    await until('all', () => new Set(sink.batches.map(({ origin }) => origin)).size === 20)
    expect(upstream.seen.maxConcurrent).toBe(2)
  })
})

describe('labels', () => {
  const exposed =
    'gpu{pod="mine",namespace="ns",class="x"} 1\ngpu{exported_pod="y",exported_container="c"} 2\ngpu{namespace="z"} 3\n'
  const target = { labels: { pod: 'exporter', namespace: 'sys' } }

  test.each<[string, Record<string, unknown>, Record<string, string>[]]>([
    [
      "the target's win, the exposed ones are kept as exported_",
      {},
      [
        {
          pod: 'exporter',
          namespace: 'sys',
          exported_pod: 'mine',
          exported_namespace: 'ns',
          class: 'x',
        },
        { pod: 'exporter', namespace: 'sys', exported_pod: 'y', exported_container: 'c' },
        { pod: 'exporter', namespace: 'sys', exported_namespace: 'z' },
      ],
    ],
    [
      'honorLabels: the exposed ones win',
      { honorLabels: true },
      [
        { pod: 'mine', namespace: 'ns', class: 'x' },
        { pod: 'exporter', namespace: 'sys', exported_pod: 'y', exported_container: 'c' },
        { pod: 'exporter', namespace: 'z' },
      ],
    ],
    [
      'attribution by metric: a series without a pod has none',
      { attribution: 'metric' },
      [
        {
          exporter_pod: 'exporter',
          exporter_namespace: 'sys',
          pod: 'mine',
          namespace: 'ns',
          class: 'x',
        },
        { exporter_pod: 'exporter', exporter_namespace: 'sys', pod: 'y', container: 'c' },
        { exporter_pod: 'exporter', exporter_namespace: 'sys' },
      ],
    ],
  ])('%s', async (_, config, expected) => {
    answer(exposed)
    start({ targets: [{ url: upstream.url, ...target }], ...config })
    expect((await firstBatch()).samples.map(({ labels }) => labels)).toEqual(expected)
  })
})

describe('credentials', () => {
  test('a rotated token is used at the next collect', async () => {
    const secrets = { TOKEN: 'first-token' }
    upstream.respond = (request, response) =>
      request.headers.authorization === 'Bearer second-token'
        ? response.end('up 1\n')
        : response.writeHead(401).end()
    start({ auth: { bearerToken: { env: 'TOKEN' } } }, { secrets: secretsFrom(secrets) })
    expect(await firstFailure()).toMatchObject({ code: 'unauthorized' })
    secrets.TOKEN = 'second-token'
    await firstBatch()
  })

  test('basic', async () => {
    upstream.respond = (request, response) =>
      response.end(`asked{got="${request.headers.authorization}"} 1\n`)
    start(
      { auth: { basic: { username: 'u', password: { secret: { name: 's', key: 'k' } } } } },
      { secrets: secretsFrom({ 's/k': 'pass:word' }) },
    )
    const sample = (await firstBatch()).samples[0]
    expect(sample?.labels['got']).toBe(`Basic ${Buffer.from('u:pass:word').toString('base64')}`)
  })

  test('a reference that leads nowhere, and a reader that never answers', async () => {
    start({ auth: { bearerToken: { file: '/nowhere' } } })
    expect(await firstFailure()).toMatchObject({ code: 'not-configured' })
    stop.abort()
    await running
    stop = new AbortController()
    sink = new RecordingSink()
    const secrets: SecretReader = { read: () => new Promise(() => undefined) }
    start({ auth: { bearerToken: { file: '/slow' } } }, { secrets })
    expect(await firstFailure()).toMatchObject({ code: 'timeout' })
  })
})

describe('the configuration', () => {
  const url = 'http://10.0.0.1:8000/metrics'
  test.each<[string, Record<string, unknown>, string, RegExp]>([
    ['nothing to scrape', {}, 'targets', /targets, targetsFile or pods/],
    [
      'no URL',
      { targets: [{ url: 'vision:8000' }] },
      'targets.0.url',
      /http:\/\/ or https:\/\/ URL/,
    ],
    ['credentials in a URL', { targets: [{ url: 'http://u:p@h/' }] }, 'targets.0.url', /reference/],
    ['a URL twice', { targets: [{ url }, { url }] }, 'targets.1.url', /twice/],
    [
      'a label name',
      { targets: [{ url, labels: { 'a-b': 'c' } }] },
      'targets.0.labels.a-b',
      /label name/,
    ],
    [
      'a duration',
      { targets: [{ url }], interval: '15' },
      'interval',
      /"15" is not a duration.*15s/,
    ],
    [
      'a number as duration',
      { targets: [{ url }], interval: 15 },
      'interval',
      /15 is not a duration/,
    ],
    ['a zero', { targets: [{ url }], interval: '0s' }, 'interval', /longer than zero/],
    [
      'a timeout',
      { targets: [{ url }], interval: '5s', timeout: '6s' },
      'timeout',
      /not be longer than interval/,
    ],
    ['a pattern', { targets: [{ url }], metrics: ['a*b'] }, 'metrics.0', /beginning/],
    [
      'a credential',
      { targets: [{ url }], auth: { bearerToken: 'abc' } },
      'auth',
      /bearerToken: REFERENCE/,
    ],
  ])('%s is refused with its path', (_, raw, path, message) => {
    const { error } = scrapeSource.schema.safeParse(raw)
    const issue = error?.issues[0]
    expect(issue?.path.join('.')).toBe(path)
    expect(issue?.message).toMatch(message)
    expect(JSON.stringify(error?.issues)).not.toContain('abc')
  })

  test('defaults', () => {
    expect(scrapeSource.schema.parse({ targets: [{ url }] })).toEqual({
      targets: [{ url, labels: {} }],
      interval: 15_000,
      concurrency: 64,
      metrics: ['*'],
      honorLabels: false,
      honorTimestamps: true,
      attribution: 'target',
      limits: { bodyBytes: 16_777_216, lines: 200_000, series: 50_000, labels: 64 },
    })
  })
})
