import { TidelineError } from '../../../errors.ts'
import type { KafkaMessage } from '../client.ts'
import { Bytes } from './bytes.ts'
import { unpacked } from './codecs.ts'

/** A transaction that was given up, whose messages a `read_committed` reader leaves out. */
export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

export interface ReadRecords {
  readonly messages: readonly KafkaMessage[]
  /** After the last record of the last whole batch, whatever became of it; `from` where there is none. */
  readonly nextOffset: number
}

const HEADER = 61
const MAGIC_AT = 16
const CODEC = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const NO_HEADERS: KafkaMessage['headers'] = Object.freeze({})

interface Batch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly attributes: number
  readonly firstMs: number
  readonly maxMs: number
  readonly producerId: bigint
  readonly count: number
}

/**
 * Messages from offset `from` on in a sequence of record batches (magic 2, Kafka 0.11 and later). The last batch may
 * be cut off; it comes again with the next fetch. Markers of transactions are no messages.
 */
export async function readRecords(
  records: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[],
): Promise<ReadRecords> {
  const messages: KafkaMessage[] = []
  const givenUp = new GivenUp(aborted)
  let nextOffset = from
  for (let at = 0; at + HEADER <= records.length;) {
    const length = 12 + records.readInt32BE(at + 8)
    if (length < HEADER || at + length > records.length) break
    const magic = records[at + MAGIC_AT]
    if (magic !== 2)
      throw new TidelineError(
        'bad-response',
        `messages of format ${magic}, which brokers wrote before Kafka 0.11, are not read`,
      )
    const batch = batchOf(new Bytes(records, at))
    const body = records.subarray(at + HEADER, at + length)
    at += length
    nextOffset = Math.max(nextOffset, batch.nextOffset)
    if (batch.nextOffset <= from || givenUp.leavesOut(batch, body)) continue
    const codec = batch.attributes & CODEC
    readBatch(batch, codec === 0 ? body : await unpacked(codec, body), from, messages)
  }
  return { messages, nextOffset }
}

function batchOf(bytes: Bytes): Batch {
  const baseOffset = bytes.int64()
  bytes.skip(4 + 4 + 1 + 4) // length, leader's epoch, magic, checksum
  const attributes = bytes.int16()
  const nextOffset = baseOffset + bytes.int32() + 1
  const firstMs = bytes.int64()
  const maxMs = bytes.int64()
  const producerId = bytes.buffer.readBigInt64BE(bytes.at)
  bytes.skip(8 + 2 + 4) // producer's id and epoch, sequence
  return { baseOffset, nextOffset, attributes, firstMs, maxMs, producerId, count: bytes.int32() }
}

function readBatch(batch: Batch, body: Buffer, from: number, into: KafkaMessage[]): void {
  const bytes = new Bytes(body)
  const appended = (batch.attributes & LOG_APPEND_TIME) !== 0
  for (let index = 0; index < batch.count; index += 1) {
    const end = bytes.signed() + bytes.at
    bytes.skip(1)
    const afterFirstMs = bytes.signed()
    const offset = batch.baseOffset + bytes.signed()
    if (offset >= from) {
      const timestampMs = appended ? batch.maxMs : batch.firstMs + afterFirstMs
      const key = field(bytes)
      const value = field(bytes)
      into.push({ offset, timestampMs, key, value, headers: headersOf(bytes) })
    }
    bytes.skip(end - bytes.at)
  }
}

function field(bytes: Bytes): Buffer | null {
  const length = bytes.signed()
  return length < 0 ? null : bytes.take(length)
}

function headersOf(bytes: Bytes): KafkaMessage['headers'] {
  const count = bytes.signed()
  if (count === 0) return NO_HEADERS
  const headers: [string, Buffer | undefined][] = []
  for (let index = 0; index < count; index += 1) {
    const name = field(bytes)?.toString('utf8') ?? ''
    headers.push([name, field(bytes) ?? undefined])
  }
  return Object.fromEntries(headers)
}

/** Follows which producers are in a transaction that was given up, batch by batch (KIP-98). */
class GivenUp {
  readonly #coming: AbortedTransaction[]
  readonly #producers = new Set<bigint>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#coming = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  }

  leavesOut(batch: Batch, body: Buffer): boolean {
    const { attributes, nextOffset, producerId } = batch
    while (this.#coming[0] !== undefined && this.#coming[0].firstOffset < nextOffset) {
      const next = this.#coming.shift()
      if (next !== undefined) this.#producers.add(next.producerId)
    }
    if ((attributes & CONTROL) !== 0) {
      if (isAbort(body)) this.#producers.delete(producerId)
      return true
    }
    return (attributes & TRANSACTIONAL) !== 0 && this.#producers.has(producerId)
  }
}

/** A marker's key holds its version and its type; 0 is the end of a transaction that was given up. */
function isAbort(body: Buffer): boolean {
  const bytes = new Bytes(body)
  bytes.signed()
  bytes.skip(1)
  bytes.signed()
  bytes.signed()
  const key = field(bytes)
  return key !== null && key.length >= 4 && key.readInt16BE(2) === 0
}
