import type Broker from 'kafkajs/src/broker/index.js'
import fetchRequest from 'kafkajs/src/protocol/requests/fetch/v11/request.js'
import type { OffsetQuery } from '../client.ts'
import { Bytes } from './bytes.ts'
import type { AbortedTransaction } from './records.ts'

export interface FetchQuery {
  readonly isolation: OffsetQuery['isolation']
  readonly maxWaitMs: number
  readonly partitionBytes: number
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    readonly offset: number
  }[]
}

export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  /** A Kafka error code; 0 where there is none. */
  readonly error: number
  /** End of what is published, transactions under way included. */
  readonly endOffset: number
  readonly aborted: readonly AbortedTransaction[]
  /** Record batches as they are. */
  readonly records: Buffer
}

const TOTAL_BYTES = 10 * 1024 * 1024
/** A broker that hangs is noticed this long after the longest wait. */
const ANSWER_MS = 3000

export const ISOLATION = { 'read-uncommitted': 0, 'read-committed': 1 } as const

/**
 * One fetch from one broker, Fetch v11 (Kafka 2.3). The answer is taken apart here, so that an error of one partition
 * does not cost the others, and a message becomes an object only where somebody wants it.
 */
export function fetchFrom(broker: Broker, query: FetchQuery): Promise<readonly FetchedPartition[]> {
  const byTopic = Map.groupBy(query.partitions, ({ topic }) => topic)
  const topics = [...byTopic].map(([topic, partitions]) => ({
    topic,
    partitions: partitions.map(({ partition, offset }) => ({
      partition,
      fetchOffset: String(offset),
      maxBytes: query.partitionBytes,
    })),
  }))
  return broker.connectionPool.send({
    request: fetchRequest({
      replicaId: -1,
      maxWaitTime: query.maxWaitMs,
      minBytes: 1,
      maxBytes: TOTAL_BYTES,
      isolationLevel: ISOLATION[query.isolation],
      topics,
    }),
    response: {
      decode: (raw) => Promise.resolve(answerOf(new Bytes(raw))),
      parse: (decoded) => Promise.resolve(decoded),
    },
    requestTimeout: query.maxWaitMs + ANSWER_MS,
  })
}

function answerOf(bytes: Bytes): readonly FetchedPartition[] {
  bytes.int32() // time to hold back
  bytes.int16() // error of the session, of which there is none
  bytes.int32() // session
  const topics = bytes.array(() => {
    const topic = bytes.string()
    return bytes.array(() => partitionOf(bytes, topic))
  })
  return topics.flat()
}

function partitionOf(bytes: Bytes, topic: string): FetchedPartition {
  const partition = bytes.int32()
  const error = bytes.int16()
  const highWatermark = bytes.int64()
  bytes.int64() // last stable offset
  bytes.int64() // log start
  const aborted = bytes.array(() => {
    const producerId = bytes.buffer.readBigInt64BE(bytes.at)
    bytes.skip(8)
    return { producerId, firstOffset: bytes.int64() }
  })
  bytes.int32() // replica to be preferred
  const length = bytes.int32()
  const records = length <= 0 ? NOTHING : bytes.take(length)
  return { topic, partition, error, endOffset: highWatermark, aborted, records }
}

const NOTHING = Buffer.alloc(0)
