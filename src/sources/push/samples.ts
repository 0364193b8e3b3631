import type { Labels, Sample } from '../../model.ts'
import type { PushCounts, PushReport } from '../../ports.ts'
import { bucketEnds, spread } from './spread.ts'

/**
 * A report's samples, all `delta`: `inference_requests`, `inference_errors` and, where there is a latency,
 * `inference_latency_seconds_bucket{le}`, `_sum` and `_count`, with the labels namespace, pod, service, model
 * and version.
 */
export function samplesOf(
  report: PushReport,
  bucketMs: number,
  covered: NonNullable<Sample['covered']>,
): Sample[] {
  const ends = bucketEnds(report, bucketMs)
  return report.counts.flatMap((counts) => {
    const labels = labelsOf(report, counts)
    const laid: [string, Labels, readonly number[]][] = [
      ['inference_requests', labels, spread(counts.requests, report, ends)],
      ['inference_errors', labels, spread(counts.errors, report, ends)],
      ...latencySeries(counts, labels, (amount) => spread(amount, report, ends)),
    ]
    return laid.flatMap(([metric, own, values]) =>
      values.map((value, index): Sample => {
        const timestampMs = ends[index] ?? NaN
        const startMs = timestampMs - bucketMs
        return { metric, labels: own, kind: 'delta', value, timestampMs, startMs, covered }
      }),
    )
  })
}

/** Series that a report names. */
export function seriesCount({ counts }: PushReport): number {
  return counts.reduce((sum, { latency }) => sum + 2 + (latency?.counts.length ?? -2) + 2, 0)
}

function labelsOf({ namespace, pod, service }: PushReport, { model, version }: PushCounts): Labels {
  const all = { namespace, pod, service, model, version }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''))
}

function latencySeries(
  { latency }: PushCounts,
  labels: Labels,
  lay: (amount: number) => number[],
): [string, Labels, readonly number[]][] {
  if (latency === undefined) return []
  const { bounds, counts, sumSeconds } = latency
  // Each bucket is laid by itself and then added up, so that no bucket falls below the one under it.
  let below: readonly number[] = []
  const buckets = counts.map((count, index): [string, Labels, readonly number[]] => {
    below = lay(count).map((part, at) => part + (below[at] ?? 0))
    const bound = bounds[index]
    const le = bound === undefined ? '+Inf' : String(bound)
    return ['inference_latency_seconds_bucket', { ...labels, le }, below]
  })
  return [
    ...buckets,
    ['inference_latency_seconds_sum', labels, lay(sumSeconds)],
    ['inference_latency_seconds_count', labels, below],
  ]
}
