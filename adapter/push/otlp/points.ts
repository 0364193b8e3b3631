/** OTLP's metrics as points of streams. */
import type { Labels, SampleKind } from '../../../src/model.ts'
import type { PushPoint } from '../../../src/ports.ts'
import type { Attribute, HistogramPoint, Metric, NumberPoint, Point } from './messages.ts'
import type { ResourceMetrics } from './messages.ts'
import { labelName, metricName } from './names.ts'

/** Why points are not taken, and how many. */
export type Rejections = Map<string, number>

/** What a resource says of whose the metrics are; empty where it says nothing. */
export interface Sender {
  readonly namespace: string
  readonly pod: string
  readonly service: string
  readonly process: string
}

/**
 * An instance is known by the first two together (OpenTelemetry's semantic conventions). Containers and workers may have
 * one id, or none, and many SDKs tell the others by themselves.
 */
const PROCESS = [
  ['service.name', ''],
  ['service.instance.id', ''],
  ['k8s.container.name', 'container '],
  ['process.pid', 'pid '],
] as const

export function senderOf({ resource }: ResourceMetrics): Sender {
  const said = (key: string) =>
    textOf(resource?.attributes.find((one) => one.key === key)?.value) ?? ''
  const service = said('service.name')
  return {
    namespace: said('k8s.namespace.name'),
    pod: said('k8s.pod.name'),
    service,
    process: PROCESS.flatMap(([key, name]) =>
      said(key) === '' ? [] : [`${name}${said(key)}`],
    ).join('/'),
  }
}

/** The points of a resource, and in `rejected` those that can be no points of ours. */
export function pointsOf(
  { scopeMetrics }: ResourceMetrics,
  service: string,
  rejected: Rejections,
): PushPoint[] {
  return scopeMetrics.flatMap(({ scope, metrics }) =>
    metrics.flatMap((metric) => {
      // As Prometheus's exporters of OpenTelemetry name them: two libraries may each have a metric of one name.
      const common = {
        service,
        otel_scope_name: scope?.name ?? '',
        otel_scope_version: scope?.version ?? '',
      }
      const read = streamOf(metric)
      // A name is in each of its points' reasons, and there may be 20,000.
      const shown = metric.name.slice(0, NAME_MAX)
      if (typeof read === 'string') {
        count(rejected, `${shown}: ${read}`, pointCount(metric))
        return []
      }
      const stream = `${metric.name} (${metric.unit})`
      return read.points.flatMap((point): PushPoint[] => {
        const made = pointOf(point, common, read.kind)
        if (typeof made !== 'string') return [{ metric: read.name, stream, ...made }]
        count(rejected, `${shown}: ${made}`, 1)
        return []
      })
    }),
  )
}

export function count(rejected: Rejections, reason: string, by: number): void {
  if (by > 0) rejected.set(reason, (rejected.get(reason) ?? 0) + by)
}

/** Points of a request, of whatever kind; what is refused is counted in these. */
export function pointCount(metric: Metric): number {
  const { gauge, sum, histogram, exponentialHistogram, summary } = metric
  const data = gauge ?? sum ?? histogram ?? exponentialHistogram ?? summary
  return data?.dataPoints.length ?? 0
}

interface Stream {
  readonly name: string
  readonly kind: SampleKind
  readonly points: readonly (NumberPoint | HistogramPoint)[]
}

/** OpenTelemetry's instruments have no longer ones. */
const NAME_MAX = 255 + 63

const KINDS: readonly (SampleKind | undefined)[] = [undefined, 'delta', 'cumulative']

/** What a metric's points are, or why they cannot be taken. */
function streamOf({ name, unit, gauge, sum, histogram, data }: Metric): Stream | string {
  if (!/[a-zA-Z0-9:]/.test(name)) return 'a metric without a name'
  if (name.length + unit.length > NAME_MAX)
    return `its name and unit have more than ${NAME_MAX} characters`
  if (gauge !== undefined)
    return { name: metricName(name, unit, 'gauge'), kind: 'gauge', points: gauge.dataPoints }
  const either = sum ?? histogram
  if (either === undefined)
    return `kind ${data ?? 'unknown'} is not taken: ${MEND[data ?? ''] ?? ''}`
  const kind = KINDS[either.aggregationTemporality]
  if (kind === undefined) return 'its temporality is not told: cumulative or delta'
  if (histogram !== undefined)
    return { name: metricName(name, unit, 'other'), kind, points: histogram.dataPoints }
  if (sum?.isMonotonic === true)
    return { name: metricName(name, unit, 'counter'), kind, points: sum.dataPoints }
  // Goes up and down: what it is now is told by its sum since the start alone.
  if (kind === 'delta') return 'a sum that may fall is taken as cumulative only, not as delta'
  return { name: metricName(name, unit, 'other'), kind: 'gauge', points: sum?.dataPoints ?? [] }
}

const MEND: Readonly<Record<string, string>> = {
  exponentialHistogram: 'use explicit buckets',
  summary: 'use a histogram',
  '': 'use a gauge, a sum or a histogram',
}

type Made = Omit<PushPoint, 'metric' | 'stream'>

function pointOf(
  point: NumberPoint | HistogramPoint,
  common: Labels,
  kind: SampleKind,
): Made | string {
  const labels = labelsOf(point, common)
  if (typeof labels === 'string') return labels
  const endMs = milliseconds(point.timeUnixNano)
  if (endMs === undefined) return 'time_unix_nano is missing'
  const value = valueOf(point)
  if (typeof value === 'object' && 'mistake' in value) return value.mistake
  const startMs = milliseconds(point.startTimeUnixNano)
  return { labels, kind, value, endMs, ...(startMs === undefined ? {} : { startMs }) }
}

const NO_RECORDED_VALUE = 1

function valueOf(
  point: NumberPoint | HistogramPoint,
): PushPoint['value'] | { readonly mistake: string } {
  if ((point.flags & NO_RECORDED_VALUE) !== 0) return 'none'
  if (!('bucketCounts' in point)) {
    const value = point.asDouble ?? (point.asInt === undefined ? undefined : Number(point.asInt))
    return value ?? { mistake: 'a point without a value' }
  }
  const { explicitBounds: bounds, bucketCounts, count: total, sum } = point
  // Without buckets there is one, which holds all.
  const counts = bucketCounts.length === 0 ? [Number(total)] : bucketCounts.map(Number)
  if (counts.length !== bounds.length + 1)
    return { mistake: `${bounds.length} bounds have ${counts.length} buckets, not one more` }
  if (counts.reduce((all, one) => all + one, 0) !== Number(total))
    return { mistake: 'its buckets do not add up to its count' }
  return { bounds, counts, ...(sum === undefined ? {} : { sum }) }
}

/** Microseconds are kept: they tell one interval from the next. */
function milliseconds(nanoseconds: string): number | undefined {
  const ms = Number(BigInt(nanoseconds) / 1000n) / 1000
  return ms > 0 ? ms : undefined
}

/** Labels that say whose a series is; what a point says of them itself is kept beside, as Prometheus does. */
const OWN = new Set(['namespace', 'pod', 'service', 'otel_scope_name', 'otel_scope_version'])

/** What the store takes, less the labels that are added to a point's own. */
const ATTRIBUTES_MAX = 58
const TEXT_MAX = 1024
/** Of what each point of a scope has. */
const COMMON_TEXT_MAX = 256
/** Of a key, in a reason. */
const SHOWN_MAX = 80

function labelsOf({ attributes }: Point, common: Labels): Labels | string {
  if (attributes.length > ATTRIBUTES_MAX) return `more than ${ATTRIBUTES_MAX} attributes`
  if (Object.values(common).some((text) => text.length > COMMON_TEXT_MAX))
    return `its service or scope has a name of more than ${COMMON_TEXT_MAX} characters`
  const labels = new Map(Object.entries(common).filter(([, value]) => value !== ''))
  for (const { key, value } of attributes) {
    const shown = JSON.stringify(key.slice(0, SHOWN_MAX))
    const text = textOf(value)
    if (text === undefined) return `attribute ${shown} is no text, number or boolean`
    if (key === '') return 'an attribute without a name'
    const plain = labelName(key)
    const name = OWN.has(plain) ? `exported_${plain}` : plain
    if (name.length > TEXT_MAX || text.length > TEXT_MAX)
      return `attribute ${shown} has more than ${TEXT_MAX} characters`
    if (labels.has(name)) return `two attributes are the label ${name}`
    if (name === 'le') return 'the label le belongs to histograms'
    if (text !== '') labels.set(name, text)
  }
  return Object.fromEntries([...labels].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function textOf(value: Attribute['value'] | undefined): string | undefined {
  const { stringValue, boolValue, intValue, doubleValue } = value ?? {}
  const scalar = stringValue ?? boolValue ?? intValue ?? doubleValue
  if (scalar !== undefined) return String(scalar)
  return value?.value === undefined ? '' : undefined
}
