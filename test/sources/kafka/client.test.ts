import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { TidelineError } from '../../../src/errors.ts'
import type { FetchedBatch, KafkaClient } from '../../../src/sources/kafka/client.ts'
import { kafkajsClient } from '../../../src/sources/kafka/kafkajs/client.ts'
import { RecordingLogger } from '../../kit/recordingLogger.ts'
import { secretsFrom } from '../../kit/trial.ts'
import type { KafkaPeer } from '../../setup/kafkaPeer.ts'
import { kafkaPeer } from '../../setup/kafkaPeer.ts'
import type { KafkaServer } from '../../setup/kafkaServer.ts'
import { KAFKA_VERSIONS } from '../../setup/kafka/jars.ts'
import { startKafka } from '../../setup/kafkaServer.ts'
import { eventually } from '../../setup/running.ts'

let server: KafkaServer
let peer: KafkaPeer
let client: KafkaClient
const never = new AbortController().signal

function clientOf(brokers: readonly string[]): KafkaClient {
  const deps = { clock: systemClock, secrets: secretsFrom({}), log: new RecordingLogger() }
  return kafkajsClient({ brokers: [...brokers], clientId: 'tideline' }, deps)
}

describe.each(KAFKA_VERSIONS)('Kafka %s', (version) => {
  beforeAll(async () => {
    server = await startKafka({ version })
    peer = await kafkaPeer(server.brokers)
    client = clientOf(server.brokers)
  })
  afterAll(async () => {
    await client?.close()
    await peer?.stop()
    await server?.stop()
  })

  const texts = (count: number, from = 0) =>
    Array.from({ length: count }, (_, index) => ({ value: String(from + index) }))

  describe('topics', () => {
    test('those that exist, with all partitions in order; a topic made anew has another id', async () => {
      const topic = await peer.topic(12)
      const found = await client.topics([topic, 'no-such-topic'], never)
      expect([...found.keys()]).toEqual([topic])
      expect(found.get(topic)?.partitions).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
      await peer.admin.deleteTopics({ topics: [topic] })
      await eventually('the topic is gone', async () =>
        expect((await client.topics([topic], never)).size).toBe(0),
      )
      await peer.topic(1, topic)
      const again = await client.topics([topic], never)
      expect(again.get(topic)?.id).not.toBe(found.get(topic)?.id)
    })
  })

  describe('offsets', () => {
    test('earliest, latest and by time', async () => {
      const topic = await peer.topic(2)
      const times = [1_700_000_000_000, 1_700_000_010_000, 1_700_000_020_000]
      await peer.send(
        topic,
        0,
        times.map((ms) => ({ value: 'x', timestamp: String(ms) })),
      )
      const ask = (at: 'earliest' | 'latest' | { timestampMs: number }) =>
        client.listOffsets({ topic, partitions: [0, 1], at, isolation: 'read-uncommitted' }, never)
      expect(await ask('latest')).toEqual(
        new Map([
          [0, { offset: 3 }],
          [1, { offset: 0 }],
        ]),
      )
      expect(await ask({ timestampMs: 1_700_000_005_000 })).toEqual(
        new Map([
          [0, { offset: 1, timestampMs: 1_700_000_010_000 }],
          [1, undefined],
        ]),
      )
      await peer.deleteBefore(topic, 0, 2)
      expect((await ask('earliest')).get(0)).toEqual({ offset: 2 })
    })

    test('a read-committed reader sees no further than the first open transaction', async () => {
      const topic = await peer.topic(1)
      await peer.send(topic, 0, texts(2))
      const producer = peer.kafka.producer({ transactionalId: topic, maxInFlightRequests: 1 })
      await producer.connect()
      const open = await producer.transaction()
      await open.send({ topic, messages: texts(3) })
      const end = async (isolation: 'read-committed' | 'read-uncommitted') => {
        const query = { topic, partitions: [0], at: 'latest', isolation } as const
        return (await client.listOffsets(query, never)).get(0)?.offset
      }
      expect(await end('read-uncommitted')).toBe(5)
      expect(await end('read-committed')).toBe(2)
      await open.commit()
      // The marker of its end has an offset too.
      await eventually('the end moves', async () => expect(await end('read-committed')).toBe(6))
      await producer.disconnect()
    })

    test('commits of a group; what it did not commit is left out', async () => {
      const topic = await peer.topic(3)
      const groupId = `of-${topic}`
      await peer.send(topic, 1, texts(5))
      await peer.admin.setOffsets({ groupId, topic, partitions: [{ partition: 1, offset: '3' }] })
      const found = await client.committed(groupId, new Map([[topic, [0, 1, 2]]]), never)
      expect(found).toEqual(new Map([[topic, new Map([[1, 3]])]]))
      expect(await client.group(groupId, never)).toEqual({ state: 'empty', members: 0 })
      expect((await client.group('no-such-group', never)).state).toBe('unknown')
    })

    test('times of messages, each partition its own; none where nothing is', async () => {
      const topic = await peer.topic(3)
      const large = 'x'.repeat(200_000)
      for (const partition of [0, 1])
        for (const [index, value] of [large, large, 'small'].entries()) {
          const timestamp = String(1_700_000_000_000 + partition * 1000 + index)
          await peer.send(topic, partition, [{ value, timestamp }])
        }
      const offsets = new Map([
        [0, 1],
        [1, 0],
        [2, 0],
      ])
      expect(await client.messageTimes(topic, offsets, never)).toEqual(
        new Map([
          [0, 1_700_000_000_001],
          [1, 1_700_000_001_000],
        ]),
      )
    })
  })

  /** A member that reads from the beginning and remembers everything. */
  function reading(
    topics: readonly string[],
    group: string,
    own = client,
    before: (batch: FetchedBatch, signal: AbortSignal) => Promise<'assign' | void> = () =>
      Promise.resolve(),
  ) {
    const stop = new AbortController()
    const seen = new Map<string, string[]>()
    const batches: FetchedBatch[] = []
    const assignments: ReadonlyMap<string, readonly number[]>[] = []
    const running = own.consume(
      {
        group,
        topics,
        isolation: 'read-committed',
        maxWaitMs: 100,
        sessionTimeoutMs: 3000,
        commits: true,
        assigned: (partitions) => {
          assignments.push(partitions)
          const begin = (topic: string, all: readonly number[]) =>
            new Map(
              all.map((partition) => [partition, seen.get(`${topic}/${partition}`)?.length ?? 0]),
            )
          return Promise.resolve(new Map([...partitions].map(([t, all]) => [t, begin(t, all)])))
        },
        batch: async (batch, signal) => {
          if ((await before(batch, signal)) === 'assign') return 'assign'
          batches.push(batch)
          const key = `${batch.topic}/${batch.partition}`
          const values = batch.messages.map(({ value }) => value?.toString() ?? '')
          seen.set(key, [...(seen.get(key) ?? []), ...values])
          return 'continue'
        },
      },
      stop.signal,
    )
    running.catch(() => undefined)
    return {
      seen,
      batches,
      assignments,
      running,
      async stop() {
        stop.abort()
        await running
      },
    }
  }

  describe('consume', () => {
    test('every message once and in order; an idle partition is told to be at its end', async () => {
      const topic = await peer.topic(3)
      await peer.send(topic, 0, texts(500))
      await peer.send(topic, 1, texts(10))
      const reader = reading([topic], `g-${topic}`)
      await eventually('all', () => Promise.resolve(expect(reader.seen.get(`${topic}/0`)).toHaveLength(500))) // prettier-ignore
      await peer.send(topic, 1, texts(5, 10))
      await eventually('the new ones', () => Promise.resolve(expect(reader.seen.get(`${topic}/1`)).toHaveLength(15))) // prettier-ignore
      expect(reader.seen.get(`${topic}/0`)).toEqual(texts(500).map(({ value }) => value))
      expect(reader.seen.get(`${topic}/1`)).toEqual(texts(15).map(({ value }) => value))
      await eventually('news of the idle one', () => {
        const idle = reader.batches.filter(({ partition }) => partition === 2)
        expect(idle.length).toBeGreaterThan(2)
        expect(idle.every((one) => one.nextOffset === 0 && one.endOffset === 0)).toBe(true)
        return Promise.resolve()
      })
      await reader.stop()
    })

    test('what the caller could not take, or was broken off in, comes again', async () => {
      const topic = await peer.topic(2)
      let refused = 0
      let brokenOff = 0
      const reader = reading([topic], `g-${topic}`, client, async ({ partition, messages }, on) => {
        if (messages.length === 0 || refused > 2) return
        if (partition === 1) {
          // It takes long, until the other has failed.
          await systemClock.sleep(10_000, on)
          brokenOff += 1
          on.throwIfAborted()
        }
        refused += 1
        throw new TidelineError('unavailable', 'no store')
      })
      await eventually('assigned', () => Promise.resolve(expect(reader.batches).not.toEqual([])))
      await peer.producer.sendBatch({
        topicMessages: [
          { topic, messages: [0, 1].flatMap((partition) => texts(9).map((of) => ({ ...of, partition }))) }, // prettier-ignore
        ],
      })
      for (const partition of [0, 1])
        await eventually('all', () => Promise.resolve(expect(reader.seen.get(`${topic}/${partition}`)).toEqual(texts(9).map(({ value }) => value)))) // prettier-ignore
      expect(refused).toBeGreaterThan(2)
      expect(brokenOff).toBeGreaterThan(0)
      expect(reader.assignments).toHaveLength(1)
      await reader.stop()
    })

    test('a caller that wants its partitions anew is asked where to read on', async () => {
      const topic = await peer.topic(1)
      let wants = 2
      const reader = reading([topic], `g-${topic}`, client, ({ messages }) => {
        if (messages.length === 0 || wants === 0) return Promise.resolve()
        wants -= 1
        return Promise.resolve('assign')
      })
      await peer.send(topic, 0, texts(9))
      await eventually('all', () => Promise.resolve(expect(reader.seen.get(`${topic}/0`)).toEqual(texts(9).map(({ value }) => value)))) // prettier-ignore
      expect(reader.assignments).toHaveLength(3)
      await reader.stop()
    })

    test('transactions: what was given up is left out, and markers end behind the last offset', async () => {
      const topic = await peer.topic(1)
      const producer = peer.kafka.producer({ transactionalId: topic, maxInFlightRequests: 1 })
      await producer.connect()
      const send = async (values: ReturnType<typeof texts>, end: 'commit' | 'abort') => {
        const transaction = await producer.transaction()
        await transaction.send({ topic, messages: values })
        await transaction[end]()
      }
      await send(texts(2), 'commit')
      await send(texts(3, 100), 'abort')
      await send(texts(2, 2), 'commit')
      const reader = reading([topic], `g-${topic}`)
      await eventually('the end', () => {
        const last = reader.batches.at(-1)
        expect(last?.nextOffset).toBe(10)
        expect(last?.endOffset).toBe(10)
        return Promise.resolve()
      })
      expect(reader.seen.get(`${topic}/0`)).toEqual(['0', '1', '2', '3'])
      await reader.stop()
      await producer.disconnect()
    })

    test('two members share the partitions; when one leaves, the other takes over', async () => {
      const topic = await peer.topic(4)
      const other = clientOf(server.brokers)
      const first = reading([topic], `g-${topic}`)
      await eventually('all four', () => Promise.resolve(expect(first.assignments.at(-1)?.get(topic)).toHaveLength(4))) // prettier-ignore
      const second = reading([topic], `g-${topic}`, other)
      await eventually('two each', () => {
        expect(first.assignments.at(-1)?.get(topic)).toHaveLength(2)
        expect(second.assignments.at(-1)?.get(topic)).toHaveLength(2)
        return Promise.resolve()
      })
      expect(await client.group(`g-${topic}`, never)).toEqual({ state: 'stable', members: 2 })
      await second.stop()
      await eventually('all four again', () => Promise.resolve(expect(first.assignments.at(-1)?.get(topic)).toHaveLength(4))) // prettier-ignore
      await first.stop()
      await other.close()
    })

    test('partitions that are added are read', async () => {
      const topic = await peer.topic(1)
      const reader = reading([topic], `g-${topic}`)
      await eventually('one', () => Promise.resolve(expect(reader.assignments).toHaveLength(1)))
      await peer.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
      await eventually('three', () => Promise.resolve(expect(reader.assignments.at(-1)?.get(topic)).toHaveLength(3))) // prettier-ignore
      await reader.stop()
    })

    test('a topic that is not there is told by name', async () => {
      const reader = reading(['no-such-topic'], 'g-none')
      await expect(reader.running).rejects.toMatchObject({ code: 'not-found' })
      await expect(reader.running).rejects.toThrow(/no-such-topic/)
    })
  })
})
