import type { Labels, Sample, SampleKind, Series } from '../../src/model.ts'
import { RingSeries } from '../../src/series/ring.ts'
import type { SeriesStoreLimits } from '../../src/series/store.ts'

export const LIMITS: SeriesStoreLimits = {
  seriesMax: 100,
  pointsPerSeriesMax: 50,
  historyMs: 600_000,
  futureToleranceMs: 5000,
  labelsMax: 4,
  labelLengthMax: 32,
}

/** [time in seconds, value, start in seconds] */
export type Point = readonly [number, number, number?]

/** A series made of points, for tests of what reads one. */
export function line(kind: SampleKind, points: readonly Point[]): Series {
  const identity = { source: 's', origin: 'o', metric: 'm', labels: {}, kind }
  const series = new RingSeries(identity, 'key', Math.max(2, points.length))
  for (const [second, value, start] of points)
    series.append(second * 1000, value, start === undefined ? NaN : start * 1000)
  return series
}

export function pointsOf(series: Series): [number, number][] {
  return Array.from({ length: series.length }, (_, i) => [series.timeAt(i), series.valueAt(i)])
}

export function sample(
  metric: string,
  timestampMs: number,
  value: number,
  more: { labels?: Labels; kind?: SampleKind; startMs?: number } = {},
): Sample {
  return { metric, timestampMs, value, labels: {}, kind: 'gauge', ...more }
}
