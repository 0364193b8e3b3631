/** A queue in a real Redis, an adapter as users run it, and `tideline record` beside it. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { startAdapter } from '../setup/adapterProcess.ts'
import { makeCertificates } from '../setup/certificates.ts'
import type { RedisServer } from '../setup/redisServer.ts'
import { startRedis } from '../setup/redisServer.ts'
import { eventually, temporaryFolder } from '../setup/running.ts'

const MAIN = join(import.meta.dirname, '../../adapter/main.ts')
const folder = temporaryFolder()
const at = (name: string) => join(folder.path, name)
let redis: RedisServer
let adapter: AdapterProcess
let flags: string[]

const signal = (name: string, spec: string) => `---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: ${name}, namespace: vision}
spec:
  source: queues
  select: {metric: redis_list_length}
  freshFor: 1s
  expose: {external: {name: ${name}}}
  ${spec}
`

beforeAll(async () => {
  redis = await startRedis()
  const { files } = makeCertificates(folder.path)
  writeFileSync(at('tokens'), 't0ken,recorder\n')
  writeFileSync(at('token'), 't0ken\n')
  writeFileSync(
    at('tideline.yaml'),
    `apiVersion: tideline.dev/v1alpha1
kind: MetricsAdapter
metadata: {name: test}
spec:
  metricsApi: {auth: {mode: tokenFile, tokenFile: ${at('tokens')}}, drain: 0s}
  evaluation: {interval: 50ms}
  sources:
    - name: queues
      redis:
        url: redis://127.0.0.1:${redis.port}
        interval: 100ms
        keys: [{key: frames, as: list}, {key: clips, as: list}]
${signal('depth', 'stabilize: {window: 300s}')}${signal('by-queue', 'combine: {by: [key]}')}`,
  )
  adapter = await startAdapter([
    ...['--config', at('tideline.yaml'), '--address', '127.0.0.1', '--port', '0'],
    ...['--tls-cert-file', files.cert, '--tls-key-file', files.key],
  ])
  flags = [
    ...['--adapter', `https://127.0.0.1:${adapter.port}`, '--every', '500ms'],
    ...['--ca-file', files.ca, '--token-file', at('token')],
  ]
}, 60_000)
afterAll(async () => {
  await adapter?.stop()
  await redis?.stop()
  folder.remove()
})

interface Program {
  readonly ended: Promise<{ readonly code: number; readonly out: string; readonly err: string }>
  kill(signal: NodeJS.Signals): void
}

function tideline(...args: string[]): Program {
  let kill: Program['kill'] = () => undefined
  const ended = new Promise<Awaited<Program['ended']>>((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...args], (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    )
    kill = (name) => void child.kill(name)
  })
  return { ended, kill }
}

const trace = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[1]))
const reaches = (path: string, rows: number) =>
  eventually(`${rows} rows`, async () => expect(trace(path).length).toBeGreaterThanOrEqual(rows))
async function push(key: string, items: number): Promise<void> {
  await redis.admin.del(key)
  if (items > 0) await redis.admin.rpush(key, ...Array.from({ length: items }, String))
}

test('what a signal observes is recorded, not what is held; killed, it goes on; then it is replayed', async () => {
  const out = at('depth.csv')
  const args = ['record', ...flags, '--signal', 'vision/depth', '--out', out]
  await push('frames', 40)
  const first = tideline(...args)
  await reaches(out, 2)
  await push('frames', 3)
  await eventually('the fall is recorded', async () => expect(trace(out).at(-1)).toBe(3))
  first.kill('SIGKILL')
  await first.ended
  const before = readFileSync(out, 'utf8')
  // What autoscalers are told is still the 40.
  const path = '/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/depth'
  const { json } = await adapter.get(path, { headers: { authorization: 'Bearer t0ken' } })
  expect(json).toMatchObject({ items: [{ value: '40' }] })

  const second = tideline(...args)
  await eventually('a row more', async () =>
    expect(readFileSync(out, 'utf8').length).toBeGreaterThan(before.length),
  )
  second.kill('SIGINT')
  const { code, err } = await second.ended
  expect({ code, err }).toMatchObject({ code: 0 })
  expect(err).toMatch(/^vision\/depth: \d+ rows; no gap$/m)
  expect(readFileSync(out, 'utf8').startsWith(before)).toBe(true)

  const replayed = await tideline(
    'replay',
    '--trace',
    out,
    '--policy',
    'fixed:300',
    '--out',
    at('o'),
  ).ended
  expect(replayed).toMatchObject({ code: 0 })
  expect(replayed.out).toMatch(/^depth: \d+ rows; too short a time is known to compare$/m)
  expect(readFileSync(at('o'), 'utf8')).toMatch(/,40,0,3,/)
}, 60_000)

test('groups go into a folder; a source that does not answer makes a gap that is told', async () => {
  await push('frames', 2)
  await push('clips', 5)
  const recording = tideline('record', ...flags, '--signal', 'by-queue', '--out', at('traces/'))
  const [clips, frames] = [
    at('traces/vision.by-queue.key=clips.csv'),
    at('traces/vision.by-queue.key=frames.csv'),
  ]
  await reaches(clips, 2)
  await reaches(frames, 2)
  redis.suspend()
  try {
    await eventually('the adapter has no fresh value', async () => {
      const metrics = await adapter.get('/metrics', { headers: { authorization: 'Bearer t0ken' } })
      expect(metrics.text).not.toMatch(/^tideline_signal_observed\{/m)
    })
    const then = trace(frames).length
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(trace(frames).length).toBeLessThanOrEqual(then + 1)
  } finally {
    redis.resume()
  }
  const rows = trace(frames).length
  await reaches(frames, rows + 2)
  recording.kill('SIGTERM')
  const { code, err } = await recording.ended
  expect(code).toBe(0)
  expect(err).toMatch(/vision\/by-queue key=clips has no value: 2 readings are stale/)
  expect(err).toMatch(/key=clips: \d+ rows; gaps: stale for/)
  expect(trace(clips).every((value) => value === 5)).toBe(true)
  expect(trace(frames).every((value) => value === 2)).toBe(true)
}, 60_000)

test.each([
  [
    ['--signal', 'depht'],
    2,
    '"depht" is not known to the adapter: it has vision/by-queue, vision/depth',
  ],
  [['--signal', 'by-queue'], 2, 'several groups (key=clips; key=frames): choose one by --group'],
  [['--signal', 'depth', '--token-file', '/dev/null'], 1, 'token'],
  [['--signal', 'depth', '--token-file', MAIN], 1, 'has characters that no token has'],
  [['--signal', 'depth', '--server-name', 'other'], 1, 'see --ca-file, --server-name'],
])('%j is refused', async (args, code, message) => {
  const ended = await tideline('record', ...flags, ...args).ended
  expect(ended.err).toContain(message)
  expect(ended.code).toBe(code)
})

test('why a value is what it is, is told in words; a signal that is not there is an error', async () => {
  const asked = flags.filter((flag) => flag !== '--every' && flag !== '500ms')
  await push('frames', 50)
  await eventually('the peak is seen', async () => {
    const { out } = await tideline('why', ...asked, '--signal', 'depth').ended
    expect(out).toMatch(/^vision\/depth is [5-9]\d, data of/)
  })
  await push('frames', 3)
  await eventually('the hold is told', async () => {
    const { code, out } = await tideline('why', ...asked, '--signal', 'vision/depth').ended
    expect(code).toBe(0)
    expect(out).toMatch(/^vision\/depth is \d+ \(observed \d\), data of \d\d:\d\d:\d\d\n {2}held until .*: highest value of the last 300 s \(fixed window\)/) // prettier-ignore
  })
  const all = await tideline('why', ...asked).ended
  expect(all.out).toContain('vision/by-queue{key=frames} is 3')
  const none = await tideline('why', ...asked, '--signal', 'width').ended
  expect(none.code).toBe(1)
  expect(none.err).toContain('has no signal width')
})
