/** What stands around the adapter in tests on Kafka: an administrator, and producers that know what they sent. */
import kafkajs from 'kafkajs'
import type { Admin, Kafka as KafkaLibrary, Message, Producer } from 'kafkajs'
import './kafka/quiet.ts'
import { eventually } from './running.ts'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel, Partitioners } = kafkajs

export interface KafkaPeer {
  readonly kafka: KafkaLibrary
  readonly admin: Admin
  readonly producer: Producer
  /** A topic that no other test has; resolves when all partitions have a leader. */
  topic(partitions: number, name?: string): Promise<string>
  /** Sends to one partition and resolves when it is written. */
  send(topic: string, partition: number, messages: readonly Message[]): Promise<void>
  /** As retention would. */
  deleteBefore(topic: string, partition: number, offset: number): Promise<void>
  stop(): Promise<void>
}

/** Resolves when all partitions have a leader. The library's own wait gives up where a broker does not know it yet. */
export async function createTopic(
  admin: Admin,
  of: {
    readonly topic: string
    readonly numPartitions: number
    readonly replicationFactor: number
  },
): Promise<void> {
  await admin.createTopics({ waitForLeaders: false, topics: [of] })
  await eventually(`leaders of ${of.topic}`, async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [of.topic] })
    const led = topics[0]?.partitions.filter(({ leader }) => leader >= 0) ?? []
    if (led.length < of.numPartitions) throw new Error(`${led.length} of them have one`)
  })
}

export { CompressionCodecs, CompressionTypes }

let topics = 0

export async function kafkaPeer(brokers: readonly string[]): Promise<KafkaPeer> {
  const kafka = new Kafka({
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    clientId: 'peer',
    requestTimeout: 3000,
    retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 20 },
  })
  const admin = kafka.admin()
  // The library drops without a word what it sends to a partition that it does not know yet.
  const producer = kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    metadataMaxAge: 300,
  })
  await Promise.all([admin.connect(), producer.connect()])
  return {
    kafka,
    admin,
    producer,
    async topic(numPartitions, name = `topic-${(topics += 1)}`) {
      const replicationFactor = Math.min(3, brokers.length)
      await createTopic(admin, { topic: name, numPartitions, replicationFactor })
      return name
    },
    async send(topic, partition, messages) {
      await producer.send({
        topic,
        messages: messages.map((message) => ({ ...message, partition })),
      })
    },
    async deleteBefore(topic, partition, offset) {
      // The library knows leaders only of topics that it was asked about.
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({
        topic,
        partitions: [{ partition, offset: String(offset) }],
      })
    },
    async stop() {
      await Promise.all([admin.disconnect(), producer.disconnect()])
    },
  }
}
