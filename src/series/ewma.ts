import type { Series } from '../model.ts'
import { stepIncrease } from './rate.ts'

/** Buckets are (k × 5 s, (k + 1) × 5 s] since 1970, so that every replica cuts time alike. */
const EWMA_BUCKET_MS = 5000
const EWMA_ALPHA = 0.2

export interface Ewma {
  readonly value: number
  /** What the value is true of: the newest point, or the end of the last whole bucket if that is earlier. */
  readonly dataMs: number
}

/**
 * e(k) = α · x(k) + (1 − α) · e(k − 1) over the whole buckets of the window (fromMs, nowMs], e of the first
 * being its x. A bucket's x is
 * - `gauge`: the mean of its points; a bucket between points repeats the one before, as a level stays until
 *   it is read again. Nothing is repeated after the newest point.
 * - `cumulative`: growth per second, linear between points, restarts as in `rate`.
 * - `delta`: count per second, spread evenly from start to end of the interval where it tells its start; a
 *   bucket without any is 0, up to now.
 * Undefined while no bucket is whole. Points are those at [from, to), at least one.
 */
export function ewmaOver(
  series: Series,
  from: number,
  to: number,
  edges: { readonly fromMs: number; readonly nowMs: number },
): Ewma | undefined {
  if (series.kind === 'gauge') return ewmaOfLevel(series, from, to, edges)
  return series.kind === 'delta'
    ? ewmaOfDeltas(series, from, to, edges)
    : ewmaOfCounter(series, from, to)
}

function ewmaOfLevel(
  series: Series,
  from: number,
  to: number,
  edges: { readonly fromMs: number; readonly nowMs: number },
): Ewma | undefined {
  const firstBucket = Math.ceil(edges.fromMs / EWMA_BUCKET_MS)
  const endBucket = Math.floor(edges.nowMs / EWMA_BUCKET_MS)
  let smoothed = NaN
  let level = NaN
  let bucket = firstBucket
  let index = from
  while (index < to && bucketOf(series.timeAt(index)) < firstBucket) index += 1
  let dataMs = NaN
  while (index < to && bucketOf(series.timeAt(index)) < endBucket) {
    const filled = bucketOf(series.timeAt(index))
    for (; bucket < filled; bucket++) smoothed = smooth(smoothed, level)
    let sum = 0
    let count = 0
    for (; index < to && bucketOf(series.timeAt(index)) === filled; index++) {
      sum += series.valueAt(index)
      count += 1
      dataMs = series.timeAt(index)
    }
    level = sum / count
    smoothed = smooth(smoothed, level)
    bucket = filled + 1
  }
  return Number.isNaN(smoothed) ? undefined : { value: smoothed, dataMs }
}

function ewmaOfCounter(series: Series, from: number, to: number): Ewma | undefined {
  const lastMs = series.timeAt(to - 1)
  const buckets = new RateBuckets(series.timeAt(from), lastMs)
  for (let i = from + 1; i < to; i++)
    buckets.add(series.timeAt(i - 1), series.timeAt(i), stepIncrease(series, i))
  return buckets.result(Math.min(lastMs, buckets.endMs))
}

function ewmaOfDeltas(
  series: Series,
  from: number,
  to: number,
  edges: { readonly fromMs: number; readonly nowMs: number },
): Ewma | undefined {
  // A series that is older than the window was silent at its beginning; a younger one was not there yet.
  const beganMs = startOfDelta(series, 0)
  const wholeBeganMs = Math.floor(beganMs / EWMA_BUCKET_MS) * EWMA_BUCKET_MS
  const buckets = new RateBuckets(Math.max(edges.fromMs, wholeBeganMs), edges.nowMs)
  let coveredMs = -Infinity
  for (let i = from; i < to; i++) {
    const endMs = series.timeAt(i)
    buckets.add(Math.max(startOfDelta(series, i), coveredMs), endMs, series.valueAt(i))
    coveredMs = endMs
  }
  return buckets.result(Math.min(coveredMs, buckets.endMs))
}

/** Where no start is told, the count is taken to have come within the last millisecond. */
function startOfDelta(series: Series, index: number): number {
  const endMs = series.timeAt(index)
  const startMs = series.startAt(index)
  return startMs < endMs ? startMs : endMs - 1
}

/** Cuts amounts, given in time order, into whole buckets and smooths them as they fill. */
class RateBuckets {
  readonly #end: number
  #bucket: number
  #amount = 0
  #smoothed = NaN

  constructor(fromMs: number, toMs: number) {
    this.#bucket = Math.ceil(fromMs / EWMA_BUCKET_MS)
    this.#end = Math.floor(toMs / EWMA_BUCKET_MS)
  }

  /** Where the last whole bucket ends. */
  get endMs(): number {
    return this.#end * EWMA_BUCKET_MS
  }

  /** `amount` came evenly between the two times; what lies outside the whole buckets is left out. */
  add(fromMs: number, toMs: number, amount: number): void {
    const perMs = amount / (toMs - fromMs)
    let atMs = Math.max(fromMs, this.#bucket * EWMA_BUCKET_MS)
    while (atMs < toMs && this.#bucket < this.#end) {
      const bucketEndMs = (this.#bucket + 1) * EWMA_BUCKET_MS
      const partEndMs = Math.min(toMs, bucketEndMs)
      if (partEndMs > atMs) this.#amount += perMs * (partEndMs - atMs)
      atMs = Math.max(atMs, partEndMs)
      if (atMs >= bucketEndMs) this.#close()
    }
  }

  result(dataMs: number): Ewma | undefined {
    while (this.#bucket < this.#end) this.#close()
    return Number.isNaN(this.#smoothed) ? undefined : { value: this.#smoothed, dataMs }
  }

  #close(): void {
    this.#smoothed = smooth(this.#smoothed, (this.#amount * 1000) / EWMA_BUCKET_MS)
    this.#amount = 0
    this.#bucket += 1
  }
}

function bucketOf(ms: number): number {
  return Math.ceil(ms / EWMA_BUCKET_MS) - 1
}

/** NaN stands for "no bucket yet", before the first and for a level not yet known. */
function smooth(smoothed: number, next: number): number {
  if (Number.isNaN(smoothed)) return next
  return smoothed + EWMA_ALPHA * (next - smoothed)
}
