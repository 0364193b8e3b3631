import type {
  Batch,
  OriginHealth,
  RefusalReason,
  Sample,
  Selection,
  Series,
  WriteResult,
} from '../model.ts'
import type { Clock, OriginFailure, SampleSink, SeriesView } from '../ports.ts'
import { accept } from './accept.ts'
import { hasAny, type LabelLimits, seriesTest, storedLabels } from './labels.ts'
import { OriginNotes } from './notes.ts'
import { OriginSeries } from './origin.ts'
import { RingSeries } from './ring.ts'

export interface SeriesStoreLimits extends LabelLimits {
  /** Series in the whole store; origins too are no more than this. */
  readonly seriesMax: number
  readonly pointsPerSeriesMax: number
  /** Older samples are refused and older points dropped. */
  readonly historyMs: number
  /** How far a sample may be ahead of the clock: origins' clocks differ. */
  readonly futureToleranceMs: number
}

/** The store's account of itself. Counts are since its creation, `series`, `points` and `origins` are now. */
interface SeriesStoreCounters {
  readonly series: number
  readonly points: number
  readonly origins: number
  readonly batches: number
  readonly samplesTaken: number
  readonly seriesEnded: number
  /** Points that gave way because their series had reached its maximum. */
  readonly pointsEvicted: number
  /** Points dropped for their age. */
  readonly pointsExpired: number
  readonly refusals: readonly {
    readonly source: string
    readonly reason: RefusalReason
    readonly count: number
  }[]
}

export interface SeriesStore extends SampleSink, SeriesView {
  /** Series that have ended so far, for whatever reason. */
  readonly ended: number
  /** Drops points older than the history, series left without any, and origins not heard of for as long. */
  prune(nowMs: number): void
  counters(): SeriesStoreCounters
}

/**
 * Bounded history of all series. Without a clock, "now" is the time of the batch being written, which is
 * what a replay wants.
 */
export function createSeriesStore(limits: SeriesStoreLimits, clock?: Clock): SeriesStore {
  return new BoundedSeriesStore(limits, clock)
}

interface SourceSeries {
  readonly name: string
  readonly origins: Map<string, OriginSeries>
  /** What `origins()` shows; kept beside so that a read makes nothing. */
  readonly health: Map<string, OriginHealth>
  readonly byMetric: Map<string, Set<RingSeries>>
  readonly notes: OriginNotes
  readonly refusals: Map<RefusalReason, number>
}

class BoundedSeriesStore implements SeriesStore {
  generation = 0
  ended = 0

  readonly #limits: SeriesStoreLimits
  readonly #clock: Clock | undefined
  readonly #sources = new Map<string, SourceSeries>()
  #series = 0
  #points = 0
  #origins = 0
  #batches = 0
  #taken = 0
  #evicted = 0
  #expired = 0

  constructor(limits: SeriesStoreLimits, clock: Clock | undefined) {
    this.#limits = limits
    this.#clock = clock
  }

  write(batch: Batch): WriteResult {
    this.#batches += 1
    const source = this.#source(batch.source)
    const refused = new Map<RefusalReason, number>()
    const origin = this.#origin(source, batch.origin, batch.atMs)
    if (origin === undefined) {
      countRefusal(refused, 'too-many-series', batch.samples.length)
    } else {
      origin.round += 1
      const nowMs = this.#clock?.nowMs() ?? batch.atMs
      for (const sample of batch.samples) {
        const refusal = this.#take(source, origin, sample, nowMs)
        if (refusal !== undefined) countRefusal(refused, refusal, 1)
      }
      for (const each of batch.ended ?? []) {
        const series = origin.find(each)
        if (series !== undefined) this.#endSeries(source, origin, series)
      }
      if (batch.complete) this.#endUnnamed(source, origin)
      source.notes.replace(origin.name, batch.notes)
      const left = refused.get('too-many-series') ?? 0
      if (left > 0) this.#overLimit(source, origin, { left, batch, refused })
      else origin.collected(batch.atMs)
      source.health.set(origin.name, origin.health)
    }
    let refusedTotal = 0
    for (const [reason, count] of refused) {
      countRefusal(source.refusals, reason, count)
      refusedTotal += count
    }
    const taken = batch.samples.length - refusedTotal
    this.#taken += taken
    return { taken, refused }
  }

  fail(sourceName: string, originName: string, failure: OriginFailure): void {
    const source = this.#source(sourceName)
    const origin = this.#origin(source, originName, failure.atMs)
    if (origin === undefined) return
    origin.failed(failure)
    source.health.set(originName, origin.health)
  }

  end(sourceName: string, originName: string): void {
    const source = this.#sources.get(sourceName)
    const origin = source?.origins.get(originName)
    if (source === undefined || origin === undefined) return
    for (const series of origin.byKey.values()) this.#endSeries(source, origin, series)
    this.#forget(source, originName)
  }

  select(selection: Selection): readonly Series[] {
    const candidates = this.#sources.get(selection.source)?.byMetric.get(selection.metric)
    if (candidates === undefined) return []
    const all = [...candidates]
    return selection.matchers.length === 0 ? all : all.filter(seriesTest(selection.matchers))
  }

  origins(source: string): ReadonlyMap<string, OriginHealth> {
    return this.#sources.get(source)?.health ?? new Map<string, OriginHealth>()
  }

  silentOrigins(
    source: string,
    selection?: Pick<Selection, 'metric' | 'matchers'>,
  ): readonly string[] {
    const silent: string[] = []
    for (const { health, byKey, lacks, name } of this.#sources.get(source)?.origins.values() ??
      []) {
      if (health.state !== 'failing' || byKey.size > 0) continue
      if (selection === undefined || lacks === undefined || hasAny(lacks, selection))
        silent.push(name)
    }
    return silent
  }

  notes(source: string, metric: string): ReadonlyMap<string, readonly string[]> | undefined {
    return this.#sources.get(source)?.notes.of(metric)
  }

  prune(nowMs: number): void {
    const oldestMs = nowMs - this.#limits.historyMs
    for (const source of this.#sources.values()) {
      for (const origin of source.origins.values()) {
        for (const series of origin.byKey.values()) {
          const dropped = series.dropUntil(oldestMs)
          this.#points -= dropped
          this.#expired += dropped
          if (series.length === 0) this.#endSeries(source, origin, series)
        }
        if (origin.byKey.size === 0 && origin.lastHeardMs <= oldestMs)
          this.#forget(source, origin.name)
      }
    }
  }

  counters(): SeriesStoreCounters {
    return {
      series: this.#series,
      points: this.#points,
      origins: this.#origins,
      batches: this.#batches,
      samplesTaken: this.#taken,
      seriesEnded: this.ended,
      pointsEvicted: this.#evicted,
      pointsExpired: this.#expired,
      refusals: [...this.#sources.values()].flatMap(({ name, refusals }) =>
        [...refusals].map(([reason, count]) => ({ source: name, reason, count })),
      ),
    }
  }

  /** Stores one sample or says why not. A series that is named counts as present, whatever its value. */
  #take(
    source: SourceSeries,
    origin: OriginSeries,
    sample: Sample,
    nowMs: number,
  ): RefusalReason | undefined {
    const place = origin.locate(sample)
    if (place === undefined) return 'bad-labels'
    const known = place.found
    if (known !== undefined) known.seenRound = origin.round
    if (!Number.isFinite(sample.value) || !Number.isFinite(sample.timestampMs)) return 'not-finite'
    if (sample.timestampMs <= nowMs - this.#limits.historyMs) return 'too-old'
    if (sample.timestampMs > nowMs + this.#limits.futureToleranceMs) return 'in-the-future'

    const ahead = known !== undefined && known.lastMs > nowMs + this.#limits.futureToleranceMs
    if (known !== undefined && known.kind === sample.kind && !ahead)
      return this.#store(known, sample)
    // A metric that changes its kind is another one; the numbers of the two must not meet in one window. And
    // points that lie in the future, since the clock was set back, must not keep the present out.
    if (known !== undefined) this.#endSeries(source, origin, known)
    if (this.#series >= this.#limits.seriesMax) return 'too-many-series'
    const key = place.found === undefined ? place.key : place.found.key
    return this.#store(this.#begin(source, origin, sample, key), sample)
  }

  #store(series: RingSeries, sample: Sample): RefusalReason | undefined {
    const before = series.length
    const outcome = accept(series, sample)
    this.#points += series.length - before
    if (outcome === 'stored-over-oldest') this.#evicted += 1
    if (sample.covered !== undefined) series.cover(sample.covered)
    return outcome === 'out-of-order' || outcome === 'too-old' ? outcome : undefined
  }

  #begin(source: SourceSeries, origin: OriginSeries, sample: Sample, key: string): RingSeries {
    const labels = storedLabels(sample.labels)
    const { metric, kind } = sample
    const identity = { source: source.name, origin: origin.name, metric, labels, kind }
    const series = new RingSeries(identity, key, this.#limits.pointsPerSeriesMax)
    series.seenRound = origin.round
    origin.byKey.set(key, series)
    origin.remember(sample.labels, series)
    const ofMetric = source.byMetric.get(metric)
    if (ofMetric === undefined) source.byMetric.set(metric, new Set([series]))
    else ofMetric.add(series)
    this.#series += 1
    this.generation += 1
    return series
  }

  /** An origin is kept whole or not at all: half of its series would be half of its load. */
  #overLimit(
    source: SourceSeries,
    origin: OriginSeries,
    over: {
      readonly left: number
      readonly batch: Batch
      readonly refused: Map<RefusalReason, number>
    },
  ): void {
    const { left, batch, refused } = over
    const of = batch.samples.length
    for (const series of origin.byKey.values()) this.#endSeries(source, origin, series)
    const others = [...refused.values()].reduce((sum, count) => sum + count, 0)
    countRefusal(refused, 'too-many-series', of - others)
    const message = `limits.series (${this.#limits.seriesMax}) is reached: ${left} of ${of} series found no room, none is kept`
    origin.failed({ code: 'too-large', message, atMs: batch.atMs })
  }

  #endUnnamed(source: SourceSeries, origin: OriginSeries): void {
    for (const series of origin.byKey.values())
      if (series.seenRound !== origin.round) this.#endSeries(source, origin, series)
  }

  #endSeries(source: SourceSeries, origin: OriginSeries, series: RingSeries): void {
    series.ended = true
    origin.byKey.delete(series.key)
    const ofMetric = source.byMetric.get(series.metric)
    ofMetric?.delete(series)
    if (ofMetric?.size === 0) source.byMetric.delete(series.metric)
    this.#series -= 1
    this.#points -= series.length
    this.ended += 1
    this.generation += 1
  }

  #source(name: string): SourceSeries {
    const known = this.#sources.get(name)
    if (known !== undefined) return known
    const made: SourceSeries = {
      name,
      origins: new Map(),
      health: new Map(),
      byMetric: new Map(),
      notes: new OriginNotes(),
      refusals: new Map(),
    }
    this.#sources.set(name, made)
    return made
  }

  /** Undefined where one more origin would pass the limit. */
  #origin(source: SourceSeries, name: string, atMs: number): OriginSeries | undefined {
    const known = source.origins.get(name)
    if (known !== undefined) return known
    if (this.#origins >= this.#limits.seriesMax) return undefined
    const made = new OriginSeries(name, this.#limits, atMs)
    source.origins.set(name, made)
    this.#origins += 1
    return made
  }

  #forget(source: SourceSeries, originName: string): void {
    source.origins.delete(originName)
    source.health.delete(originName)
    source.notes.drop(originName)
    this.#origins -= 1
  }
}

function countRefusal(
  counts: Map<RefusalReason, number>,
  reason: RefusalReason,
  count: number,
): void {
  if (count > 0) counts.set(reason, (counts.get(reason) ?? 0) + count)
}
