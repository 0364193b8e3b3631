import type { Sample, SeriesName } from '../../model.ts'
import type { PushMeasurements, PushPoint } from '../../ports.ts'
import type { Told } from './collections.ts'
import { pointMistake, samplesOfPoint } from './points.ts'
import type { Failure, Limits, Process } from './process.ts'
import type { Streams } from './streams.ts'

/** What there is in an export. */
export interface Read {
  readonly samples: readonly Sample[]
  /** By reason. */
  readonly refused: Map<string, number>
  readonly taken: number
  /** What contradicts itself: nothing of the process is a number. */
  readonly quarrel: Failure | undefined
  /** Points that are what it contradicts itself by. */
  readonly contradicting: readonly PushPoint[]
}

interface Surroundings {
  readonly limits: Limits
  /** Series that the pod has beside those of the process. */
  readonly others: number
  readonly nowMs: number
  readonly heardMs: number
}

/** What of an export is new, and what cannot be taken. */
export function readExport(process: Process, told: PushMeasurements, around: Surroundings): Read {
  const { streams, collections } = process
  const { limits, nowMs, heardMs } = around
  const refused = new Map<string, number>()
  const samples: Sample[] = []
  const news: Told[] = []
  // Which time is known shows when all is read, for some streams tell of more of it than others.
  const covered = { fromMs: NaN, untilMs: NaN }
  const contradicting: PushPoint[] = []
  let quarrel: Failure | undefined
  let taken = 0
  streams.begin()
  for (const point of told.points.toSorted((a, b) => a.endMs - b.endMs)) {
    const mistake = pointMistake(point, nowMs, limits.maxAge)
    const outcome =
      mistake === undefined
        ? lookAt(streams, point, around)
        : { late: `${point.metric}: ${mistake}` }
    if (typeof outcome === 'object') {
      const message = 'quarrel' in outcome ? outcome.quarrel : outcome.late
      if ('quarrel' in outcome) {
        quarrel ??= { code: 'bad-response', message }
        contradicting.push(labelled(point, told))
      }
      refuse(refused, message, 1)
      continue
    }
    taken += 1
    streams.hear(point, heardMs)
    if (outcome === 'repeated') continue
    if (point.value === 'none') streams.end(point)
    else {
      const made = samplesOfPoint(labelled(point, told), limits.bucket, covered)
      const beforeMs = streams.take(point, seriesNames(made), heardMs)
      news.push({ ...point, beforeMs })
      for (const sample of made) samples.push(sample)
    }
  }
  Object.assign(covered, collections.add(news))
  return { samples, refused, taken, quarrel, contradicting }
}

export function refuse(refused: Map<string, number>, reason: string, count: number): void {
  if (count > 0) refused.set(reason, (refused.get(reason) ?? 0) + count)
}

function lookAt(
  streams: Streams,
  point: PushPoint,
  { others, limits: { seriesPerPod } }: Surroundings,
): ReturnType<Streams['look']> {
  const outcome = streams.look(point)
  if (outcome !== 'new' || streams.has(point)) return outcome
  return others + streams.size + seriesCount(point) > seriesPerPod
    ? { quarrel: `the pod has more than ${seriesPerPod} series (seriesPerPod)` }
    : outcome
}

function seriesNames(samples: readonly Sample[]): SeriesName[] {
  const names: SeriesName[] = []
  for (const { metric, labels } of samples) {
    const last = names.at(-1)
    if (last?.metric !== metric || last.labels !== labels) names.push({ metric, labels })
  }
  return names
}

function seriesCount({ value }: PushPoint): number {
  return typeof value === 'object' ? value.counts.length + 2 : 1
}

/** Whose it is was proved, and is not what the sender writes. Frozen labels are found quicker in the store. */
function labelled(point: PushPoint, { namespace, pod }: PushMeasurements): PushPoint {
  return { ...point, labels: Object.freeze({ ...point.labels, namespace, pod }) }
}
