/** What the series of one group come to at one tick. */
import type { Series, Signal, Why } from '../model.ts'
import type { Group, MeanParts } from './groups.ts'
import { combine } from '../series/combine.ts'
import { histogramQuantile } from '../series/histogram.ts'
import { evaluateCollected } from './collected.ts'

export interface Observed {
  /** Undefined where there is no data, or nothing was observed that a quantile or a mean could be of. */
  readonly value: number | undefined
  /** Time of the oldest point the value stands on. */
  readonly dataMs: number
  readonly counts: Why['series']
  /** Sums that lack their count, and the other way round: one without the other says nothing. */
  readonly alone: number
}

/** How far the clock of an origin may be ahead of ours before its data is of no known time. */
const AHEAD_MAX_MS = 5000

export function isStale(series: Series, signal: Signal, nowMs: number): boolean {
  const ageMs = nowMs - series.lastMs
  return ageMs > signal.freshForMs || ageMs < -AHEAD_MAX_MS
}

/** Reused for each group so that a tick over thousands of series allocates nothing for their values. */
let values = new Float64Array(256)

export function observe(signal: Signal, group: Group, nowMs: number): Observed {
  const { series, bounds, mean } = group
  if (mean !== undefined) return observeMean(signal, mean, nowMs)
  const window = bounds === undefined ? signal.window : rateOver(signal)
  if (values.length < series.length) values = new Float64Array(series.length * 2)
  const buckets: { le: number; value: number }[] = []
  const counts = { fresh: 0, stale: 0, warmingUp: 0 }
  let dataMs = Infinity
  for (let index = 0; index < series.length; index++) {
    const one = series[index]
    if (one === undefined) continue
    if (isStale(one, signal, nowMs)) {
      counts.stale += 1
      continue
    }
    const result = evaluateCollected(one, window)
    if (result.state !== 'value') {
      counts.warmingUp += 1
      continue
    }
    values[counts.fresh] = result.value
    counts.fresh += 1
    if (result.dataMs < dataMs) dataMs = result.dataMs
    if (bounds !== undefined) buckets.push({ le: bounds[index] ?? NaN, value: result.value })
  }
  if (counts.fresh === 0) return { value: undefined, dataMs: NaN, counts, alone: 0 }
  const value =
    bounds === undefined
      ? combine(signal.combine.function, values, counts.fresh)
      : histogramQuantile(signal.window.quantile, mergeBuckets(buckets))
  return { value, dataMs, counts, alone: 0 }
}

/** Sums and counts, and buckets, are counters: what they grew by in the window is what was observed in it. */
function rateOver({ window }: Signal): Signal['window'] {
  return { ...window, function: 'rate' }
}

/** A sum and its count are one: where either is stale or too young, both are. */
function observeMean(signal: Signal, { pairs, alone }: MeanParts, nowMs: number): Observed {
  const window = rateOver(signal)
  const counts = { fresh: 0, stale: 0, warmingUp: 0 }
  let dataMs = Infinity
  let sum = 0
  let count = 0
  for (const pair of pairs) {
    if (isStale(pair.sum, signal, nowMs) || isStale(pair.count, signal, nowMs)) {
      counts.stale += 2
      continue
    }
    const summed = evaluateCollected(pair.sum, window)
    const counted = evaluateCollected(pair.count, window)
    if (summed.state !== 'value' || counted.state !== 'value') {
      counts.warmingUp += 2
      continue
    }
    counts.fresh += 2
    sum += summed.value
    count += counted.value
    dataMs = Math.min(dataMs, summed.dataMs, counted.dataMs)
  }
  let unpaired = 0
  for (const one of alone) {
    if (isStale(one, signal, nowMs)) {
      counts.stale += 1
      continue
    }
    unpaired += 1
    counts.fresh += 1
    dataMs = Math.min(dataMs, one.lastMs)
  }
  const value = count > 0 && unpaired === 0 ? sum / count : undefined
  return { value, dataMs: counts.fresh === 0 ? NaN : dataMs, counts, alone: unpaired }
}

/** Buckets of several pods with one upper bound are one bucket of the fleet. */
function mergeBuckets(
  buckets: readonly { le: number; value: number }[],
): { le: number; value: number }[] {
  const merged = new Map<number, number>()
  for (const { le, value } of buckets) merged.set(le, (merged.get(le) ?? 0) + value)
  return [...merged].map(([le, value]) => ({ le, value })).toSorted((a, b) => a.le - b.le)
}
