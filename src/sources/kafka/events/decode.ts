import { isRecord } from '../../record.ts'
import type { KafkaMessage } from '../client.ts'
import type { KafkaEventsConfig } from './config.ts'
import type { Scalar } from './jsonScan.ts'
import { jsonScan } from './jsonScan.ts'

/** One event, as far as it is looked at. The same object is used for each. */
export interface Event {
  timeMs: number
  /** Values of the labels, in the order of the configuration. */
  readonly labels: string[]
  /** Numbers to be summed up, in the order of the configuration. */
  readonly values: number[]
}

/**
 * Takes events out of messages: fills `into`, or answers why the message is none (a sentence without what is in it),
 * or `skip` where the event is not among those wanted. JSON is the one format there is; others would be more of these.
 */
export type Decode = (
  message: KafkaMessage,
  into: Event,
) => 'event' | 'skip' | { malformed: string }

/** No event of a detector comes near it; what is larger costs more than it tells. */
const VALUE_BYTES_MAX = 1024 * 1024

/** Messages that hold one JSON object each. */
export function jsonDecode(config: KafkaEventsConfig): Decode {
  const { time, where, values } = config
  const labels = Object.entries(config.labels)
  const fields = new Fields([
    ...(time === undefined ? [] : [time.field]),
    ...labels.flatMap(([, of]) => ('field' in of ? [of.field] : [])),
    ...where.map(({ field }) => field),
    ...values.map(({ field }) => field),
  ])
  const conditions = where.map((of) => ({ at: fields.index(of.field), holds: conditionOf(of) }))
  const readLabels = labels.map(([name, of]) => labelOf(name, of, fields))
  const numbers = values.map(({ field }) => ({ field, at: fields.index(field) }))
  const timeAt = time === undefined ? -1 : fields.index(time.field)

  return (message, into) => {
    const read = fields.read(message.value)
    if (typeof read === 'string') return { malformed: read }
    for (const { at, holds } of conditions) if (!holds(read[at])) return 'skip'
    if (time === undefined) into.timeMs = message.timestampMs
    else {
      into.timeMs = timeOf(read[timeAt], time.format)
      if (!Number.isFinite(into.timeMs))
        return { malformed: `field ${time.field} is no time (format ${time.format})` }
    }
    for (const [index, label] of readLabels.entries()) {
      const value = label.read(read, message)
      if (value === undefined) return { malformed: label.missing }
      into.labels[index] = value
    }
    for (const [index, { field, at }] of numbers.entries()) {
      const value = read[at]
      if (typeof value !== 'number' || !Number.isFinite(value))
        return { malformed: `field ${field} is no number` }
      into.values[index] = value
    }
    return 'event'
  }
}

/** The wanted fields of a JSON object, each once. */
class Fields {
  readonly #paths: readonly string[]
  readonly #scan: ReturnType<typeof jsonScan> | undefined
  readonly #found: Scalar[] = []

  constructor(paths: readonly string[]) {
    this.#paths = [...new Set(paths)]
    // A path into the depth needs the whole object.
    const flat = this.#paths.every((path) => !path.includes('.'))
    this.#scan = flat ? jsonScan(this.#paths) : undefined
  }

  index(path: string): number {
    return this.#paths.indexOf(path)
  }

  /** The values in the order of the paths, or what is wrong. */
  read(json: Buffer | null): readonly Scalar[] | string {
    const found = this.#found
    if (this.#paths.length === 0) return found
    if (json === null) return 'it has no value'
    if (json.length > VALUE_BYTES_MAX) return `it is larger than ${VALUE_BYTES_MAX} bytes`
    const text = withoutMark(json)
    if (this.#scan?.(text, found) === true) return found
    let parsed: unknown
    try {
      parsed = JSON.parse(text.toString('utf8'))
    } catch {
      return 'it is not JSON'
    }
    if (!isRecord(parsed)) return 'it is no JSON object'
    for (const [index, path] of this.#paths.entries()) found[index] = scalarAt(parsed, path)
    return found
  }
}

/** A byte order mark may be ignored (RFC 8259, 8.1); some producers write one. */
function withoutMark(json: Buffer): Buffer {
  const marked = json[0] === 0xef && json[1] === 0xbb && json[2] === 0xbf
  return marked ? json.subarray(3) : json
}

/** What is neither text, number nor boolean counts as not there. */
function scalarAt(object: Readonly<Record<string, unknown>>, path: string): Scalar {
  let value: unknown = object
  for (const field of path.split('.')) {
    if (!isRecord(value) || !Object.hasOwn(value, field)) return undefined
    value = value[field]
  }
  if (typeof value === 'object') return value === null ? null : undefined
  return value as Scalar
}

type LabelConfig = KafkaEventsConfig['labels'][string]

interface LabelReader {
  readonly missing: string
  read(found: readonly Scalar[], message: KafkaMessage): string | undefined
}

function labelOf(name: string, of: LabelConfig, fields: Fields): LabelReader {
  if ('value' in of) return { missing: '', read: () => of.value }
  const orElse = of.default
  const named = (value: string | undefined) =>
    value === undefined || value === '' ? orElse : value
  if ('field' in of) {
    const at = fields.index(of.field)
    return {
      missing: `field ${of.field}, for label ${name}, is missing or no text`,
      read: (found) => named(textOf(found[at])),
    }
  }
  if ('header' in of)
    return {
      missing: `header ${of.header}, for label ${name}, is missing`,
      read: (_, { headers }) => {
        const value = Object.hasOwn(headers, of.header) ? headers[of.header] : undefined
        return named(value?.toString('utf8'))
      },
    }
  return {
    missing: `the key, for label ${name}, is missing`,
    read: (_, { key }) => named(key?.toString('utf8')),
  }
}

function textOf(value: Scalar): string | undefined {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? undefined : String(value)
}

function conditionOf(of: KafkaEventsConfig['where'][number]): (value: Scalar) => boolean {
  const { equals, min = -Infinity, max = Infinity } = of
  const among = of.in === undefined ? undefined : new Set(of.in)
  const bounded = of.min !== undefined || of.max !== undefined
  return (value) => {
    if (equals !== undefined && value !== equals) return false
    if (among !== undefined && !among.has(textOf(value) ?? '')) return false
    return !bounded || (typeof value === 'number' && value >= min && value <= max)
  }
}

/** Numbers below this are seconds: as milliseconds they would lie in 1973. */
const SECONDS_BELOW = 1e11

type TimeFormat = NonNullable<KafkaEventsConfig['time']>['format']

/** In ms since 1970; NaN where it is none. */
function timeOf(value: Scalar, format: TimeFormat): number {
  if (typeof value === 'number') {
    if (format === 'rfc3339') return NaN
    const seconds = format === 's' || (format === 'auto' && Math.abs(value) < SECONDS_BELOW)
    return Math.round(seconds ? value * 1000 : value)
  }
  if (typeof value !== 'string' || format === 'ms' || format === 's') return NaN
  return rfc3339(value)
}

const RFC3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/

/** The seconds that were read last: events come in order, so most share them. */
let seconds = ''
let secondsMs = NaN

function rfc3339(text: string): number {
  const parts = RFC3339.exec(text)
  if (parts === null) return NaN
  const [, date = '', time = '', fraction = '', zone = ''] = parts
  const whole = `${date}T${time}${zone.toUpperCase()}`
  if (whole !== seconds) {
    seconds = whole
    secondsMs = isThere(`${date}T${time}`) ? Date.parse(whole) : NaN
  }
  return secondsMs + Number(fraction.slice(1, 4).padEnd(3, '0'))
}

/** `Date.parse` takes 30 February and 24:00 too, for a day that follows. */
function isThere(local: string): boolean {
  const ms = Date.parse(`${local}Z`)
  return Number.isFinite(ms) && new Date(ms).toISOString().startsWith(local)
}
