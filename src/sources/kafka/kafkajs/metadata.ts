import { Bytes } from './bytes.ts'

/** Key of the request, and its first version with topic ids (Kafka 2.8). */
export const METADATA = 3
export const METADATA_VERSION = 10

export interface Metadata {
  readonly brokers: readonly {
    readonly nodeId: number
    readonly host: string
    readonly port: number
  }[]
  readonly topics: readonly TopicMetadata[]
}

export interface TopicMetadata {
  /** A Kafka error code; 0 where there is none. */
  readonly error: number
  readonly name: string
  readonly id: string
  /** Leader by partition; −1 where there is none at the moment. */
  readonly leaders: ReadonlyMap<number, number>
}

/** Asks for these topics alone, and makes none. Kafka protocol, Metadata v10. */
export function metadataCall(topics: readonly string[]) {
  return {
    request: {
      apiKey: METADATA,
      apiVersion: METADATA_VERSION,
      apiName: 'Metadata',
      encode: () => Promise.resolve(encoded(requestOf(topics))),
    },
    response: {
      decode: (raw: Buffer) => Promise.resolve(metadataOf(new Bytes(raw))),
      parse: (decoded: Metadata) => Promise.resolve(decoded),
    },
  }
}

/** What the library takes for one of its own encoders. */
function encoded(buffer: Buffer) {
  return { buf: buffer, buffer }
}

function requestOf(topics: readonly string[]): Buffer {
  const NO_TAGS = Buffer.of(0)
  const NO_ID = Buffer.alloc(16)
  const named = topics.flatMap((topic) => {
    const name = Buffer.from(topic)
    return [NO_ID, unsigned(name.length + 1), name, NO_TAGS]
  })
  // Neither topics to be made, nor the rights of the caller for the cluster or for topics.
  const options = Buffer.of(0, 0, 0)
  return Buffer.concat([NO_TAGS, unsigned(topics.length + 1), ...named, options, NO_TAGS])
}

function unsigned(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}

function metadataOf(bytes: Bytes): Metadata {
  bytes.tags()
  bytes.int32() // time to hold back
  const brokers = bytes.compactArray(() => {
    const broker = { nodeId: bytes.int32(), host: bytes.compactString(), port: bytes.int32() }
    bytes.compactString() // rack
    bytes.tags()
    return broker
  })
  bytes.compactString() // cluster
  bytes.int32() // controller
  const topics = bytes.compactArray(() => topicOf(bytes))
  return { brokers, topics }
}

function topicOf(bytes: Bytes): TopicMetadata {
  const error = bytes.int16()
  const name = bytes.compactString()
  const id = bytes.take(16).toString('hex')
  bytes.int8() // internal
  const partitions = bytes.compactArray(() => partitionOf(bytes))
  bytes.int32() // rights
  bytes.tags()
  return { error, name, id, leaders: new Map(partitions) }
}

function partitionOf(bytes: Bytes): readonly [partition: number, leader: number] {
  bytes.int16() // error: without a leader it is −1
  const partition = bytes.int32()
  const leader = bytes.int32()
  bytes.int32() // epoch
  for (let list = 0; list < 3; list += 1) bytes.compactArray(() => bytes.int32())
  bytes.tags()
  return [partition, leader]
}
