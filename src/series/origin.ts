import type { Labels, OriginHealth, Sample, SeriesName } from '../model.ts'
import type { OriginFailure } from '../ports.ts'
import { type LabelLimits, seriesKey } from './labels.ts'
import type { RingSeries } from './ring.ts'

/** Where a sample belongs: to a series that is there, to one that could be made, or to none. */
export type Place =
  { readonly found: RingSeries } | { readonly found: undefined; readonly key: string } | undefined

/**
 * What the store knows of one origin: its series and how its collects go.
 *
 * Most sources give the same frozen labels object for a series at each collect. For those the way from a
 * sample to its series is one look-up by the object's identity; all others build the key from their
 * labels. Only frozen objects are remembered, as any other could hold something else next time.
 */
export class OriginSeries {
  readonly name: string
  readonly byKey = new Map<string, RingSeries>()
  /** Number of the batch being written; a series whose `seenRound` is older was not named in it. */
  round = 0
  /** When a collect last ended, well or badly. */
  lastHeardMs: number
  health: OriginHealth
  /** What it would have if it did not fail; undefined: nobody knows. */
  lacks: readonly SeriesName[] | undefined

  readonly #limits: LabelLimits
  /** Labels given to one metric point to its series; to several metrics, to a map of them. */
  readonly #byLabels = new WeakMap<Labels, RingSeries | Map<string, RingSeries>>()

  constructor(name: string, limits: LabelLimits, atMs: number) {
    this.name = name
    this.#limits = limits
    this.lastHeardMs = atMs
    this.health = { state: 'ok', sinceMs: atMs, lastCollectMs: atMs }
  }

  /** Undefined if the labels pass a limit. */
  locate(sample: Sample): Place {
    const known = this.#remembered(sample)
    if (known !== undefined) return { found: known }
    const key = seriesKey(sample.metric, sample.labels, this.#limits)
    if (key === undefined) return undefined
    const found = this.byKey.get(key)
    if (found === undefined) return { found, key }
    this.remember(sample.labels, found)
    return { found }
  }

  /** The series of these labels, where there is one. */
  find({ metric, labels }: SeriesName): RingSeries | undefined {
    const key = seriesKey(metric, labels, this.#limits)
    return key === undefined ? undefined : this.byKey.get(key)
  }

  /** Lets the next sample with this very object find its series at once. */
  remember(labels: Labels, series: RingSeries): void {
    if (!Object.isFrozen(labels)) return
    const entry = this.#byLabels.get(labels)
    if (entry instanceof Map) entry.set(series.metric, series)
    else if (entry === undefined || entry.metric === series.metric)
      this.#byLabels.set(labels, series)
    else this.#byLabels.set(labels, new Map([entry, series].map((one) => [one.metric, one])))
  }

  collected(atMs: number): void {
    const sinceMs = this.health.state === 'ok' ? this.health.sinceMs : atMs
    this.health = { state: 'ok', sinceMs, lastCollectMs: atMs }
    this.lastHeardMs = atMs
  }

  /** The state's beginning stays while the code does; the message is always the newest. */
  failed({ code, message, atMs, lacks }: OriginFailure): void {
    this.lacks = lacks
    const going = this.health.state === 'failing' && this.health.code === code
    this.health = { state: 'failing', sinceMs: going ? this.health.sinceMs : atMs, code, message }
    this.lastHeardMs = atMs
  }

  #remembered(sample: Sample): RingSeries | undefined {
    const entry = this.#byLabels.get(sample.labels)
    const series = entry instanceof Map ? entry.get(sample.metric) : entry
    return series?.metric === sample.metric && !series.ended ? series : undefined
  }
}
