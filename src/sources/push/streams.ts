import type { SeriesName } from '../../model.ts'
import type { PushPoint } from '../../ports.ts'

/** Intervals of a stream that are remembered; no more can be told from repetitions. */
const INTERVALS_MAX = 128
const TWO_SENDERS = {
  quarrel:
    'two processes report as one: give each its own service.instance.id (or process.pid) in the resource',
}

type Value = Exclude<PushPoint['value'], 'none'>

interface Stream extends Pick<PushPoint, 'stream' | 'kind' | 'endMs'> {
  readonly startMs: number | undefined
  readonly value: Value
  /** What it is stored as. */
  readonly series: readonly SeriesName[]
  /** `delta`: what was counted, the newest last. */
  readonly intervals: { readonly startMs: number; readonly endMs: number }[]
  /** `cumulative`: when its count was last less than before. */
  readonly fellMs: number | undefined
  /** The export that brought it. */
  readonly round: number
  heardMs: number
}

/**
 * `repeated`: there is nothing new in it. `late`: it can no longer be counted. `quarrel`: not all that the process
 * counts can be told apart, so that any number made of it may be wrong.
 */
export type Look = 'new' | 'repeated' | { readonly late: string } | { readonly quarrel: string }

/**
 * What one process sends, stream by stream. A stream has one writer (OpenTelemetry's data model): its points come
 * in time order, its intervals do not overlap, and its count falls only where it begins anew.
 */
export class Streams {
  readonly #streams = new Map<string, Stream>()
  /** Series that ended and were not yet told, by stream. */
  readonly #ended = new Map<string, readonly SeriesName[]>()
  readonly #maxAgeMs: number
  #keyed: { readonly point: PushPoint; readonly key: string } | undefined
  #size = 0
  #round = 0
  #longestMs: number | undefined

  /** `maxAgeMs`: older intervals are not taken, so they need not be told from repetitions. */
  constructor(maxAgeMs: number) {
    this.#maxAgeMs = maxAgeMs
  }

  /** Series that are known. */
  get size(): number {
    return this.#size
  }

  get series(): readonly SeriesName[] {
    return [...this.#streams.values()].flatMap(({ series }) => series)
  }

  /** The longest time from one point of a stream to the next; undefined while none had two. */
  get longestMs(): number | undefined {
    return this.#longestMs
  }

  /** A point is asked about several times in a row. */
  #keyOf(point: PushPoint): string {
    if (this.#keyed?.point !== point) this.#keyed = { point, key: keyOf(point) }
    return this.#keyed.key
  }

  /** The next points are of one more export. */
  begin(): void {
    this.#round += 1
  }

  has(point: PushPoint): boolean {
    return this.#streams.has(this.#keyOf(point))
  }

  look(point: PushPoint): Look {
    const known = this.#streams.get(this.#keyOf(point))
    if (known === undefined) return this.#lookAtNew(point)
    if (known.stream !== point.stream)
      return { quarrel: `${known.stream} and ${point.stream} would both be ${point.metric}` }
    // What is told late, or again, does not end what goes on.
    if (point.value === 'none') return point.endMs <= known.endMs ? 'repeated' : 'new'
    if (known.kind !== point.kind || typeof known.value !== typeof point.value)
      return {
        quarrel: `${known.stream} is told both as ${nameOf(known)} and as ${nameOf(point)}`,
      }
    if (known.round === this.#round && known.endMs === point.endMs)
      return {
        quarrel: `${known.stream} is twice in one export with the same labels, where numbers are texts`,
      }
    if (point.kind === 'delta') return lookAtInterval(known, point)
    if (Math.floor(point.endMs) <= Math.floor(known.endMs)) return 'repeated'
    const { startMs } = point
    if (startMs !== undefined && known.startMs !== undefined && startMs !== known.startMs)
      // A start that lies before the last point is that of another process, beside this one.
      return Math.floor(startMs) < Math.floor(known.endMs) ? TWO_SENDERS : 'new'
    return point.kind === 'cumulative' ? this.#lookAtCount(known, point, point.value) : 'new'
  }

  /** Remembers a point that was taken, and the series that it went to. Gives the end of the one before it. */
  take(point: PushPoint, series: readonly SeriesName[], heardMs: number): number | undefined {
    const { stream, kind, startMs, endMs, value } = point
    if (value === 'none') return undefined
    const key = this.#keyOf(point)
    const before = this.#streams.get(key)
    const intervals = before?.intervals ?? []
    if (kind === 'delta' && startMs !== undefined) {
      intervals.push({ startMs, endMs })
      const oldestMs = endMs - 2 * this.#maxAgeMs
      while (intervals.length > INTERVALS_MAX || (intervals[0]?.endMs ?? endMs) < oldestMs)
        intervals.shift()
      this.#longestMs = Math.max(this.#longestMs ?? 0, endMs - startMs)
    }
    if (before !== undefined) this.#longestMs = Math.max(this.#longestMs ?? 0, endMs - before.endMs)
    const fell = kind === 'cumulative' && before !== undefined && hasFallen(before.value, value)
    const fellMs = fell ? endMs : before?.fellMs
    const made = { stream, kind, startMs, endMs, value, series, intervals, fellMs, heardMs }
    this.#streams.set(key, { ...made, round: this.#round })
    this.#size += series.length - (before?.series.length ?? 0)
    this.#note(key, [...(this.#ended.get(key) ?? []), ...(before?.series ?? [])], series)
    return before?.endMs
  }

  /** Notes that a stream was named again. */
  hear(point: PushPoint, heardMs: number): void {
    const known = this.#streams.get(this.#keyOf(point))
    if (known !== undefined) known.heardMs = heardMs
  }

  /** Forgets a stream, which has ended. */
  end(point: PushPoint): void {
    this.#forget(this.#keyOf(point))
  }

  /** Forgets what was not named since `ms`, and says which series ended since it was last asked. */
  settle(ms: number): readonly SeriesName[] {
    for (const [key, { heardMs }] of this.#streams) if (heardMs < ms) this.#forget(key)
    const ended = [...this.#ended.values()].flat()
    this.#ended.clear()
    return ended
  }

  #forget(key: string): void {
    const known = this.#streams.get(key)
    if (known === undefined) return
    this.#streams.delete(key)
    this.#size -= known.series.length
    this.#note(key, known.series, [])
  }

  /** Of a stream's series those that it has no more have ended, such as buckets of other bounds. */
  #note(key: string, before: readonly SeriesName[], now: readonly SeriesName[]): void {
    const kept = new Set(now.map(partOf))
    const ended = before.filter((one) => !kept.has(partOf(one)))
    if (ended.length > 0) this.#ended.set(key, ended)
    else this.#ended.delete(key)
  }

  /** Without a start to tell by, a count that falls began anew: once, but not over and over. */
  #lookAtCount(known: Stream, { startMs, endMs }: PushPoint, value: Value): Look {
    if (!hasFallen(known.value, value)) return 'new'
    if (startMs !== undefined && known.startMs !== undefined)
      return { quarrel: `${known.stream} ${fallOf(known.value, value)} without a new start` }
    const again = known.fellMs !== undefined && endMs - known.fellMs < this.#maxAgeMs
    return again ? TWO_SENDERS : 'new'
  }

  /** A histogram `x` is also `x_count` and `x_sum`. */
  #lookAtNew({ metric, labels, stream, value }: PushPoint): Look {
    const isHistogram = typeof value === 'object'
    const base = /^(.+)_(?:count|sum)$/.exec(metric)?.[1]
    const parts = [`${metric}_count`, `${metric}_sum`]
    for (const rival of isHistogram ? parts : [base ?? '']) {
      const known = this.#streams.get(keyOf({ metric: rival, labels }))
      if (known !== undefined && (typeof known.value === 'object') !== isHistogram)
        return { quarrel: `${known.stream} and ${stream} would both be a histogram's count or sum` }
    }
    return 'new'
  }
}

function keyOf({ metric, labels }: Pick<PushPoint, 'metric' | 'labels'>): string {
  return JSON.stringify([metric, Object.entries(labels)])
}

/** What tells the series of one stream apart. */
function partOf({ metric, labels }: SeriesName): string {
  return `${metric} ${labels['le'] ?? ''}`
}

function nameOf({ kind, value }: Pick<PushPoint, 'kind' | 'value'>): string {
  return typeof value === 'object' ? `${kind} histogram` : kind
}

/** An interval that was counted is repeated; one that lies across it would count twice. */
function lookAtInterval({ intervals }: Stream, { startMs = NaN, endMs }: PushPoint): Look {
  for (const known of intervals) {
    if (known.startMs === startMs && known.endMs === endMs) return 'repeated'
    if (startMs < known.endMs && known.startMs < endMs) return TWO_SENDERS
  }
  const [oldest] = intervals
  const full = intervals.length >= INTERVALS_MAX
  return full && oldest !== undefined && endMs <= oldest.startMs
    ? { late: 'too many others overtook it to tell whether it was counted' }
    : 'new'
}

/** Whether anything in it is less than before that can only grow. */
function hasFallen(before: Value, now: Value): boolean {
  if (typeof before === 'number' || typeof now === 'number') return now < before
  if (before.bounds.join() !== now.bounds.join()) return totalOf(now) < totalOf(before)
  return (
    now.counts.some((count, index) => count < (before.counts[index] ?? 0)) ||
    (now.sum ?? Infinity) < (before.sum ?? -Infinity)
  )
}

function fallOf(before: Value, now: Value): string {
  const [from, to] = [totalOf(before), totalOf(now)]
  return to < from ? `fell from ${from} to ${to}` : 'has a bucket or a sum that fell'
}

function totalOf(value: Value): number {
  return typeof value === 'number' ? value : value.counts.reduce((sum, count) => sum + count, 0)
}
