import type { ServiceDefinition } from '@grpc/grpc-js'
import { status } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import type { Type } from 'protobufjs'
import { messageOf } from '../../src/errors.ts'
import { partsOfBytes } from './paces.ts'
import { Refusal } from './refusal.ts'

/** A request as it came: reading costs time, so it is asked first whose it is and how much there is in it. */
export interface Unread<Request> {
  /** Throws `Refusal` where it cannot be read, or holds too much. Tells before each part of the work what it costs. */
  read(spend: (parts: number) => void): Request
  /** A whole number of the request, which can be had without reading it; 0 where it has none. */
  number(field: string): number
}

/** Gives a service's methods their requests unread; each may hold `most` messages within. */
export function unread(service: ServiceDefinition, type: Type, most: number): ServiceDefinition {
  const wrapped = Object.entries(service).map(([name, method]) => {
    const read = (bytes: Buffer, spend: (parts: number) => void) => {
      spend(partsOfBytes(bytes.length))
      try {
        spend(countMessages(type, bytes, most))
        return method.requestDeserialize(bytes)
      } catch (thrown) {
        throw new Refusal(
          status.INVALID_ARGUMENT,
          `the message cannot be read: ${messageOf(thrown)}`,
        )
      }
    }
    const requestDeserialize = (bytes: Buffer) => ({
      read: (spend: (parts: number) => void) => read(bytes, spend),
      number: (field: string) => numberIn(type, bytes, field),
    })
    return [name, { ...method, requestDeserialize }]
  })
  return Object.fromEntries(wrapped) as ServiceDefinition
}

/**
 * How many messages there are within one. Throws a `RangeError` where it has more than `most`, and whatever it is that is wrong with
 * its structure. An empty one takes two bytes on the wire and hundreds in memory, so this has to be known before.
 */
export function countMessages(type: Type, bytes: Uint8Array, most: number): number {
  const reader = protobuf.Reader.create(bytes)
  let left = most
  const scan = (of: Type, end: number): void => {
    while (reader.pos < end) {
      const tag = reader.uint32()
      const inner = (tag & 7) === LENGTH_DELIMITED ? innerOf(of, tag >>> 3) : undefined
      if (inner === undefined) {
        reader.skipType(tag & 7)
        continue
      }
      left -= 1
      if (left < 0) throw new RangeError(`more than ${most} parts in one: send smaller batches`)
      const length = reader.uint32()
      if (reader.pos + length > end) throw new RangeError('a part is longer than the whole')
      scan(inner, reader.pos + length)
    }
  }
  scan(type, bytes.length)
  return most - left
}

const VARINT = 0
const LENGTH_DELIMITED = 2
/** Fields that are looked through for one. */
const FIELDS_MAX = 1000

function numberIn(type: Type, bytes: Uint8Array, field: string): number {
  const reader = protobuf.Reader.create(bytes)
  const sought = ((type.fields[field]?.id ?? 0) << 3) | VARINT
  let found = 0
  try {
    for (let at = 0; at < FIELDS_MAX && reader.pos < reader.len; at += 1) {
      const tag = reader.uint32()
      if (tag === sought) found = numberOf(reader.uint64())
      else reader.skipType(tag & 7)
    }
  } catch {
    // What comes after it cannot be read.
  }
  return found
}

function numberOf(value: unknown): number {
  return Number(value)
}

function innerOf(type: Type, id: number): Type | undefined {
  const inner = type.fieldsById[id]?.resolve().resolvedType
  return inner instanceof protobuf.Type ? inner : undefined
}
