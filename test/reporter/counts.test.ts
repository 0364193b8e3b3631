/** The arithmetic of the reporter. */
import { status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { CallRate } from '../../reporter/rate.ts'
import { addressesOf, Replicas } from '../../reporter/replicas.ts'
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
  for (let sequence = 1; sequence <= 110; sequence++)
    sender.add({ ...names, sequence, startUnixMs: 1, endUnixMs: 2, counts })
  // One is under way and a hundred wait.
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
  shedder.told('a', 2, 0)
  expect([0, 0, 0].map((ms) => shedder.takes(ms))).toEqual([true, true, false])
  expect(shedder.takes(500)).toBe(true)
  expect(shedder.takes(500)).toBe(false)
  expect(shedder.takes(10_001)).toBe(true)
  shedder.told('a', undefined, 10_002)
  expect([0, 0, 0].map(() => shedder.takes(10_003))).toEqual([true, true, true])
})

test('of several replicas the one that said least counts, and one that does not know is silent', () => {
  const shedder = new Shedder()
  shedder.told('a', 3, 0)
  shedder.told('b', 1, 0)
  shedder.told('c', undefined, 0)
  expect([0, 0].map((ms) => shedder.takes(ms))).toEqual([true, false])
  shedder.told('b', undefined, 1000)
  expect([4000, 4000, 4000, 4000].map((ms) => shedder.takes(ms))).toEqual([true, true, true, false])
})

test('a name stands for all of its addresses, of one family', async () => {
  expect(await addressesOf('192.0.2.7:6445')).toEqual(['192.0.2.7:6445'])
  expect(await addressesOf('[2001:db8::7]:6445')).toEqual(['[2001:db8::7]:6445'])
  expect(await addressesOf('localhost:6445')).toEqual(['127.0.0.1:6445'])
})

describe('replicas', () => {
  const report = (sequence: number) => ({
    ...names,
    sequence,
    startUnixMs: 1,
    endUnixMs: 2,
    counts,
  })

  /** Addresses that are there, and what was sent to each; `away` are those that never answer. */
  function begin(addresses: string[], away: readonly string[] = []) {
    const sent = new Map<string, number[]>()
    const closed: string[] = []
    const state = { fault: undefined as Error | undefined }
    const replicas = new Replicas({
      find: () =>
        state.fault === undefined ? Promise.resolve(addresses) : Promise.reject(state.fault),
      findEveryMs: 5,
      answered: () => undefined,
      open: (address) => ({
        send({ sequence }) {
          sent.set(address, [...(sent.get(address) ?? []), sequence])
          return away.includes(address)
            ? new Promise(() => undefined)
            : Promise.resolve({ outcome: 'ACCEPTED' })
        },
        close: () => void closed.push(address),
      }),
    })
    const toldTo = (address: string) => sent.get(address) ?? []
    return { replicas, toldTo, closed, state, addresses }
  }

  test('are told each report once, and none waits for another', async () => {
    const { replicas, toldTo } = begin(['a', 'b', 'hung'], ['hung'])
    for (const sequence of [1, 2, 3]) replicas.add(report(sequence))
    for (const address of ['a', 'b']) await until(address, () => toldTo(address).join() === '1,2,3')
    expect(toldTo('hung')).toEqual([1])
    expect(replicas.counters()).toMatchObject({ sent: 6, dropped: 0 })
  })

  test('that are new are told what was lately; those that are gone are let go', async () => {
    const { replicas, toldTo, closed, addresses } = begin(['a'])
    for (let sequence = 1; sequence <= 40; sequence += 1) replicas.add(report(sequence))
    await until('all of them', () => toldTo('a').at(-1) === 40)
    addresses.splice(0, 1, 'b')
    await until('the new one', () => toldTo('b').length === 30 && closed.length === 1)
    expect(toldTo('b')[0]).toBe(11)
    replicas.add(report(41))
    await until('the next', () => toldTo('b').at(-1) === 41)
    expect(toldTo('a').at(-1)).toBe(40)
    expect(replicas.counters().sent).toBe(toldTo('a').length + 31)
    await replicas.close()
    expect(closed).toEqual(['a', 'b'])
  })

  test('that are not found lose what waits too long, and no more; no answer changes nothing', async () => {
    const { replicas, toldTo, state, addresses } = begin([])
    for (let sequence = 1; sequence <= 33; sequence += 1) replicas.add(report(sequence))
    expect(replicas.counters()).toMatchObject({ sent: 0, dropped: 3, droppedCalls: 6 })
    addresses.push('a')
    await until('what waits', () => toldTo('a').at(-1) === 33)
    expect(toldTo('a')[0]).toBe(4)
    state.fault = new Error('no such name')
    await until('the fault', () => replicas.counters().lastFault?.includes('no such name'))
    replicas.add(report(34))
    await until('it goes on', () => toldTo('a').at(-1) === 34)
    await replicas.close()
    expect(replicas.counters().dropped).toBe(3)
  })
})
