/** What the series of one group come to at one tick. */
import type { Series, Signal, Why } from '../model.ts'
import type { Group, HistogramPart, MeanParts } from './groups.ts'
import { combine } from '../series/combine.ts'
import { histogramQuantile } from '../series/histogram.ts'
import { evaluateCollected } from './collected.ts'

export interface Observed {
  /** Undefined where there is no data, or nothing was observed that a quantile or a mean could be of. */
  readonly value: number | undefined
  /** Time of the oldest point the value stands on. */
  readonly dataMs: number
  readonly counts: Why['series']
  /** Of those that warm up how many do so again, as what they told was lost on the way. */
  readonly interrupted: number
  /** Why series that are there cannot be made into a value. */
  readonly flaw?: string
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
  const { series, histograms, mean } = group
  if (mean !== undefined) return observeMean(signal, mean, nowMs)
  if (histograms !== undefined) return observeQuantile(signal, histograms, nowMs)
  if (values.length < series.length) values = new Float64Array(series.length * 2)
  const counts = { fresh: 0, stale: 0, warmingUp: 0 }
  let interrupted = 0
  let dataMs = Infinity
  for (const one of series) {
    if (isStale(one, signal, nowMs)) {
      counts.stale += 1
      continue
    }
    const result = evaluateCollected(one, signal.window)
    if (result.state !== 'value') {
      counts.warmingUp += 1
      if (result.state === 'interrupted') interrupted += 1
      continue
    }
    values[counts.fresh] = result.value
    counts.fresh += 1
    if (result.dataMs < dataMs) dataMs = result.dataMs
  }
  if (counts.fresh === 0) return { value: undefined, dataMs: NaN, counts, interrupted }
  const value = combine(signal.combine.function, values, counts.fresh)
  return { value, dataMs, counts, interrupted }
}

/** Sums and counts, and buckets, are counters: what they grew by in the window is what was observed in it. */
function rateOver({ window }: Signal): Signal['window'] {
  return { ...window, function: 'rate' }
}

/** A sum and its count are one: where either is stale or too young, both are. */
function observeMean(signal: Signal, { pairs, alone }: MeanParts, nowMs: number): Observed {
  const window = rateOver(signal)
  const counts = { fresh: 0, stale: 0, warmingUp: 0 }
  let interrupted = 0
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
      if (summed.state === 'interrupted' || counted.state === 'interrupted') interrupted += 2
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
  const seen = { dataMs: counts.fresh === 0 ? NaN : dataMs, counts, interrupted }
  const { metric } = signal.selection
  if (unpaired > 0) {
    const flaw = `${unpaired} series of ${metric} lack the _sum or _count that belongs to them`
    return { value: undefined, ...seen, flaw }
  }
  return { value: count > 0 ? sum / count : undefined, ...seen }
}

/**
 * A histogram is one: where a bucket is stale or too young, all are. Those of several pods are added up at the
 * bounds that all of them have; a bound that one lacks would count none of its observations.
 */
function observeQuantile(
  signal: Signal,
  histograms: readonly HistogramPart[],
  nowMs: number,
): Observed {
  const window = rateOver(signal)
  const counts = { fresh: 0, stale: 0, warmingUp: 0 }
  const merged = new Map<number, { value: number; parts: number }>()
  let interrupted = 0
  let dataMs = Infinity
  let parts = 0
  for (const buckets of histograms) {
    if (buckets.some(({ series }) => isStale(series, signal, nowMs))) {
      counts.stale += buckets.length
      continue
    }
    const results = buckets.map(({ series }) => evaluateCollected(series, window))
    if (results.some(({ state }) => state !== 'value')) {
      counts.warmingUp += buckets.length
      if (results.some(({ state }) => state === 'interrupted')) interrupted += buckets.length
      continue
    }
    counts.fresh += buckets.length
    parts += 1
    for (const [at, result] of results.entries()) {
      if (result.state !== 'value') continue
      const le = buckets[at]?.le ?? NaN
      const { value, parts: before } = merged.get(le) ?? { value: 0, parts: 0 }
      merged.set(le, { value: value + result.value, parts: before + 1 })
      dataMs = Math.min(dataMs, result.dataMs)
    }
  }
  if (counts.fresh === 0) return { value: undefined, dataMs: NaN, counts, interrupted }
  const common = [...merged].filter(([, bucket]) => bucket.parts === parts)
  const shared = common.map(([le, { value }]) => ({ le, value }))
  const flaw =
    shared.length < 2 || !shared.some(({ le }) => le === Infinity)
      ? { flaw: `the histograms of ${signal.selection.metric} do not share +Inf and another bound` }
      : {}
  const value = histogramQuantile(signal.window.quantile, shared)
  return { value, dataMs, counts, interrupted, ...flaw }
}
