import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { memoryWindows } from '../../../src/store/memoryWindows.ts'
import type { KafkaPeer } from '../../setup/kafkaPeer.ts'
import { kafkaPeer } from '../../setup/kafkaPeer.ts'
import type { KafkaServer } from '../../setup/kafkaServer.ts'
import { startKafka } from '../../setup/kafkaServer.ts'
import { eventually } from '../../setup/running.ts'
import { EventsRun, Truth } from './eventsRun.ts'

let server: KafkaServer
let peer: KafkaPeer
const runs: EventsRun[] = []

beforeAll(async () => {
  server = await startKafka()
  peer = await kafkaPeer(server.brokers)
})
afterEach(async () => {
  for (const run of runs.splice(0)) await run.stop()
})
afterAll(async () => {
  await peer?.stop()
  await server?.stop()
})

function run(config: Readonly<Record<string, unknown>>, windows = memoryWindows()): EventsRun {
  const made = new EventsRun({ brokers: [...server.brokers], ...config }, windows)
  runs.push(made)
  return made
}

function becomes(look: () => unknown, wanted: unknown): Promise<unknown> {
  return eventually(JSON.stringify(wanted), () => Promise.resolve(expect(look()).toEqual(wanted)))
}

test('every event is counted once, those before the start and those after it', async () => {
  const topic = await peer.topic(3)
  const truth = new Truth()
  for (const partition of [0, 1, 2]) await peer.send(topic, partition, truth.events(100))
  const reading = run({ topic })
  await becomes(() => reading.counts(), truth.counts)
  for (const partition of [0, 2, 0]) await peer.send(topic, partition, truth.events(10))
  await becomes(() => reading.counts(), truth.counts)
  expect(reading.counter('kafka_events_counted')).toBe(330)
})

test('while nothing comes, counts are fresh and zero', async () => {
  const topic = await peer.topic(2)
  const reading = run({ topic, expect: [{ class: 'person' }] })
  await becomes(() => reading.counts(), { person: 0 })
  await eventually('a count of now', () =>
    Promise.resolve(expect(systemClock.nowMs() - reading.headMs()).toBeLessThan(1000)),
  )
  expect(reading.failure()).toBe('')
})

test('a source that is started again tells each event once', async () => {
  const topic = await peer.topic(1)
  const truth = new Truth()
  await peer.send(topic, 0, truth.events(30))
  const reading = run({ topic })
  await becomes(() => reading.counts(), truth.counts)
  await reading.stop()
  await peer.send(topic, 0, truth.events(3))
  reading.start()
  await becomes(() => reading.counts(), truth.counts)
})

test('what is not counted is counted by its reason, and told', async () => {
  const topic = await peer.topic(1)
  const nowMs = systemClock.nowMs()
  const event = (ts: unknown, more = {}) => ({
    value: JSON.stringify({ ts, class: 'car', ...more }),
  })
  const reading = run({ topic, lateness: '5s' })
  await peer.send(topic, 0, [
    event(nowMs),
    event(nowMs - 4000), // late, and allowed
    event(nowMs - 6000),
    event(nowMs + 60_000),
    { value: 'gibberish' },
    { value: '{"ts":1}' },
    event('yesterday'),
    { value: null },
  ])
  await becomes(() => reading.counts(), { car: 2 })
  expect(reading.counter('kafka_events_dropped', 'late')).toBe(1)
  expect(reading.counter('kafka_events_dropped', 'future')).toBe(1)
  expect(reading.counter('kafka_events_dropped', 'malformed')).toBe(4)
  const told = reading.log.entries.filter(({ event: name }) => name === 'event-dropped')
  expect(told.map(({ fields }) => fields?.['reason'])).toEqual(['late', 'future', 'malformed'])
  expect(JSON.stringify(told)).not.toContain('gibberish')
})

test('an event that comes late corrects its bucket', async () => {
  const topic = await peer.topic(1)
  const reading = run({ topic })
  const nowMs = systemClock.nowMs()
  const event = (ts: number) => ({ value: JSON.stringify({ ts, class: 'car' }) })
  await peer.send(topic, 0, [event(nowMs)])
  await becomes(() => reading.counts(), { car: 1 })
  await eventually('the bucket was told', () =>
    Promise.resolve(expect(reading.headMs()).toBeGreaterThan(nowMs + 500)),
  )
  await peer.send(topic, 0, [event(nowMs), event(nowMs - 1000)])
  await becomes(() => reading.counts(), { car: 3 })
})

test('numbers in events: sum, count and buckets', async () => {
  const topic = await peer.topic(1)
  const values = [{ field: 'confidence', metric: 'confidence', buckets: [0.25, 0.5, 1] }]
  const reading = run({ topic, labels: {}, values })
  const ts = systemClock.nowMs()
  await peer.send(
    topic,
    0,
    [0.1, 0.25, 0.3, 0.9, 1.5].map((confidence) => ({ value: JSON.stringify({ ts, confidence }) })),
  )
  await becomes(() => reading.counts('confidence_count'), { '': 5 })
  expect(reading.counts('confidence_sum')['']).toBeCloseTo(3.05, 12)
  const buckets = reading.store.select({ source: 'events', metric: 'confidence_bucket', matchers: [] }) // prettier-ignore
  const sums = buckets.map((series) => {
    let sum = 0
    for (let index = 0; index < series.length; index += 1) sum += series.valueAt(index)
    return [series.labels['le'], sum]
  })
  expect(sums).toEqual([['0.25', 2], ['0.5', 3], ['1', 4], ['+Inf', 5]]) // prettier-ignore
})

test('conditions, nested fields, headers, keys and defaults', async () => {
  const topic = await peer.topic(1)
  const labels = {
    class: { field: 'what.class', default: 'none' },
    source: { header: 'source' },
    dock: { key: true },
  }
  const where = [{ field: 'confidence', min: 0.5 }]
  const reading = run({ topic, labels, where })
  const ts = systemClock.nowMs()
  const message = (of: object, headers = { source: 'a' }) => ({
    key: 'dock-4',
    headers,
    value: JSON.stringify({ ts, confidence: 0.5, ...of }),
  })
  await peer.send(topic, 0, [
    message({ what: { class: 'person' } }),
    message({ what: {} }),
    message({ confidence: 0.49 }),
    message({ what: { class: 'person' } }, { source: '' }),
  ])
  await becomes(() => reading.counts(), { person: 1, none: 1 })
  const [series] = reading.store.select({ source: 'events', metric: 'detections', matchers: [] })
  expect(series?.labels).toEqual({ class: 'person', source: 'a', dock: 'dock-4' })
  expect(reading.counter('kafka_events_dropped', 'malformed')).toBe(1)
})

test('more sets of label values than allowed: no total is told, and the source says why', async () => {
  const topic = await peer.topic(1)
  const reading = run({ topic, maxSeries: 2 })
  await peer.send(topic, 0, new Truth().events(9))
  await eventually('told', () =>
    Promise.resolve(expect(reading.failure()).toMatch(/too-large: .*maxSeries/)),
  )
  expect(reading.counts()).toEqual({})
})

test('a topic that is not there is told by name', async () => {
  const reading = run({ topic: 'nowhere' })
  await becomes(() => reading.failure(), 'not-found: topic nowhere does not exist')
})

test('retention that is shorter than the window: nothing is told before the window is whole', async () => {
  const topic = await peer.topic(1)
  await peer.send(topic, 0, new Truth().events(30))
  await peer.deleteBefore(topic, 0, 20)
  const reading = run({ topic })
  await eventually('told', () =>
    Promise.resolve(expect(reading.failure()).toMatch(/unavailable: .*counts are whole from/)),
  )
  expect(reading.counts()).toEqual({})
})

test('what a transaction under way has written is not passed over, and nothing is whole before its end', async () => {
  const topic = await peer.topic(1)
  const truth = new Truth()
  const producer = peer.kafka.producer({ transactionalId: topic, maxInFlightRequests: 1 })
  await producer.connect()
  const open = await producer.transaction()
  await open.send({ topic, messages: truth.events(30) })
  const sentMs = systemClock.nowMs()
  const reading = run({ topic, expect: [{ class: 'person' }] })
  await eventually('a complaint', () =>
    Promise.resolve(expect(reading.failure()).toMatch(/read up to|not every partition|whole/)),
  )
  expect(reading.headMs()).toBeLessThan(sentMs)
  await open.commit()
  await producer.disconnect()
  await becomes(() => reading.counts(), truth.counts)
})

test('an event ahead of its message is counted where the window begins between the two', async () => {
  const topic = await peer.topic(1)
  const nowMs = systemClock.nowMs()
  const value = JSON.stringify({ ts: nowMs - 57_000, class: 'person' })
  await peer.send(topic, 0, [{ value, timestamp: String(nowMs - 61_800) }])
  const reading = run({ topic })
  await becomes(() => reading.counts(), { person: 1 })
})
