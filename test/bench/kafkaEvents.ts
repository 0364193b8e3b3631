/**
 * A million events of 258 bytes over six partitions, counted by class, beside the bare client that reads their batches
 * without looking into them; by turns in one run against one broker. Run alone: `node test/bench/kafkaEvents.ts`.
 */
import kafkajs from 'kafkajs'
import '../setup/kafka/quiet.ts'
import type { Kafka as KafkaLibrary } from 'kafkajs'
import { systemClock } from '../../src/clock.ts'
import { kafkaEventsSource } from '../../src/sources/kafka/events/events.ts'
import { memoryWindows } from '../../src/store/memoryWindows.ts'
import { startKafka } from '../setup/kafkaServer.ts'
import type { BenchRow } from './evaluate.ts'

const { Kafka, logLevel, Partitioners } = kafkajs

const EVENTS = 1_000_000
const PARTITIONS = 6
const EVENT_BYTES = 258
const ROUNDS = 3
const TOPIC = 'detections'
const CLASSES = ['person', 'car', 'bicycle', 'dog', 'truck', 'bus', 'cat', 'bird']

const log = { debug() {}, info() {}, warn() {}, error() {} }

interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMb: number
}

export async function benchKafkaEvents(): Promise<readonly BenchRow[]> {
  const server = await startKafka()
  const kafka = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING })
  try {
    await fill(kafka)
    const bare: Cost[] = []
    const ours: Cost[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      bare.push(await measured(() => readBare(kafka, `bare-${round}`)))
      ours.push(await measured(() => count(server.brokers)))
    }
    return rows(best(bare), best(ours))
  } finally {
    await server.stop()
  }
}

function rows(bare: Cost, ours: Cost): readonly BenchRow[] {
  const name = 'kafka events, a million'
  const rate = (cost: Cost) => EVENTS / cost.seconds / 1000
  return [
    { what: `${name}: bare client reads`, value: rate(bare), unit: 'thousand a second' },
    { what: `${name}: counted by class`, value: rate(ours), unit: 'thousand a second' },
    { what: `${name}: times the bare rate`, value: rate(ours) / rate(bare), unit: '×' },
    { what: `${name}: bare client's CPU`, value: bare.cpuSeconds, unit: 's' },
    { what: `${name}: counting's CPU`, value: ours.cpuSeconds, unit: 's' },
    { what: `${name}: bare client's peak memory`, value: bare.peakMb, unit: 'MB' },
    { what: `${name}: counting's peak memory`, value: ours.peakMb, unit: 'MB' },
  ]
}

/** The quickest round: what else the machine does only ever adds. */
function best(costs: readonly Cost[]): Cost {
  return costs.reduce((least, cost) => (cost.seconds < least.seconds ? cost : least))
}

/** Events of the last seconds, in order, each of the same size. */
async function fill(kafka: KafkaLibrary): Promise<void> {
  const admin = kafka.admin()
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await Promise.all([admin.connect(), producer.connect()])
  await admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic: TOPIC, numPartitions: PARTITIONS }],
  })
  const batch = 10_000
  for (let sent = 0; sent < EVENTS; sent += batch) {
    const ts = systemClock.nowMs()
    const messages = Array.from({ length: batch }, (_, index) => ({
      partition: index % PARTITIONS,
      value: eventOf(ts, sent + index),
    }))
    await producer.send({ topic: TOPIC, messages, acks: 1 })
  }
  await Promise.all([admin.disconnect(), producer.disconnect()])
}

function eventOf(ts: number, index: number): string {
  const event = {
    ts,
    class: CLASSES[index % CLASSES.length],
    confidence: (index % 1000) / 1000,
    camera: `dock-${index % 64}`,
    pod: `vision-service-7d9c5b6f4-${index % 10}`,
    namespace: 'vision',
    model_version: 'yolo-v9-2026-10',
    track: index,
    pad: '',
  }
  const missing = EVENT_BYTES - JSON.stringify(event).length
  return JSON.stringify({ ...event, pad: 'x'.repeat(Math.max(0, missing)) })
}

async function measured(work: () => Promise<void>): Promise<Cost> {
  let peak = 0
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 50)
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  await work()
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  clearInterval(watch)
  return { seconds, cpuSeconds: (user + system) / 1e6, peakMb: peak / 2 ** 20 }
}

async function readBare(kafka: KafkaLibrary, groupId: string): Promise<void> {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  const done = Promise.withResolvers<void>()
  let read = 0
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: PARTITIONS,
    eachBatch: ({ batch }) => {
      read += batch.messages.length
      if (read >= EVENTS) done.resolve()
      return Promise.resolve()
    },
  })
  await done.promise
  await consumer.disconnect()
}

/** The source as it runs in the adapter, until its own counter says that all are counted. */
async function count(brokers: readonly string[]): Promise<void> {
  const stop = new AbortController()
  const done = Promise.withResolvers<void>()
  const config = kafkaEventsSource.schema.parse({
    brokers: [...brokers],
    topic: TOPIC,
    metric: 'detections',
    labels: { class: { field: 'class' } },
    time: { field: 'ts' },
    window: '10m',
    bucket: '1s',
    lateness: '10m',
  })
  const running = kafkaEventsSource
    .create(config, {
      name: 'bench',
      clock: systemClock,
      secrets: { read: () => Promise.reject(new Error('none')) },
      log,
      windows: memoryWindows(),
      sink: {
        write({ samples }) {
          const counted = samples.find(({ metric }) => metric === 'kafka_events_counted')
          if ((counted?.value ?? 0) >= EVENTS) done.resolve()
          return { taken: samples.length, refused: new Map() }
        },
        fail() {},
        end() {},
      },
    })
    .run(stop.signal)
  await done.promise
  stop.abort()
  await running
}

if (import.meta.main)
  for (const { what, value, unit } of await benchKafkaEvents())
    console.log(`${what.padEnd(60)} ${value.toFixed(2)} ${unit}`)
