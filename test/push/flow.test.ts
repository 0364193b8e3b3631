/** A stream whose sender does not wait, from the wire: what is not answered yet stays with the sender. */
import { connect } from 'node:http2'
import type { ClientHttp2Stream } from 'node:http2'
import { afterEach, expect, test } from 'vitest'
import { loadPush } from '../../adapter/push/wire.ts'
import { until } from '../kit/until.ts'
import { pacesOf, report, startPush } from './pushClient.ts'
import type { PushSettings } from './pushClient.ts'

const REPORTS = 2000
/** Longest that the message of an answer gets. */
const MESSAGE = 'x'.repeat(800)
/** What HTTP/2 lets a sender send that nobody took yet, and what either end has in its hands besides. */
const ON_THE_WAY_BYTES = 4 * 65_535

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

interface Sender {
  readonly stream: ClientHttp2Stream
  /** Bytes that went out, of all that were written. */
  sentBytes(): number
  readonly writtenBytes: number
}

/** Writes all reports at once and reads nothing. */
async function sendAll(deps: PushSettings) {
  const push = await startPush({ paces: pacesOf({ reportsPerSecond: 1e9 }), ...deps })
  closers.push(push.close)
  const session = connect(`http://127.0.0.1:${push.port}`)
  closers.push(() => session.destroy())
  const stream = session.request({
    ':method': 'POST',
    ':path': '/tideline.push.v1.Push/Reports',
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: 'Bearer token',
  })
  const serialize = (await loadPush())['Reports']?.requestSerialize
  let writtenBytes = 0
  for (let sequence = 1; sequence <= REPORTS; sequence += 1) {
    const message = serialize?.(report({ sequence, service: MESSAGE })) ?? Buffer.alloc(0)
    const frame = Buffer.concat([Buffer.alloc(5), message])
    frame.writeUInt32BE(message.length, 1)
    writtenBytes += frame.length
    stream.write(frame)
  }
  stream.end()
  const sender: Sender = { stream, writtenBytes, sentBytes: () => session.socket.bytesWritten }
  return sender
}

/** Waits until a number stays as it is. */
async function settled(read: () => number): Promise<number> {
  let before = -1
  let looks = 0
  await until('a standstill', () => {
    looks = read() === before && before > 0 ? looks + 1 : 0
    before = read()
    return looks > 40
  })
  return before
}

/** Answers in all that comes from now on. */
async function answersOf({ stream }: Sender): Promise<number> {
  let bytes = Buffer.alloc(0)
  for await (const part of stream) bytes = Buffer.concat([bytes, part as Buffer])
  let answers = 0
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt32BE(at + 1)) answers += 1
  return answers
}

test('who does not read its answers is not read either, and is once it reads', async () => {
  let asked = 0
  const sender = await sendAll({
    receiver: {
      report() {
        asked += 1
        return { outcome: 'refused', reason: 'invalid', message: MESSAGE }
      },
    },
  })
  const answered = await settled(() => asked)
  expect(answered * MESSAGE.length).toBeLessThan(ON_THE_WAY_BYTES)
  const taken = (answered * sender.writtenBytes) / REPORTS
  expect(sender.sentBytes() - taken).toBeLessThan(ON_THE_WAY_BYTES)
  expect(sender.writtenBytes).toBeGreaterThan(3 * ON_THE_WAY_BYTES)
  expect(await answersOf(sender)).toBe(REPORTS)
  expect(asked).toBe(REPORTS)
})

test('who is quicker than the review of its token is held back, one report under review', async () => {
  let reviews = 0
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  const sender = await sendAll({
    receiver: { report: () => ({ outcome: 'accepted' }) },
    proof: {
      kind: 'token',
      async review() {
        reviews += 1
        await released
        return { authenticated: false, message: 'not accepted' }
      },
    },
  })
  expect(await settled(sender.sentBytes)).toBeLessThan(ON_THE_WAY_BYTES)
  expect(reviews).toBe(1)
  release()
  expect(await answersOf(sender)).toBe(REPORTS)
})
