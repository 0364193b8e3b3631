/** What a message says, and what makes it none. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KafkaMessage } from '../../../src/sources/kafka/client.ts'
import type { Event } from '../../../src/sources/kafka/events/decode.ts'
import { jsonDecode } from '../../../src/sources/kafka/events/decode.ts'
import { eventsConfig } from './eventsRun.ts'

const PUBLISHED_MS = Date.UTC(2026, 1, 28, 12)

function message(value: string | Buffer): KafkaMessage {
  const of = { offset: 0, timestampMs: PUBLISHED_MS, key: null, headers: {} }
  return { ...of, value: Buffer.from(value) }
}

function decoded(value: string | Buffer, config: Readonly<Record<string, unknown>> = {}) {
  const decode = jsonDecode(eventsConfig({ brokers: ['kafka:9092'], topic: 't', ...config }))
  const event: Event = { timeMs: NaN, labels: [], values: [] }
  const answer = decode(message(value), event)
  return { answer, timeMs: event.timeMs, label: event.labels[0] }
}

function timeOf(ts: string) {
  const { answer, timeMs } = decoded(JSON.stringify({ ts, class: 'person' }))
  return answer === 'event' ? timeMs : answer
}

const NO_TIME = { malformed: 'field ts is no time (format auto)' }

describe('a time as RFC 3339 has it', () => {
  test.each([
    ['2026-02-28T23:59:59Z', Date.UTC(2026, 1, 28, 23, 59, 59)],
    ['2026-02-28t23:59:59.5z', Date.UTC(2026, 1, 28, 23, 59, 59, 500)],
    ['2026-02-28 23:59:59.123456789+00:00', Date.UTC(2026, 1, 28, 23, 59, 59, 123)],
    ['2026-02-28T23:59:59-00:00', Date.UTC(2026, 1, 28, 23, 59, 59)],
    ['2026-03-01T01:29:59+01:30', Date.UTC(2026, 1, 28, 23, 59, 59)],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['2000-02-29T00:00:00Z', Date.UTC(2000, 1, 29)],
  ])('%s', (text, wanted) => expect(timeOf(text)).toBe(wanted))

  test.each([
    ['a day that the month does not have', '2026-02-30T08:00:00Z'],
    ['a day that the month does not have', '2026-04-31T08:00:00+02:00'],
    ['a leap day in another year', '2026-02-29T08:00:00Z'],
    ['a leap day in 1900', '1900-02-29T08:00:00Z'],
    ['day 0', '2026-02-00T08:00:00Z'],
    ['month 13', '2026-13-01T08:00:00Z'],
    ['24 o’clock', '2026-02-28T24:00:00Z'],
    ['minute 60', '2026-02-28T08:60:00Z'],
    ['a leap second', '2016-12-31T23:59:60Z'],
    ['no zone', '2026-02-28T08:00:00'],
    ['a zone without a colon', '2026-02-28T08:00:00+0100'],
    ['a zone of 24 hours', '2026-02-28T08:00:00+24:00'],
    ['a zone of 60 minutes', '2026-02-28T08:00:00+01:60'],
    ['no time', '2026-02-28'],
    ['a fraction without a digit', '2026-02-28T08:00:00.Z'],
    ['space around', ' 2026-02-28T08:00:00Z'],
    ['a number in quotes', '1772236800'],
  ])('%s is none: %s', (_, text) => expect(timeOf(text)).toEqual(NO_TIME))

  test('every day that there is, and no other', () => {
    const day = fc.record({
      year: fc.integer({ min: 1000, max: 9999 }),
      month: fc.integer({ min: 0, max: 13 }),
      date: fc.integer({ min: 0, max: 32 }),
    })
    const two = (value: number) => String(value).padStart(2, '0')
    fc.assert(
      fc.property(day, ({ year, month, date }) => {
        const there = new Date(Date.UTC(year, month - 1, date))
        const is = there.getUTCMonth() === month - 1 && there.getUTCDate() === date
        const text = `${year}-${two(month)}-${two(date)}T00:00:00Z`
        expect(timeOf(text)).toEqual(is ? there.getTime() : NO_TIME)
      }),
    )
  })
})

describe('a byte order mark', () => {
  const MARK = '\ufeff'
  const text = JSON.stringify({ ts: '2026-02-28T08:00:00Z', class: 'person', in: { a: 1 } })
  test.each([
    ['before flat JSON', MARK + JSON.stringify({ ts: 1_772_236_800, class: 'person' })],
    ['before nested JSON', MARK + text],
    ['before space', `${MARK} ${text}`],
  ])('%s is no part of it', (_, value) => {
    const { answer, label } = decoded(value)
    expect({ answer, label }).toEqual({ answer: 'event', label: 'person' })
  })
  test.each([
    ['twice', MARK + MARK + text],
    ['behind', text + MARK],
    ['alone', MARK],
    ['cut off', Buffer.from(MARK).subarray(0, 2)],
    ['of UTF-16', Buffer.from(MARK + text, 'utf16le')],
  ])('%s: it is not JSON', (_, value) =>
    expect(decoded(value).answer).toEqual({ malformed: 'it is not JSON' }),
  )
})
