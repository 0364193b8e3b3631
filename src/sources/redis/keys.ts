import { z } from 'zod'
import { TidelineError } from '../../errors.ts'
import type { Labels, Sample } from '../../model.ts'
import type { Command } from './link.ts'
import { countOf, valueOf } from './reply.ts'
import type { Reply } from './reply.ts'

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const OWN_LABELS = ['key', 'group']

const score = z.union([z.number(), z.literal(['-inf', '+inf', 'nowMs', 'nowSeconds'])], {
  error: 'must be a number, -inf, +inf, nowMs or nowSeconds',
})

/** One key and what is read of it. */
export const keySchema = z
  .strictObject({
    key: z.string().min(1).max(1024),
    as: z.literal(['list', 'stream', 'sortedSet', 'set', 'counter']),
    /** Name of the metric, in place of the default one. */
    metric: z
      .string()
      .regex(METRIC_NAME, 'must be a metric name: letters, digits, _ and :')
      .exactOptional(),
    /** Consumer group of a stream: reads its lag and pending count in place of the stream's length. */
    group: z.string().min(1).exactOptional(),
    /**
     * What stands for the lag where the server does not know it: `error` fails, `length` takes the stream's
     * length (never too low), `pending` the entries delivered and not acknowledged (may be too low).
     */
    onNilLag: z.literal(['error', 'length', 'pending']).default('error'),
    /** Sorted set: count only members from this score on; `nowMs` and `nowSeconds` are the present time. */
    minScore: score.exactOptional(),
    /** Sorted set: count only members up to this score. */
    maxScore: score.exactOptional(),
    labels: z.record(z.string().regex(LABEL_NAME), z.string().min(1)).default({}),
  })
  .superRefine((entry, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message })
    if (entry.group !== undefined && entry.as !== 'stream')
      refuse('group', 'only a stream has groups: write as: stream')
    if (entry.onNilLag !== 'error' && entry.group === undefined)
      refuse('onNilLag', 'only a group of a stream has a lag: add group')
    for (const bound of ['minScore', 'maxScore'] as const)
      if (entry[bound] !== undefined && entry.as !== 'sortedSet')
        refuse(bound, 'only a sorted set has scores: write as: sortedSet')
    for (const name of OWN_LABELS)
      if (name in entry.labels) refuse('labels', `the label ${name} is the source's own`)
  })
export type KeyConfig = z.infer<typeof keySchema>

/**
 * The origin of a key: each is its own, so that one of a wrong type fails alone. Distinct for one key that is
 * read twice, by group or by metric.
 */
export function originOf({ key, group, metric }: KeyConfig): string {
  return `key:${key}${group === undefined ? '' : ` group:${group}`}${metric === undefined ? '' : ` as:${metric}`}`
}

/** Longest text of a counter that is read; a longer one is no number. */
const COUNTER_CHARS_MAX = 64

/** The commands that read one key; all of them are of its slot. */
export function commandsFor(entry: KeyConfig, nowMs: number): readonly Command[] {
  const { key } = entry
  switch (entry.as) {
    case 'list':
      return [['LLEN', key]]
    case 'set':
      return [['SCARD', key]]
    case 'sortedSet':
      return entry.minScore === undefined && entry.maxScore === undefined
        ? [['ZCARD', key]]
        : [
            [
              'ZCOUNT',
              key,
              scoreText(entry.minScore ?? '-inf', nowMs),
              scoreText(entry.maxScore ?? '+inf', nowMs),
            ],
          ]
    case 'counter':
      // A part of the text, so that a key that holds a huge value costs nothing.
      return [
        ['EXISTS', key],
        ['GETRANGE', key, '0', String(COUNTER_CHARS_MAX)],
      ]
    case 'stream':
      return entry.group === undefined
        ? [
            ['EXISTS', key],
            ['XLEN', key],
          ]
        : [
            ['XLEN', key],
            ['XINFO', 'GROUPS', key],
          ]
    default:
      return entry.as satisfies never
  }
}

function scoreText(value: NonNullable<KeyConfig['minScore']>, nowMs: number): string {
  if (value === 'nowMs') return String(nowMs)
  if (value === 'nowSeconds') return String(nowMs / 1000)
  return String(value)
}

/**
 * The replies to `commandsFor` as samples. A list, set or sorted set that is not there is empty, since Redis
 * keeps no empty one. A stream, a group or a counter that is not there is not zero: it is thrown as not-found.
 */
export function samplesOf(
  entry: KeyConfig,
  replies: readonly Reply[],
  nowMs: number,
): readonly Sample[] {
  const what = `key ${JSON.stringify(entry.key)}`
  const labels = { ...entry.labels, key: entry.key }
  const gauge = (metric: string, value: number, of: Labels = labels): Sample => ({
    metric,
    labels: of,
    kind: 'gauge',
    value,
    timestampMs: nowMs,
  })
  const [first, second] = replies
  switch (entry.as) {
    case 'list':
      return [gauge(entry.metric ?? 'redis_list_length', countOf(first, what))]
    case 'set':
      return [gauge(entry.metric ?? 'redis_set_size', countOf(first, what))]
    case 'sortedSet':
      return [gauge(entry.metric ?? 'redis_sorted_set_size', countOf(first, what))]
    case 'counter': {
      const value = counterOf(replies, what)
      const metric = entry.metric ?? 'redis_counter'
      return [{ metric, labels, kind: 'cumulative', value, timestampMs: nowMs }]
    }
    case 'stream': {
      if (entry.group === undefined) {
        const length = countOf(second, what)
        if (countOf(first, what) === 0)
          throw new TidelineError('not-found', `${what} is not there: no stream`)
        return [gauge(entry.metric ?? 'redis_stream_length', length)]
      }
      const { lag, pending, estimated } = groupOf({ ...entry, group: entry.group }, replies)
      const grouped = { ...labels, group: entry.group }
      return [
        gauge(entry.metric ?? 'redis_stream_group_lag', lag, grouped),
        gauge('redis_stream_group_pending', pending, grouped),
        // 1 while the declared fallback stands for the lag. A metric and no label: the lag stays one series.
        gauge('redis_stream_group_lag_estimated', estimated ? 1 : 0, grouped),
      ]
    }
    default:
      return entry.as satisfies never
  }
}

function counterOf([exists, range]: readonly Reply[], what: string): number {
  const text = valueOf(range, what) // before the existence: it tells a wrong type
  if (countOf(exists, what) === 0)
    throw new TidelineError('not-found', `${what} is not there: no counter`)
  if (typeof text !== 'string')
    throw new TidelineError('bad-response', `${what}: the reply is not a text`)
  if (text.length <= COUNTER_CHARS_MAX && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) {
    const value = Number(text)
    if (Number.isFinite(value)) return value
  }
  throw new TidelineError('wrong-type', `${what} holds a text that is no number: no counter`)
}

interface Group {
  readonly lag: number
  readonly pending: number
  readonly estimated: boolean
}

/**
 * XINFO GROUPS. `lag` is nil where entries after the group's position were deleted, or the group was made in
 * the middle of the stream; before Redis 7 there is none. Nil is not zero.
 */
function groupOf(entry: KeyConfig & { group: string }, replies: readonly Reply[]): Group {
  const what = `key ${JSON.stringify(entry.key)}`
  const length = countOf(replies[0], what)
  const groups = valueOf(replies[1], what)
  if (!Array.isArray(groups))
    throw new TidelineError('bad-response', `${what}: the reply is no list of groups`)
  const fields = groups.map(fieldsOf).find((each) => each.get('name') === entry.group)
  if (fields === undefined)
    throw new TidelineError('not-found', `${what} has no group ${JSON.stringify(entry.group)}`)
  const pending = countOf({ value: fields.get('pending') }, `${what}, field pending`)
  const lag = fields.get('lag')
  if (lag !== null && lag !== undefined)
    return {
      lag: countOf({ value: lag }, `${what}, field lag`),
      pending,
      estimated: false,
    }
  switch (entry.onNilLag) {
    case 'length':
      return { lag: length, pending, estimated: true }
    case 'pending':
      return { lag: pending, pending, estimated: true }
    case 'error':
      throw new TidelineError(
        'unavailable',
        `${what}: the server does not know the lag of group ${JSON.stringify(entry.group)}` +
          ' (entries were deleted, the group began in mid-stream, or Redis is older than 7):' +
          ' declare onNilLag: length or pending',
      )
    default:
      return entry.onNilLag satisfies never
  }
}

/** RESP2 tells a map as names and values in turn. */
function fieldsOf(group: unknown): ReadonlyMap<unknown, unknown> {
  const fields = new Map<unknown, unknown>()
  if (!Array.isArray(group)) return fields
  for (let index = 0; index + 1 < group.length; index += 2)
    fields.set(group[index], group[index + 1])
  return fields
}
