import type { Labels, Selection, Series, Signal } from '../model.ts'
import type { SeriesView } from '../ports.ts'

/** The series of a signal that share the values of its `by` labels. */
export interface Group {
  readonly key: string
  readonly labels: Labels
  readonly series: readonly Series[]
  /** The same series as classic histograms; undefined where no quantile of such is asked for. */
  readonly histograms: readonly HistogramPart[] | undefined
  /** The same series as sums and counts; undefined where no mean is asked for. */
  readonly mean: MeanParts | undefined
}

/** The buckets of one origin with the same labels. */
export type HistogramPart = readonly { readonly le: number; readonly series: Series }[]

/** What a mean is made of: each sum with the count of the same origin and labels. */
export interface MeanParts {
  readonly pairs: readonly { readonly sum: Series; readonly count: Series }[]
  readonly alone: readonly Series[]
}

/** Groups that are held together, by their places among all. */
export interface Party {
  readonly key: string
  readonly members: readonly number[]
}

export interface Grouping {
  readonly groups: readonly Group[]
  readonly parties: readonly Party[]
  /** Series that lack a `by` label and so belong to nobody; never counted into any group. */
  readonly unattributed: number
}

/** Sorts series into groups; done only when the selection changes, never on a tick. */
export function groupSeries(signal: Signal, selected: readonly Series[]): Grouping {
  const byKey = new Map<string, { labels: Labels; series: Series[] }>()
  let unattributed = 0
  const { scope } = signal.selection
  for (const series of selected) {
    if (scope !== undefined && isOf(series.labels, scope) === 'another') continue
    const labels = groupLabels(signal.combine.by, series.labels)
    if (labels === undefined || (scope !== undefined && isOf(series.labels, scope) === 'nobody')) {
      unattributed += 1
      continue
    }
    const key = JSON.stringify(labels)
    const group = byKey.get(key)
    if (group === undefined) byKey.set(key, { labels, series: [series] })
    else group.series.push(series)
  }
  const groups = [...byKey].map(([key, { labels, series }]) => ({
    key,
    labels,
    series,
    histograms: histogramParts(signal, series),
    mean: meanParts(signal, series),
  }))
  return { groups, parties: partiesOf(signal, groups), unattributed }
}

/** Of what is told of pods the total is held, apart by every other label; everything else group by group. */
function partiesOf(signal: Signal, groups: readonly Group[]): readonly Party[] {
  if (signal.expose.custom?.on.resource !== 'pods')
    return groups.map(({ key }, at) => ({ key, members: [at] }))
  const parties = new Map<string, number[]>()
  for (const [at, { labels }] of groups.entries()) {
    const others = Object.entries(labels).filter(([name]) => name !== 'pod')
    const key = JSON.stringify(others)
    const members = parties.get(key)
    if (members === undefined) parties.set(key, [at])
    else members.push(at)
  }
  return [...parties].map(([key, members]) => ({ key, members }))
}

function isOf(
  labels: Labels,
  scope: { readonly label: string; readonly value: string },
): 'own' | 'another' | 'nobody' {
  const value = Object.hasOwn(labels, scope.label) ? labels[scope.label] : undefined
  if (value === undefined) return 'nobody'
  return value === scope.value ? 'own' : 'another'
}

function groupLabels(by: readonly string[], labels: Labels): Labels | undefined {
  const group: Record<string, string> = {}
  for (const name of by) {
    // A label may be called `constructor`: only what the series itself carries counts.
    const value = Object.hasOwn(labels, name) ? labels[name] : undefined
    if (value === undefined) return undefined
    group[name] = value
  }
  return group
}

/** A `quantile` over cumulative series with `le` is asked of the histogram, not of the bucket counters. */
function histogramParts(
  { window }: Signal,
  all: readonly Series[],
): readonly HistogramPart[] | undefined {
  if (window.function !== 'quantile') return undefined
  if (!all.every((one) => one.kind !== 'gauge' && one.labels['le'] !== undefined)) return undefined
  const parts = new Map<string, { le: number; series: Series }[]>()
  for (const series of all) {
    const { le, ...labels } = series.labels
    const key = identity({ origin: series.origin, labels })
    const bucket = { le: le === '+Inf' ? Infinity : Number(le), series }
    const part = parts.get(key)
    if (part === undefined) parts.set(key, [bucket])
    else part.push(bucket)
  }
  return [...parts.values()]
}

/** What a signal is made of; a mean of `<metric>_sum` and `<metric>_count`, as histograms and summaries have them. */
export function selectSeries(signal: Signal, view: SeriesView): readonly Series[] {
  return selectionsOf(signal).flatMap((selection) => view.select(selection))
}

/** What the signal's series are selected by. */
export function selectionsOf({ selection, window }: Signal): readonly Selection[] {
  if (window.function !== 'mean') return [selection]
  return ['_sum', '_count'].map((suffix) => ({ ...selection, metric: selection.metric + suffix }))
}

function meanParts(
  { selection, window }: Signal,
  series: readonly Series[],
): MeanParts | undefined {
  if (window.function !== 'mean') return undefined
  const isCount = ({ metric }: Series) => metric === `${selection.metric}_count`
  const counts = new Map(series.filter(isCount).map((one) => [identity(one), one]))
  const pairs: { sum: Series; count: Series }[] = []
  const alone: Series[] = []
  for (const sum of series) {
    if (isCount(sum)) continue
    const count = counts.get(identity(sum))
    if (count === undefined) alone.push(sum)
    else pairs.push({ sum, count })
    counts.delete(identity(sum))
  }
  return { pairs, alone: [...alone, ...counts.values()] }
}

function identity({ origin, labels }: Pick<Series, 'origin' | 'labels'>): string {
  return JSON.stringify([origin, Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))])
}
