import type { Series } from '../model.ts'

/** A gap to the window's edge longer than this many mean intervals means that the series began or ended. */
const GAP_INTERVALS_MAX = 1.1

/**
 * How much a counter grew over the window (fromMs, nowMs], told from its points at [from, to), of which there
 * are at least two: Prometheus's `increase()` of version 2.52 and later.
 *
 *            fromMs                                              nowMs
 *              │ · · · first ───────── sampled ───────── last · · · │
 *              ╰─ toStart ─╯                                 ╰ toEnd ╯
 *
 * What grew between the first and the last point is stretched to the window's edges; where an edge is
 * further away than points usually are apart, the series is taken to have begun (or ended) half an interval
 * outside its points; and never to before the moment at which a straight line would have been zero.
 *
 * A value below the one before it is a restart from zero. So is a start time other than the one before,
 * even where the new counter has already passed the old one.
 */
export function counterIncrease(
  series: Series,
  from: number,
  to: number,
  edges: { readonly fromMs: number; readonly nowMs: number },
): number {
  const firstMs = series.timeAt(from)
  const lastMs = series.timeAt(to - 1)
  const firstValue = series.valueAt(from)
  const grown = grownOver(series, from, to)

  const sampledMs = lastMs - firstMs
  const intervalMs = sampledMs / (to - from - 1)
  let toStartMs = extrapolatedMs(firstMs - edges.fromMs, intervalMs)
  if (grown > 0 && firstValue >= 0)
    toStartMs = Math.min(toStartMs, sampledMs * (firstValue / grown))
  const toEndMs = extrapolatedMs(edges.nowMs - lastMs, intervalMs)

  return grown * ((sampledMs + toStartMs + toEndMs) / sampledMs)
}

function extrapolatedMs(gapMs: number, intervalMs: number): number {
  return gapMs < intervalMs * GAP_INTERVALS_MAX ? gapMs : intervalMs / 2
}

/** Last less first, and what each restart lost, added in Prometheus's order so that both round alike. */
function grownOver(series: Series, from: number, to: number): number {
  const startsMatter = series.kind === 'cumulative'
  let previous = series.valueAt(from)
  let grown = series.valueAt(to - 1) - previous
  for (let i = from + 1; i < to; i++) {
    const value = series.valueAt(i)
    if (value < previous || (startsMatter && startChanged(series, i))) grown += previous
    previous = value
  }
  return grown
}

/** False where either point does not tell its start. */
function startChanged(series: Series, index: number): boolean {
  const start = series.startAt(index)
  const before = series.startAt(index - 1)
  return start !== before && !Number.isNaN(start) && !Number.isNaN(before)
}

/** What a counter grew from one point to the next: all of the new value after a restart. */
export function stepIncrease(series: Series, index: number): number {
  const value = series.valueAt(index)
  const before = series.valueAt(index - 1)
  const restarted = value < before || (series.kind === 'cumulative' && startChanged(series, index))
  return restarted ? value : value - before
}
