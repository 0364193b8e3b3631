/** OTLP/HTTP as its specification has it: paths, encodings, compression, and which faults are worth a repetition. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { loadEncodings } from '../../../adapter/push/otlp/messages.ts'
import type { Proof } from '../../../adapter/push/ports.ts'
import type { MeasurementsOutcome, PushMeasurements } from '../../../src/ports.ts'
import { until } from '../../kit/until.ts'
import { pacesOf } from '../pushClient.ts'
import { depthOf, startOtlp } from './otlpClient.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const POD_NAME = 'authentication.kubernetes.io/pod-name'
const tokens: Proof = {
  kind: 'token',
  review(token) {
    if (token === 'broken') throw new Error('no answer')
    if (!/^v-[01]$/.test(token)) return { authenticated: false, message: 'not accepted' }
    const name = 'system:serviceaccount:vision:default'
    return { authenticated: true, user: { name, extra: { [POD_NAME]: [token] } } }
  },
}

async function start(
  answer?: MeasurementsOutcome,
  proof: Proof = { kind: 'none' },
  reportsPerSecond = 2,
) {
  const told: PushMeasurements[] = []
  const port = await startOtlp({
    receiver: {
      report: () => ({ outcome: 'accepted' }),
      measure(measurements) {
        told.push(measurements)
        const { length } = measurements.points
        return answer ?? { outcome: 'taken', taken: length, refused: new Map() }
      },
    },
    proof,
    paces: pacesOf({ reportsPerSecond }),
  })
  closers.push(port.close)
  return { told, ...port }
}

const TEXT = depthOf(3, 1_700_000_000_000)
const [protobuf] = await loadEncodings()

test('JSON, as it is or gzip', async () => {
  const { told, post } = await start()
  const plain = await post(TEXT)
  expect([plain.status, plain.headers.get('content-type'), await plain.json()]).toEqual([
    200,
    'application/json',
    {},
  ])
  expect((await post(gzipSync(TEXT), { 'content-encoding': 'gzip' })).status).toBe(200)
  expect(told).toHaveLength(2)
  expect(told[1]).toEqual(told[0])
  expect(told[0]).toMatchObject({ namespace: 'vision', pod: 'v-0', points: [{ value: 3 }] })
})

test('a part that is refused is a success that says so, its number as text', async () => {
  const refused = new Map([['depth: too old', 1]])
  const { post } = await start({ outcome: 'taken', taken: 0, refused })
  expect(await (await post(TEXT)).json()).toEqual({
    partialSuccess: { rejectedDataPoints: '1', errorMessage: 'depth: too old (1)' },
  })
})

test.each<[string, string | Uint8Array<ArrayBuffer>, Record<string, string>, number, RegExp]>([
  ['what is no JSON', '{', {}, 400, /the body cannot be read as application\/json/],
  ['a list', '[]', {}, 400, /the body must be an object/],
  ['what is no protobuf', 'x', { 'content-type': 'application/x-protobuf' }, 400, /x-protobuf/],
  ['what is no gzip', TEXT, { 'content-encoding': 'gzip' }, 400, /cannot be unpacked/],
  ['another compression', TEXT, { 'content-encoding': 'br' }, 415, /gzip or none/],
  ['too much', ' '.repeat(1024 * 1024 + 1), {}, 413, /smaller batches/],
  [
    'what has too many parts',
    gzipSync(`{"resourceMetrics":[${'{},'.repeat(200_000)}{}]}`),
    { 'content-encoding': 'gzip' },
    400,
    /more than 200000 parts in one: send smaller batches/,
  ],
  [
    'the same in protobuf',
    gzipSync(Buffer.alloc(400_002, Buffer.from([0x0a, 0]))),
    { 'content-encoding': 'gzip', 'content-type': 'application/x-protobuf' },
    400,
    /more than 200000 parts in one: send smaller batches/,
  ],
  [
    'what unpacks to too much',
    gzipSync(' '.repeat(5 * 1024 * 1024)),
    { 'content-encoding': 'gzip' },
    400,
    /cannot be unpacked/,
  ],
])('%s is refused for good', async (_, ...[body, headers, status, why]) => {
  const { told, post } = await start()
  const answer = await post(body, headers)
  expect(answer.status).toBe(status)
  expect(await answer.text()).toMatch(why)
  expect(answer.headers.get('retry-after')).toBeNull()
  expect(told).toEqual([])
})

test('other paths, methods and types name what is taken', async () => {
  const { post, url } = await start()
  expect((await post(TEXT, {}, '/v1/traces')).status).toBe(404)
  const got = await fetch(`${url}/v1/metrics`)
  expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST'])
  const text = await post(TEXT, { 'content-type': 'text/plain' })
  expect(text.status).toBe(415)
  expect(await text.text()).toMatch('application/x-protobuf or application/json')
})

test('who it is decides before the body is read', async () => {
  const { told, post } = await start(undefined, tokens)
  const as = async (authorization: string) =>
    (await post(TEXT, authorization === '' ? {} : { authorization })).status
  expect(await as('')).toBe(401)
  expect(await as('Bearer forged')).toBe(401)
  expect(await as('Bearer broken')).toBe(503)
  expect(told).toEqual([])
  expect(await as('Bearer v-0')).toBe(200)
  const foreign = TEXT.replace('"v-0"', '"v-1"')
  expect((await post(foreign, { authorization: 'Bearer v-0' })).status).toBe(403)
})

test('without a certificate of ours nobody has a body read, not even an empty one', async () => {
  const proof: Proof = { kind: 'certificate', namespaces: new Map([['detector', new Set(['a'])]]) }
  const { post } = await start(undefined, proof)
  const answer = await post('{}')
  expect(answer.status).toBe(401)
  expect(await answer.text()).toMatch('show a client certificate')
})

test('who is refused reads so, however much of the body is still to come', async () => {
  const { post } = await start(undefined, tokens)
  for (let round = 0; round < 10; round += 1) {
    const answer = await post(' '.repeat(900_000), { authorization: 'Bearer forged' })
    expect([answer.status, await answer.text()]).toEqual([401, expect.stringMatching(/accepted/)])
  }
})

test('a pod that sends slowly keeps no other out', async () => {
  const { url, post, outcomes } = await start(undefined, tokens, 1000)
  const headers = [
    'POST /v1/metrics HTTP/1.1',
    'host: x',
    'content-type: application/json',
    'content-length: 9',
    'authorization: Bearer v-0',
  ]
  const sockets = Array.from({ length: 70 }, () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(`${headers.join('\r\n')}\r\n\r\n{`)
    return socket
  })
  closers.push(() => sockets.map((socket) => socket.destroy()))
  await until('those beyond its share are refused', () => outcomes.length === 62)
  expect(new Set(outcomes)).toEqual(new Set(['unavailable']))
  const refusedAt = await post(TEXT, { authorization: 'Bearer v-0' })
  expect([refusedAt.status, refusedAt.headers.get('retry-after')]).toEqual([503, '1'])
  const other = TEXT.replace('"v-0"', '"v-1"')
  expect((await post(other, { authorization: 'Bearer v-1' })).status).toBe(200)
})

test('an upload that its sender breaks off is no fault of ours, and gives its place back', async () => {
  const { url, log, outcomes, post } = await start()
  for (let round = 0; round < 70; round += 1) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(
      'POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
    )
    await once(socket, 'connect')
    socket.resetAndDestroy()
  }
  await until('all are noted', () => outcomes.length === 70)
  expect(new Set(outcomes)).toEqual(new Set(['cancelled']))
  expect(log.entries).toEqual([])
  expect((await post(TEXT)).status).toBe(200)
})

test('what a pod that is too quick sends is not even read', async () => {
  const { post } = await start(undefined, tokens)
  const statuses = []
  for (let sent = 0; sent < 6; sent += 1)
    statuses.push((await post('{', { authorization: 'Bearer v-0' })).status)
  expect(statuses.slice(0, 4)).toEqual([400, 400, 400, 400])
  expect(statuses.at(-1)).toBe(429)
})

test('what goes by says when to come again', async () => {
  const nobody = { outcome: 'refused', reason: 'unavailable', message: 'no source' } as const
  const absent = await (await start(nobody)).post(TEXT)
  expect([absent.status, absent.headers.get('retry-after')]).toEqual([503, '1'])
  expect(await absent.json()).toEqual({ code: 14, message: 'no source' })
  const { post } = await start()
  const statuses = []
  for (let sent = 0; sent < 6; sent += 1) statuses.push(await post(TEXT))
  const last = statuses.at(-1)
  expect([last?.status, last?.headers.get('retry-after')]).toEqual([429, '1'])
})

test('an answer in protobuf is one', async () => {
  const { post } = await start()
  const answer = await post(new Uint8Array(), { 'content-type': protobuf?.contentType ?? '' })
  expect([answer.status, (await answer.arrayBuffer()).byteLength]).toEqual([200, 0])
})
