/**
 * What a poll of a topic of 100 partitions costs, beside the calls of the bare client that bring the same offsets,
 * by turns in one run against one broker. Run alone: `node test/bench/kafkaLag.ts`.
 */
import kafkajs from 'kafkajs'
import '../setup/kafka/quiet.ts'
import type { Kafka as KafkaLibrary } from 'kafkajs'
import { systemClock } from '../../src/clock.ts'
import { kafkajsClient } from '../../src/sources/kafka/kafkajs/client.ts'
import { Poll } from '../../src/sources/kafka/lag/ask.ts'
import { lagGroupSchema, subjectsOf } from '../../src/sources/kafka/lag/groupConfig.ts'
import { GroupTopic } from '../../src/sources/kafka/lag/groupTopic.ts'
import { startKafka } from '../setup/kafkaServer.ts'
import type { BenchRow } from './evaluate.ts'

const { Kafka, logLevel, Partitioners } = kafkajs

const PARTITIONS = 100
const ROUNDS = 300
const WARM_UP = 100
const TOPIC = 'bench'
const GROUP = 'bench'

const log = { debug() {}, info() {}, warn() {}, error() {} }

interface Cost {
  readonly wallMs: number
  readonly cpuMs: number
}

export async function benchKafkaLag(): Promise<readonly BenchRow[]> {
  const server = await startKafka()
  const kafka = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  const client = kafkajsClient(
    { brokers: [...server.brokers], clientId: 'bench' },
    { clock: systemClock, secrets: { read: () => Promise.reject(new Error('none')) }, log },
  )
  try {
    await admin.connect()
    await fill(kafka)
    const bare = () =>
      Promise.all([
        admin.fetchTopicOffsets(TOPIC),
        admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] }),
      ])
    const subjects = subjectsOf([lagGroupSchema.parse({ group: GROUP, topics: [TOPIC] })])
    const [subject] = subjects
    if (subject === undefined) throw new Error('no subject')
    const origin = new GroupTopic(subject, client, systemClock)
    const { signal } = new AbortController()
    const ours = async () => {
      const asked = { atMs: systemClock.nowMs(), monotonicMs: systemClock.monotonicMs() }
      const found = await new Poll(client, subjects, signal).find(subject)
      if (found instanceof Error) throw found
      const outcome = await origin.report(found, asked, signal)
      if (outcome instanceof Error || outcome.samples.length < 4 * PARTITIONS)
        throw new Error('not a whole poll')
    }
    return rows(await byTurns([bare, ours]))
  } finally {
    await admin.disconnect()
    await client.close()
    await server.stop()
  }
}

function rows([bare, ours]: readonly Cost[]): readonly BenchRow[] {
  if (bare === undefined || ours === undefined) return []
  const of = `${PARTITIONS} partitions`
  return [
    { what: `kafka lag, ${of}: bare client's calls`, value: bare.wallMs, unit: 'ms' },
    { what: `kafka lag, ${of}: a poll`, value: ours.wallMs, unit: 'ms' },
    { what: `kafka lag, ${of}: times the bare calls`, value: ours.wallMs / bare.wallMs, unit: '×' },
    { what: `kafka lag, ${of}: bare client's CPU`, value: bare.cpuMs, unit: 'ms' },
    { what: `kafka lag, ${of}: a poll's CPU`, value: ours.cpuMs, unit: 'ms' },
    { what: `kafka lag, ${of}: times the bare CPU`, value: ours.cpuMs / bare.cpuMs, unit: '×' },
  ]
}

/** A topic whose group is behind in each partition. */
async function fill(kafka: KafkaLibrary): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({
    topics: [{ topic: TOPIC, numPartitions: PARTITIONS }],
    waitForLeaders: true,
  })
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const all = Array.from({ length: PARTITIONS }, (_, partition) => partition)
  const messages = all.flatMap((partition) =>
    ['a', 'b', 'c'].map((value) => ({ partition, value })),
  )
  await producer.send({ topic: TOPIC, messages })
  await producer.disconnect()
  await admin.setOffsets({
    groupId: GROUP,
    topic: TOPIC,
    partitions: all.map((partition) => ({ partition, offset: '1' })),
  })
  await admin.disconnect()
}

/** Medians of the wall time and means of the CPU time, of works that take turns so that all see the same machine. */
async function byTurns(works: readonly (() => Promise<unknown>)[]): Promise<readonly Cost[]> {
  const walls = works.map((): number[] => [])
  const cpus = works.map(() => 0)
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    for (const [index, work] of works.entries()) {
      const cpu = process.cpuUsage()
      const startMs = systemClock.monotonicMs()
      await work()
      const wallMs = systemClock.monotonicMs() - startMs
      const { user, system } = process.cpuUsage(cpu)
      if (round < WARM_UP) continue
      walls[index]?.push(wallMs)
      cpus[index] = (cpus[index] ?? 0) + (user + system) / 1000
    }
  }
  return walls.map((wall, index) => ({
    wallMs: wall.toSorted((a, b) => a - b)[wall.length >> 1] ?? NaN,
    cpuMs: (cpus[index] ?? NaN) / ROUNDS,
  }))
}

if (import.meta.main) {
  for (const { what, value, unit } of await benchKafkaLag())
    process.stdout.write(`${what.padEnd(60)} ${value.toFixed(2)} ${unit}\n`)
}
