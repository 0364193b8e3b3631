import type { Series } from '../model.ts'

/** Grows to the longest window seen and is never given out; saves an array for each series and tick. */
let scratch = new Float64Array(256)

/**
 * The q-quantile (0 to 1) of the values at [from, to), linear between the two nearest, as Prometheus's
 * `quantile_over_time`.
 */
export function quantileOver(series: Series, from: number, to: number, q: number): number {
  const n = to - from
  if (scratch.length < n) scratch = new Float64Array(2 * n)
  for (let i = 0; i < n; i++) scratch[i] = series.valueAt(from + i)
  const sorted = scratch.subarray(0, n).sort()
  const rank = q * (n - 1)
  const lower = Math.min(n - 1, Math.max(0, Math.floor(rank)))
  const upper = Math.min(n - 1, lower + 1)
  const weight = rank - Math.floor(rank)
  return (sorted[lower] as number) * (1 - weight) + (sorted[upper] as number) * weight
}
