/** A bucket of a classic histogram: how many (or how many a second) were at most `le`. */
export interface Bucket {
  readonly le: number
  readonly value: number
}

/** Counts this close, relative to their size, are one count that was rounded twice. */
const SAME_COUNT = 1e-12

/**
 * The q-quantile of a classic histogram as Prometheus's `histogram_quantile` estimates it: linear within
 * the bucket it falls into, the lowest bucket beginning at zero if its bound is positive, the largest
 * finite bound if it falls into the bucket without one. A count that falls from one bucket to the next
 * (buckets read at different times) is raised to the one before it.
 *
 * Undefined where Prometheus says NaN: no observations, no `+Inf` bucket, fewer than two buckets.
 * `q` is 0 to 1.
 */
export function histogramQuantile(q: number, buckets: readonly Bucket[]): number | undefined {
  const rising = risingBuckets(buckets)
  const last = rising.length - 1
  const top = rising[last]
  const beforeTop = rising[last - 1]
  if (top === undefined || beforeTop === undefined || top.le !== Infinity) return undefined
  if (!(top.value > 0) || !(q >= 0 && q <= 1)) return undefined

  const rank = q * top.value
  const index = rising.findIndex((bucket) => bucket.value >= rank)
  const found = rising[index]
  if (found === undefined || index === last) return beforeTop.le
  const before = rising[index - 1]
  if (before === undefined && found.le <= 0) return found.le

  const from = before?.le ?? 0
  const below = before?.value ?? 0
  const value = from + (found.le - from) * ((rank - below) / (found.value - below))
  return Number.isFinite(value) ? value : undefined
}

/** Sorted by bound, one bucket for each bound (equal bounds are added), counts never falling. */
function risingBuckets(buckets: readonly Bucket[]): { le: number; value: number }[] {
  const sorted = buckets.map(({ le, value }) => ({ le, value })).sort((a, b) => byBound(a.le, b.le))
  const merged: { le: number; value: number }[] = []
  for (const bucket of sorted) {
    const previous = merged.at(-1)
    if (previous !== undefined && previous.le === bucket.le) previous.value += bucket.value
    else merged.push(bucket)
  }
  let highest = merged[0]?.value ?? 0
  for (const bucket of merged) {
    if (bucket.value < highest || nearlyEqual(bucket.value, highest)) bucket.value = highest
    highest = bucket.value
  }
  return merged
}

/** Infinity minus Infinity is no number, so bounds are compared, not subtracted. */
function byBound(a: number, b: number): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function nearlyEqual(a: number, b: number): boolean {
  return Math.abs(a - b) < SAME_COUNT * Math.max(Math.abs(a), Math.abs(b))
}
