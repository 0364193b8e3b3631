import type { Labels, Series, Signal } from '../model.ts'

/** The series of a signal that share the values of its `by` labels. */
export interface Group {
  readonly key: string
  readonly labels: Labels
  readonly series: readonly Series[]
  /** Upper bounds of a classic histogram's buckets, parallel to `series`; undefined for anything else. */
  readonly bounds: readonly number[] | undefined
}

export interface Grouping {
  readonly groups: readonly Group[]
  /** Series that lack a `by` label and so belong to nobody; never counted into any group. */
  readonly unattributed: number
}

/** Sorts series into groups; done only when the selection changes, never on a tick. */
export function groupSeries(signal: Signal, selected: readonly Series[]): Grouping {
  const byKey = new Map<string, { labels: Labels; series: Series[] }>()
  let unattributed = 0
  for (const series of selected) {
    const labels = groupLabels(signal.combine.by, series.labels)
    if (labels === undefined) {
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
    bounds: histogramBounds(signal, series),
  }))
  return { groups, unattributed }
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
function histogramBounds(signal: Signal, series: readonly Series[]): number[] | undefined {
  if (signal.window.function !== 'quantile') return undefined
  if (!series.every((one) => one.kind !== 'gauge' && one.labels['le'] !== undefined))
    return undefined
  return series.map((one) => (one.labels['le'] === '+Inf' ? Infinity : Number(one.labels['le'])))
}
