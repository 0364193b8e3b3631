import type { Labels, SampleKind } from '../../model.ts'
import type { PushPoint } from '../../ports.ts'

/** Intervals of a stream that are remembered; no more can be told from repetitions. */
const INTERVALS_MAX = 128
const TWO_SENDERS = {
  quarrel: 'two processes report as one: give each its own service.instance.id in the resource',
}

interface SeriesName {
  readonly metric: string
  readonly labels: Labels
}

interface Stream {
  readonly name: string
  readonly kind: SampleKind
  /** What it is stored as. */
  series: readonly SeriesName[]
  startMs: number | undefined
  endMs: number
  value: number
  /** `delta`: what was counted, the newest last. */
  readonly intervals: { readonly startMs: number; readonly endMs: number }[]
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

  /** Series that are known. */
  get size(): number {
    let size = 0
    for (const { series } of this.#streams.values()) size += series.length
    return size
  }

  has(point: PushPoint): boolean {
    return this.#streams.has(keyOf(point))
  }

  look(point: PushPoint): Look {
    const known = this.#streams.get(keyOf(point))
    if (known === undefined) return 'new'
    if (known.name !== point.stream)
      return { quarrel: `${known.name} and ${point.stream} would both be ${point.metric}` }
    if (known.kind !== point.kind || point.value === 'none') return 'new'
    if (point.kind === 'delta') return lookAtInterval(known, point)
    const endMs = Math.floor(point.endMs)
    if (endMs <= known.endMs) return 'repeated'
    return point.kind === 'cumulative' ? lookAtCount(known, point, totalOf(point)) : 'new'
  }

  /** Remembers a point that was taken, and the series that it went to. */
  take(point: PushPoint, series: readonly SeriesName[], heardMs: number): void {
    const key = keyOf(point)
    const before = this.#streams.get(key)
    const intervals = before?.kind === point.kind ? before.intervals : []
    const { stream: name, kind, startMs } = point
    const endMs = Math.floor(point.endMs)
    if (kind === 'delta' && startMs !== undefined) {
      intervals.push({ startMs, endMs: point.endMs })
      if (intervals.length > INTERVALS_MAX) intervals.shift()
    }
    const value = totalOf(point)
    this.#streams.set(key, { name, kind, series, startMs, endMs, value, intervals, heardMs })
  }

  /** Notes that a stream was named again. */
  hear(point: PushPoint, heardMs: number): void {
    const known = this.#streams.get(keyOf(point))
    if (known !== undefined) known.heardMs = heardMs
  }

  /** Forgets a stream and says which series it was. */
  end(point: PushPoint): readonly SeriesName[] {
    const known = this.#streams.get(keyOf(point))
    this.#streams.delete(keyOf(point))
    return known?.series ?? []
  }

  /** Forgets what was not named since `ms`, and says which series that was. */
  endUnheard(sinceMs: number): SeriesName[] {
    const ended: SeriesName[] = []
    for (const [key, { heardMs, series }] of this.#streams) {
      if (heardMs >= sinceMs) continue
      this.#streams.delete(key)
      ended.push(...series)
    }
    return ended
  }
}

function keyOf({ metric, labels }: PushPoint): string {
  return JSON.stringify([metric, Object.entries(labels)])
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

/** A new start that lies before the last point is that of another process, which counts beside this one. */
function lookAtCount(known: Stream, { startMs }: PushPoint, value: number): Look {
  if (startMs === undefined || known.startMs === undefined) return 'new'
  if (startMs !== known.startMs) return Math.floor(startMs) < known.endMs ? TWO_SENDERS : 'new'
  return value < known.value
    ? { quarrel: `${known.name} fell from ${known.value} to ${value} without a new start` }
    : 'new'
}

/** What has to grow: the count. */
function totalOf({ value }: PushPoint): number {
  if (typeof value === 'number') return value
  return value === 'none' ? NaN : value.counts.reduce((sum, count) => sum + count, 0)
}
