import type { WindowPosition, WindowState } from '../../../ports.ts'
import type { KafkaMessage } from '../client.ts'
import type { Bucket } from './cells.ts'
import { addTo, emptyCell, keyOf, readBucket, writeBucket } from './cells.ts'
import type { Decode, Event } from './decode.ts'

/** Why an event is not counted. */
export const DROPS = ['malformed', 'late', 'future', 'too-many-series'] as const
export type Drop = (typeof DROPS)[number]

export interface CountSettings {
  readonly decode: Decode
  /** Upper bounds of each number's buckets. */
  readonly bounds: readonly (readonly number[])[]
  readonly bucketMs: number
  readonly windowMs: number
  readonly latenessMs: number
  readonly futureMs: number
  readonly maxSeries: number
  /** Told of each event that is dropped. */
  readonly dropped: (drop: Drop, why: string, message: KafkaMessage) => void
}

/** What a partition's counts need besides the buckets to go on as if it had read everything before. */
export interface Memo {
  /** Every event from this time on is counted. */
  readonly coverMs: number
  counted: number
  readonly drops: Record<Drop, number>
  /** Latest time of an event that found no room among the series. */
  overflowMs: number
}

/** Under this start stands which label values were seen, and when last; no event is of that time. */
export const KNOWN_AT = Number.MAX_SAFE_INTEGER
/** Seen times are written this coarsely, so that they are not written all the time. */
const SEEN_STEP_MS = 600_000

/**
 * The counts of one partition: a function of the messages that were added, in their order, and of nothing else; so
 * it makes no difference where they were cut into batches, or how often somebody began anew at a stored position.
 */
export class PartitionCounts {
  readonly memo: Memo
  readonly #settings: CountSettings
  readonly #buckets = new Map<number, Bucket>()
  readonly #changed = new Set<number>()
  readonly #known: Map<string, number>
  readonly #event: Event = { timeMs: 0, labels: [], values: [] }

  /** Goes on from a stored state, or begins with events from `coverMs` on. */
  constructor(settings: CountSettings, from: WindowState | { readonly coverMs: number }) {
    this.#settings = settings
    if ('coverMs' in from) {
      const drops = Object.fromEntries(DROPS.map((drop) => [drop, 0])) as Record<Drop, number>
      this.memo = { coverMs: from.coverMs, counted: 0, drops, overflowMs: 0 }
      this.#known = new Map()
      return
    }
    this.memo = readMemo(from.position)
    this.#known = readKnown(from.buckets.get(KNOWN_AT))
    for (const [startMs, content] of from.buckets)
      if (startMs !== KNOWN_AT) this.#buckets.set(startMs, readBucket(content))
  }

  add(messages: readonly KafkaMessage[], askedMs: number): void {
    for (const message of messages) this.#add(message, askedMs)
  }

  /** Buckets that changed since this was asked last, as they are to be stored. */
  changes(): Map<number, string> {
    const changes = new Map<number, string>()
    for (const startMs of this.#changed) {
      const content =
        startMs === KNOWN_AT
          ? JSON.stringify([...this.#known])
          : writeBucket(this.#buckets.get(startMs) ?? new Map())
      changes.set(startMs, content)
    }
    this.#changed.clear()
    return changes
  }

  /** Drops the buckets that no window reaches any more, and says from when on they are kept. */
  keepFrom(throughMs: number): number {
    const { windowMs, bucketMs } = this.#settings
    const keepMs = throughMs - windowMs - 2 * bucketMs
    for (const startMs of this.#buckets.keys()) if (startMs < keepMs) this.#buckets.delete(startMs)
    return Math.max(0, keepMs)
  }

  #add(message: KafkaMessage, askedMs: number): void {
    const event = this.#event
    const { decode, latenessMs, futureMs, bucketMs, bounds } = this.#settings
    const { memo } = this
    const decoded = decode(message, event)
    if (decoded === 'skip') return
    if (decoded !== 'event') return this.#drop('malformed', decoded.malformed, message)
    const { timeMs } = event
    // A clock that is ahead must not make the events of all others late.
    if (timeMs > message.timestampMs + futureMs || timeMs > askedMs + futureMs)
      return this.#drop('future', `it is of ${timeText(timeMs)}, which is to come`, message)
    if (timeMs < message.timestampMs - latenessMs)
      return this.#drop('late', `it is of ${timeText(timeMs)}, long before its message`, message)
    if (timeMs < memo.coverMs) return
    const key = keyOf(event.labels)
    if (!this.#know(key, timeMs)) {
      memo.overflowMs = Math.max(memo.overflowMs, timeMs)
      return this.#drop('too-many-series', 'maxSeries is reached', message)
    }
    const startMs = Math.floor(timeMs / bucketMs) * bucketMs
    let bucket = this.#buckets.get(startMs)
    if (bucket === undefined) this.#buckets.set(startMs, (bucket = new Map()))
    let cell = bucket.get(key)
    if (cell === undefined) bucket.set(key, (cell = emptyCell(bounds)))
    addTo(cell, event.values, bounds)
    this.#changed.add(startMs)
    memo.counted += 1
  }

  /** False where there is no room for one more set of label values. */
  #know(key: string, timeMs: number): boolean {
    const seenMs = this.#known.get(key)
    if (seenMs === undefined && this.#known.size >= this.#settings.maxSeries) return false
    if (seenMs === undefined || timeMs >= seenMs + SEEN_STEP_MS) {
      this.#known.set(key, Math.floor(timeMs / SEEN_STEP_MS) * SEEN_STEP_MS)
      this.#changed.add(KNOWN_AT)
    }
    return true
  }

  #drop(drop: Drop, why: string, message: KafkaMessage): void {
    this.memo.drops[drop] += 1
    this.#settings.dropped(drop, why, message)
  }
}

function timeText(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : String(ms)
}

export function readMemo(position: WindowPosition): Memo {
  return JSON.parse(position.memo) as Memo
}

/** Label values and when they were seen last. */
export function readKnown(content: string | undefined): Map<string, number> {
  return new Map(content === undefined ? [] : (JSON.parse(content) as [string, number][]))
}
