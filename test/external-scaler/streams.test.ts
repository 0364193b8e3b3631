import { connect } from 'node:http2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../kit/until.ts'
import { fresh, QUEUE, ref, stale, startScaler } from './scaler.ts'
import type { Running, ScalerClient } from './scaler.ts'

let scaler: Running
let client: ScalerClient

beforeEach(async () => {
  scaler = await startScaler({ streamsMax: 3 })
  client = scaler.client()
})
afterEach(() => scaler?.close())

const YES = { result: true }
const NO = { result: false }

describe('StreamIsActive', () => {
  test('tells the state on opening, each change, and true again every 30 s', async () => {
    scaler.show(QUEUE, fresh(0))
    const heard = client.stream('StreamIsActive', ref())
    await until('the state on opening', () => heard.messages.length === 1)
    scaler.show(QUEUE, fresh(3))
    await scaler.clock.advance(250)
    await until('the change', () => heard.messages.length === 2)
    scaler.show(QUEUE, fresh(4))
    await scaler.clock.advance(29_000)
    scaler.show(QUEUE, fresh(4))
    await scaler.clock.advance(1000)
    await until('the repetition', () => heard.messages.length === 3)
    scaler.show(QUEUE, fresh(0))
    await scaler.clock.advance(250)
    await until('the way back', () => heard.messages.length === 4)
    await scaler.clock.advance(29_000)
    expect(heard.messages).toEqual([NO, YES, YES, NO])
    expect(heard.end).toBeUndefined()
  })

  test('goes on repeating true while nothing is known, and never false', async () => {
    scaler.show(QUEUE, fresh(3))
    const heard = client.stream('StreamIsActive', ref())
    await until('the state on opening', () => heard.messages.length === 1)
    scaler.show(QUEUE, stale('the source is down'))
    await scaler.clock.advance(30_000)
    await until('the repetition', () => heard.messages.length === 2)
    scaler.show(QUEUE, fresh(0))
    await scaler.clock.advance(250)
    await until('the state after the outage', () => heard.messages.length === 3)
    scaler.show(QUEUE, stale('the source is down'))
    await scaler.clock.advance(60_000)
    scaler.show(QUEUE, fresh(3))
    await scaler.clock.advance(250)
    await until('the state after the second outage', () => heard.messages.length === 4)
    expect(heard.messages).toEqual([YES, YES, NO, YES])
    expect(heard.end).toBeUndefined()
  })

  test('opened in an outage tells true where that was told before, by call or stream, and never false', async () => {
    const other = { signal: 'queue', activation: '5' }
    scaler.show(QUEUE, fresh(3))
    expect([await client.active(), await client.active(other)]).toEqual([true, false])
    scaler.show(QUEUE, stale('the source is down'))
    const heard = client.stream('StreamIsActive', ref())
    const still = client.stream('StreamIsActive', ref(other))
    await until('what was told before', () => heard.messages.length === 1)
    await scaler.clock.advance(30_000)
    await until('the repetition', () => heard.messages.length === 2)
    expect(heard.messages).toEqual([YES, YES])
    expect(still.messages).toEqual([])
    scaler.show(QUEUE, fresh(9))
    await scaler.clock.advance(250)
    await until('the other is told', () => still.messages.length === 1)
    still.cancel()
    scaler.show(QUEUE, stale('the source is down'))
    const again = client.stream('StreamIsActive', ref(other))
    await until('what the stream before told', () => again.messages.length === 1)
    expect(again.messages).toEqual([YES])
  })

  test('says nothing of a signal that was never known', async () => {
    scaler.show(QUEUE, stale('the source is down'))
    const heard = client.stream('StreamIsActive', ref())
    await until('the stream is there', () => scaler.clock.sleeping === 1)
    await client.ask('Check', { service: '' })
    await scaler.clock.advance(60_000)
    scaler.show(QUEUE, fresh(0))
    await scaler.clock.advance(250)
    await until('the first state', () => heard.messages.length === 1)
    expect(heard.messages).toEqual([NO])
  })

  test('is open before the first evaluation', async () => {
    const heard = client.stream('StreamIsActive', ref())
    await until('the stream is there', () => scaler.clock.sleeping === 1)
    await client.ask('Check', { service: '' })
    scaler.show(QUEUE, fresh(3))
    await scaler.clock.advance(250)
    await until('the first state', () => heard.messages.length === 1)
    expect(heard.messages).toEqual([YES])
  })

  test('ends for bad metadata, and when the signal is taken away', async () => {
    scaler.show(QUEUE, fresh(3))
    const wrong = client.stream('StreamIsActive', ref({ signal: 'qeue' }))
    await until('the end', () => wrong.end)
    expect(wrong.end).toMatch(/^INVALID_ARGUMENT: .*signal is "qeue"/)
    const heard = client.stream('StreamIsActive', ref())
    await until('the state', () => heard.messages.length === 1)
    scaler.showAll()
    await scaler.clock.advance(250)
    await until('the end', () => heard.end)
    expect(heard.end).toMatch(/^INVALID_ARGUMENT: .*no such Signal/)
  })
})

test('StreamMetricSpec tells the specification on opening and when it changes', async () => {
  scaler.show(QUEUE, stale('the source is down'))
  const heard = client.stream('StreamMetricSpec', ref())
  await until('the specification', () => heard.messages.length === 1)
  expect(heard.messages).toEqual([await client.spec()])
  scaler.show(QUEUE, fresh(3))
  await scaler.clock.advance(60_000)
  const keda = { name: 'queue-depth', target: 20, activation: 0 }
  scaler.show({ ...QUEUE, expose: { keda } }, fresh(3))
  await scaler.clock.advance(250)
  await until('the change', () => heard.messages.length === 2)
  expect(heard.messages[1]).toEqual({
    metricSpecs: [{ metricName: 'queue-depth', targetSize: 20, targetSizeFloat: 20 }],
  })
})

test('StreamMetricSpec tells of a refused trigger what GetMetricSpec does, and goes on once it is mended', async () => {
  scaler.show({ ...QUEUE, name: 'other', id: 'vision/other' }, fresh(3))
  const heard = client.stream('StreamMetricSpec', ref())
  await until('the specification', () => heard.messages.length === 1)
  expect(heard.messages).toEqual([await client.spec()])
  scaler.show(QUEUE, fresh(3))
  await scaler.clock.advance(250)
  await until('the change', () => heard.messages.length === 2)
  expect(heard.messages[1]).toEqual(await client.spec())
  expect(heard.end).toBeUndefined()
})

test('no more streams than allowed; one that is cancelled makes room', async () => {
  scaler.show(QUEUE, fresh(3))
  const open = [1, 2, 3].map(() => client.stream('StreamIsActive', ref()))
  for (const heard of open) await until('a state', () => heard.messages.length === 1)
  const refused = client.stream('StreamIsActive', ref())
  await until('the refusal', () => refused.end)
  expect(refused.end).toMatch(/^RESOURCE_EXHAUSTED: 3 streams are open/)
  expect(await client.active()).toBe(true)
  open[0]?.cancel()
  await until('the end is counted', () => scaler.calls.includes('StreamIsActive OK'))
  const next = client.stream('StreamIsActive', ref())
  await until('a state', () => next.messages.length === 1)
})

describe('health', () => {
  test('follows readiness', async () => {
    expect(await client.ask('Check', { service: '' })).toEqual({ status: 'SERVING' })
    const name = 'externalscaler.ExternalScaler'
    const heard = client.stream('Watch', { service: name })
    await until('the status', () => heard.messages.length === 1)
    scaler.ready = false
    expect(await client.ask('Check', { service: name })).toEqual({ status: 'NOT_SERVING' })
    await scaler.clock.advance(250)
    await until('the change', () => heard.messages.length === 2)
    expect(heard.messages).toEqual([{ status: 'SERVING' }, { status: 'NOT_SERVING' }])
  })

  test('of what is not served', async () => {
    expect(await client.ask('Check', { service: 'other' })).toMatch(
      /^NOT_FOUND: other is not served/,
    )
    const heard = client.stream('Watch', { service: 'other' })
    await until('the status', () => heard.messages.length === 1)
    expect(heard.messages).toEqual([{ status: 'SERVICE_UNKNOWN' }])
    // A message is cut, and not within a character.
    for (const before of ['', 'a'])
      expect(await client.ask('Check', { service: before + '😀'.repeat(500) })).toMatch(
        /^NOT_FOUND/,
      )
  })
})

describe('the end', () => {
  test('streams end as done, calls are refused, the port is free', async () => {
    scaler.show(QUEUE, fresh(3))
    const heard = client.stream('StreamIsActive', ref())
    await until('a state', () => heard.messages.length === 1)
    await scaler.close()
    expect(heard.end).toBe('OK')
    const late = scaler.client()
    expect(await late.active()).toMatch(/^UNAVAILABLE/)
    late.close()
  })

  test('connections are told to go by GOAWAY, without an error', async () => {
    const session = connect(`http://127.0.0.1:${scaler.port}`)
    let told: number | undefined
    session.on('goaway', (code) => (told = code))
    await new Promise<void>((resolve) => session.once('connect', () => resolve()))
    await new Promise<void>((resolve) => session.ping((_error) => resolve()))
    const ended = new Promise<void>((resolve) => session.once('close', resolve))
    await scaler.close()
    await ended
    expect(told).toBe(0)
  })

  test('does not wait longer than the grace for who will not go', async () => {
    const session = connect(`http://127.0.0.1:${scaler.port}`)
    session.on('error', () => undefined)
    // Half a call: the request never ends, so the answer never begins.
    const call = session.request({
      ':method': 'POST',
      ':path': '/externalscaler.ExternalScaler/IsActive',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    call.on('error', () => undefined)
    await new Promise<void>((resolve) => session.once('connect', () => resolve()))
    await new Promise<void>((resolve) => session.ping((_error) => resolve()))
    let closed = false
    const closing = scaler.close(10_000).then(() => (closed = true))
    await scaler.clock.advance(9999)
    expect(closed).toBe(false)
    await scaler.clock.advance(1)
    await closing
    session.destroy()
  })
})
