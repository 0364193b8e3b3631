import type { Labels, Sample, SeriesName } from '../../model.ts'
import type { PushHistogram, PushPoint } from '../../ports.ts'
import { bucketEnds, spread } from './spread.ts'

const BOUNDS_MAX = 200
/** Sender and adapter may differ in time by this. */
export const AHEAD_MAX_MS = 3000

/** What is wrong with a point, with the mend; undefined where nothing is. */
export function pointMistake(
  point: PushPoint,
  nowMs: number,
  maxAgeMs: number,
): string | undefined {
  const { kind, value, startMs, endMs } = point
  if (endMs > nowMs + AHEAD_MAX_MS)
    return `its time is ${Math.round(endMs - nowMs)} ms from now: check the clocks`
  if (endMs < nowMs - maxAgeMs) return `it is older than ${maxAgeMs} ms`
  if (value === 'none') return undefined
  if (kind !== 'gauge' && startMs !== undefined && startMs > endMs)
    return 'it ends before it begins'
  if (kind === 'delta') {
    // Both may be one: clocks of libraries have milliseconds, and what was counted since counts.
    if (startMs === undefined) return 'a delta needs a start'
    if (startMs < nowMs - maxAgeMs) return `its interval begins more than ${maxAgeMs} ms ago`
  }
  return valueMistake(value, kind !== 'gauge')
}

function valueMistake(value: number | PushHistogram, counts: boolean): string | undefined {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return `its value is ${value}`
    return counts && value < 0 ? `it counts and is ${value}` : undefined
  }
  const { bounds, counts: each, sum } = value
  if (bounds.length > BOUNDS_MAX) return `${bounds.length} bounds, at most ${BOUNDS_MAX}`
  if (!bounds.every((bound, at) => bound > (bounds[at - 1] ?? -Infinity) && bound < Infinity))
    return 'its bounds are not finite and rising'
  if (!each.every((one) => Number.isFinite(one) && one >= 0)) return 'a bucket is no count'
  return sum === undefined || Number.isFinite(sum) ? undefined : `its sum is ${sum}`
}

/** What is written for a point that is right and new. A delta is laid into steps, as reports are. */
export function samplesOfPoint(
  point: PushPoint,
  bucketMs: number,
  covered: NonNullable<Sample['covered']>,
): Sample[] {
  const { kind, startMs, endMs } = point
  if (kind !== 'delta') {
    const at = { kind, timestampMs: Math.floor(endMs) }
    // A level has no beginning that matters to it.
    const told = kind === 'cumulative' && startMs !== undefined
    const start = told ? { startMs: Math.floor(startMs) } : {}
    return partsOf(point, (amount) => [amount]).map(({ values: [value = NaN], ...part }) => ({
      ...{ ...part, ...at, ...start, value },
    }))
  }
  const interval = { startMs: startMs ?? endMs, endMs }
  const ends = bucketEnds(interval, bucketMs)
  const parts = partsOf(point, (amount) => spread(amount, interval, ends))
  return parts.flatMap(({ values, ...part }) =>
    values.map((value, index): Sample => {
      const timestampMs = ends[index] ?? NaN
      const at = { timestampMs, startMs: timestampMs - bucketMs }
      return { ...part, kind, value, ...at, covered }
    }),
  )
}

/** What a point is stored as. */
export function seriesOf(point: PushPoint): readonly SeriesName[] {
  return partsOf(point, () => []).map(({ metric, labels }) => ({ metric, labels }))
}

interface Part {
  readonly metric: string
  readonly labels: Labels
  /** By step. */
  readonly values: readonly number[]
}

/** A histogram's buckets as Prometheus counts them: each with all below it. */
function partsOf({ metric, labels, value }: PushPoint, lay: (amount: number) => number[]): Part[] {
  if (value === 'none') return []
  if (typeof value === 'number') return [{ metric, labels, values: lay(value) }]
  // Each bucket is laid by itself and then added up, so that no bucket falls below the one under it.
  let below: readonly number[] = []
  const buckets = value.counts.map((count, index): Part => {
    below = lay(count).map((part, step) => part + (below[step] ?? 0))
    const bound = value.bounds[index]
    const le = bound === undefined ? '+Inf' : String(bound)
    return { metric: `${metric}_bucket`, labels: Object.freeze({ ...labels, le }), values: below }
  })
  const { sum } = value
  const sums = sum === undefined ? [] : [{ metric: `${metric}_sum`, labels, values: lay(sum) }]
  return [...buckets, ...sums, { metric: `${metric}_count`, labels, values: below }]
}
