/** The arithmetic of the reporter. */
import { status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { CallRate } from '../../reporter/rate.ts'
import type { SendFailure } from '../../reporter/sender.ts'
import { Sender } from '../../reporter/sender.ts'
import { Shedder } from '../../reporter/shed.ts'
import { Tally } from '../../reporter/tally.ts'
import { until } from '../kit/until.ts'

test('the rate is smoothed over buckets of 5 s', () => {
  const rate = new CallRate(0)
  for (let i = 0; i < 50; i++) rate.add(4000)
  expect(rate.read(4999)).toBeUndefined()
  expect(rate.read(5000)).toBe(10)
  for (let i = 0; i < 100; i++) rate.add(6000)
  expect(rate.read(10_000)).toBeCloseTo(0.2 * 20 + 0.8 * 10)
  // Two empty buckets.
  expect(rate.read(20_000)).toBeCloseTo(12 * 0.8 * 0.8)
})

test('kinds beyond a hundred count, under no name', () => {
  const tally = new Tally([1], [])
  for (let i = 0; i < 300; i++) tally.begin({ model: `m${i}`, version: '' })
  tally.end({ model: 'm299', version: '' }, true, 2)
  const counts = tally.close()
  expect(counts).toHaveLength(100)
  expect(counts.reduce((sum, { requests }) => sum + requests, 0)).toBe(300)
  expect(counts.at(-1)).toMatchObject({ model: '', requests: 201, errors: 1 })
  expect(counts.at(-1)?.latency).toEqual({ bounds: [1], counts: [0, 1], sumSeconds: 2 })
  expect(tally.close().every(({ requests }) => requests === 0)).toBe(true)
})

test('a latency on a bound belongs below it', () => {
  const tally = new Tally([0.1, 1], [])
  for (const seconds of [0.1, 0.5, 1, 1.5]) tally.end({ model: '', version: '' }, false, seconds)
  expect(tally.close()[0]?.latency.counts).toEqual([1, 2, 1])
})

const counts = [{ ...{ model: '', version: '', requests: 2, errors: 0 }, latency: { bounds: [], counts: [], sumSeconds: 0 } }] // prettier-ignore
const names = { namespace: '', pod: '', service: 's', instance: 'i' }

test('what waits is bounded: the oldest is dropped and counted', () => {
  const sender = new Sender(
    () => new Promise(() => undefined),
    () => undefined,
  )
  for (let sequence = 1; sequence <= 40; sequence++)
    sender.add({ ...names, sequence, startUnixMs: 1, endUnixMs: 2, counts })
  // One is under way and thirty wait.
  expect(sender).toMatchObject({ sent: 0, dropped: 9, droppedCalls: 18 })
})

test('a report too many waits as long as is said; where nothing is said it is dropped', async () => {
  const failures: SendFailure[] = [
    { code: status.RESOURCE_EXHAUSTED, details: 'too quick', retryMs: 1 },
    { code: status.RESOURCE_EXHAUSTED, details: 'too many series' },
  ]
  const sent: number[] = []
  const sender = new Sender(
    ({ sequence }) => {
      sent.push(sequence)
      const failure = failures.shift()
      return failure === undefined
        ? Promise.resolve({ outcome: 'ACCEPTED' })
        : Promise.reject(failure)
    },
    () => undefined,
  )
  for (const sequence of [1, 2])
    sender.add({ ...names, sequence, startUnixMs: 1, endUnixMs: 2, counts })
  await until('both', () => sender.idle)
  expect(sent).toEqual([1, 1, 2])
  expect(sender).toMatchObject({ sent: 1, dropped: 1, droppedCalls: 2 })
})

test('a rate that was told long ago limits nothing', () => {
  const shedder = new Shedder()
  expect(shedder.takes(0)).toBe(true)
  shedder.told(2, 0)
  expect([0, 0, 0].map((ms) => shedder.takes(ms))).toEqual([true, true, false])
  expect(shedder.takes(500)).toBe(true)
  expect(shedder.takes(500)).toBe(false)
  expect(shedder.takes(10_001)).toBe(true)
  shedder.told(undefined, 10_002)
  expect([0, 0, 0].map(() => shedder.takes(10_003))).toEqual([true, true, true])
})
