import type { Sample } from '../model.ts'
import type { RingSeries } from './ring.ts'

/** `repeated`: the point was there already and is not stored twice; the sample still counts as taken. */
export type Outcome = 'stored' | 'stored-over-oldest' | 'repeated' | 'out-of-order' | 'too-old'

/**
 * Puts a sample that is finite and of a lawful time into its series.
 *
 * Points of a level or a counter come in time order. One that repeats the newest point's time and value (an
 * exporter that stamps its samples, scraped twice) says nothing new and is no fault; any other at or before
 * the newest is out of order.
 */
export function accept(series: RingSeries, sample: Sample): Outcome {
  const startMs = sample.startMs ?? NaN
  const { timestampMs, value } = sample
  if (timestampMs > series.lastMs)
    return series.append(timestampMs, value, startMs) ? 'stored-over-oldest' : 'stored'
  if (series.kind === 'delta') return correct(series, sample, startMs)
  const repeated = timestampMs === series.lastMs && value === series.valueAt(series.length - 1)
  return repeated ? 'repeated' : 'out-of-order'
}

/**
 * A late delta corrects history: it is added to the bucket that ends when it ends, or put between others
 * where that bucket has been empty. It is out of order if a bucket with the same end began at another
 * time, and too old if the ring is full and only the oldest could give way to something older still.
 * A delta is an increment: one that is delivered twice is counted twice.
 */
function correct(series: RingSeries, sample: Sample, startMs: number): Outcome {
  const after = series.firstAfter(sample.timestampMs)
  if (after > 0 && series.timeAt(after - 1) === sample.timestampMs) {
    if (!Object.is(series.startAt(after - 1), startMs)) return 'out-of-order'
    series.add(after - 1, sample.value)
    return 'stored'
  }
  if (after === 0 && series.full) return 'too-old'
  return series.insert(after, sample.timestampMs, sample.value, startMs)
    ? 'stored-over-oldest'
    : 'stored'
}
