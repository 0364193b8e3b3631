/** A real Kafka topic to which the pods publish what they detect, when the demo is given brokers. */
import { randomBytes } from 'node:crypto'
import kafkajs from 'kafkajs'
import type { Detection } from './pods.ts'

const { Kafka, logLevel, Partitioners } = kafkajs

const PARTITIONS = 3
const CONNECT_TIMEOUT_MS = 3000
const REQUEST_TIMEOUT_MS = 5000
const RETRIES = 2

export interface Events {
  readonly topic: string
  publish(detections: readonly Detection[], nowMs: number): Promise<void>
  /** Deletes the topic. */
  close(): Promise<void>
}

/** Makes a topic of its own; rejects where no broker answers, with a message that names them. */
export async function connectEvents(brokers: readonly string[]): Promise<Events> {
  const kafka = new Kafka({
    brokers: [...brokers],
    clientId: 'tideline-demo',
    logLevel: logLevel.NOTHING,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { retries: RETRIES },
  })
  const topic = `tideline-demo-detections-${randomBytes(4).toString('hex')}`
  const admin = kafka.admin()
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  const reached = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (thrown) {
      const cause = thrown instanceof Error ? thrown.message : String(thrown)
      throw new Error(`Kafka at ${brokers.join(', ')}: ${cause}`, { cause: thrown })
    }
  }
  const disconnect = async () => {
    await Promise.allSettled([producer.disconnect(), admin.disconnect()])
  }
  try {
    await reached(async () => {
      await Promise.all([admin.connect(), producer.connect()])
      // -1: as many replicas as the brokers are set to make.
      const topics = [{ topic, numPartitions: PARTITIONS, replicationFactor: -1 }]
      await admin.createTopics({ waitForLeaders: true, topics })
    })
  } catch (thrown) {
    await disconnect()
    throw thrown
  }
  return {
    topic,
    async publish(detections, nowMs) {
      if (detections.length === 0) return
      const ts = new Date(nowMs).toISOString()
      const messages = detections.map((detection) => ({
        key: detection.camera,
        value: JSON.stringify({ ts, ...detection }),
        timestamp: String(nowMs),
      }))
      await reached(async () => producer.send({ topic, messages }))
    },
    async close() {
      try {
        await reached(async () => admin.deleteTopics({ topics: [topic] }))
      } finally {
        await disconnect()
      }
    },
  }
}
