import { TidelineError } from '../errors.ts'
import type { FailureCode, Labels, Sample } from '../model.ts'
import { okBody } from './http.ts'
import type { HttpAnswer } from './http.ts'
import type { PrometheusConfig, QueryConfig } from './prometheusConfig.ts'
import { isRecord } from './record.ts'

/** What a query gave. Prometheus HTTP API, "Expression query result formats". */
export interface QueryResult {
  readonly type: string
  readonly result: readonly unknown[]
  /** Warnings and infos, cut to what fits a log line. */
  readonly warnings: readonly string[]
}

/** Codes of the `errorType`s; another one is a bad-response. */
const ERROR_TYPES: Readonly<Record<string, FailureCode>> = {
  timeout: 'timeout',
  canceled: 'unavailable',
  unavailable: 'unavailable',
  internal: 'unavailable',
  not_found: 'not-found',
  too_many_requests: 'unavailable',
}

const WARNINGS_MAX = 5
const TEXT_CHARS_MAX = 300

/** Where a query of the API at `base` goes. */
export function apiUrl(base: string, path: 'query' | 'query_range'): string {
  const url = new URL(base)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/api/v1/${path}`
  return url.href
}

/**
 * Errors of the query come with a status of 4xx or 5xx and a body that tells more than the status; errors of a
 * proxy on the way come without.
 */
export function resultIn(answer: HttpAnswer, url: string): QueryResult {
  const { status, body } = answer
  const ok = status >= 200 && status < 300
  const denied = status === 401 || status === 403
  const told = ok || denied ? undefined : errorIn(body)
  if (told !== undefined) throw told
  const { origin, pathname } = new URL(url)
  return readAnswer(okBody(answer, `${origin}${pathname}`))
}

/** The body of an answer. Throws what the server tells as an error, and where the body is of another shape. */
function readAnswer(body: Buffer): QueryResult {
  const answer = jsonOf(body) ?? {}
  const told = failureIn(answer)
  if (told !== undefined) throw told
  const data = answer['data']
  if (answer['status'] !== 'success' || !isRecord(data)) throw notAnAnswer()
  const { resultType: type, result } = data
  if (typeof type !== 'string' || !Array.isArray(result)) throw notAnAnswer()
  return { type, result, warnings: [...textsIn(answer['warnings']), ...textsIn(answer['infos'])] }
}

/** The error that a body tells; undefined where it tells none. */
function errorIn(body: Buffer): TidelineError | undefined {
  const answer = jsonOf(body)
  return answer === undefined ? undefined : failureIn(answer)
}

function failureIn(answer: Readonly<Record<string, unknown>>): TidelineError | undefined {
  const type = answer['errorType']
  if (answer['status'] !== 'error' || typeof type !== 'string') return undefined
  const text = `the server refuses the query (${clipped(type)}): ${clipped(answer['error'])}`
  return new TidelineError(ERROR_TYPES[type] ?? 'bad-response', text)
}

/** Undefined where the body is no object of JSON. */
function jsonOf(body: Buffer): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    return isRecord(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function textsIn(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.slice(0, WARNINGS_MAX).map(clipped) : []
}

export function clipped(text: unknown): string {
  return String(text).slice(0, TEXT_CHARS_MAX)
}

/**
 * The series of a result as gauges. Values that are not finite go along: the sink refuses and counts them.
 * Throws where the result is no vector or scalar, or two of its series have the same labels.
 */
export function samplesOf(
  { type, result }: QueryResult,
  query: QueryConfig,
  config: Pick<PrometheusConfig, 'attribution' | 'limits'>,
): readonly Sample[] {
  if (type === 'scalar') return [sampleOf(query, result, query.labels)]
  if (type !== 'vector')
    throw new TidelineError(
      'wrong-type',
      `the query gives a ${clipped(type)}: write one that gives an instant vector or a scalar`,
    )
  if (result.length > config.limits.series)
    throw new TidelineError(
      'too-large',
      `the query gives ${result.length} series, the limit (limits.series) is ${config.limits.series}`,
    )
  const seen = new Set<string>()
  return result.map((entry) => {
    if (!isRecord(entry) || !isRecord(entry['metric'])) throw notAnAnswer()
    if (entry['value'] === undefined && entry['histogram'] !== undefined)
      throw new TidelineError(
        'wrong-type',
        'the query gives native histograms: write one that gives numbers, such as histogram_quantile(…)',
      )
    const labels = labelsOf(entry['metric'], query.labels, config.attribution)
    const identity = JSON.stringify(labels)
    if (seen.has(identity))
      throw new TidelineError(
        'bad-response',
        `two series of the result have the same labels ${clipped(identity)} without their names: aggregate them`,
      )
    seen.add(identity)
    return sampleOf(query, entry['value'], labels)
  })
}

function sampleOf(query: QueryConfig, pair: unknown, labels: Labels): Sample {
  const [seconds, text] = Array.isArray(pair) ? (pair as unknown[]) : []
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || typeof text !== 'string')
    throw notAnAnswer()
  return {
    metric: query.name,
    labels,
    kind: 'gauge',
    value: numberOf(text),
    timestampMs: Math.round(seconds * 1000),
  }
}

function numberOf(text: string): number {
  if (text === 'NaN') return Number.NaN
  const infinite = /^([+-]?)Inf$/.exec(text)
  if (infinite !== null) return infinite[1] === '-' ? -Infinity : Infinity
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw notAnAnswer()
  return value
}

const ATTRIBUTION = ['namespace', 'pod', 'container'] as const

/** Sorted by name, so that equal labels are equal texts. */
function labelsOf(
  metric: Readonly<Record<string, unknown>>,
  own: Labels,
  attribution: PrometheusConfig['attribution'],
): Labels {
  const labels = new Map<string, string>()
  for (const [name, value] of Object.entries(metric)) {
    if (typeof value !== 'string') throw notAnAnswer()
    if (name !== '__name__' && value !== '') labels.set(name, value)
  }
  if (attribution === 'metric')
    for (const name of ATTRIBUTION) {
      move(labels, name, `exporter_${name}`)
      move(labels, `exported_${name}`, name)
    }
  for (const [name, value] of Object.entries(own)) labels.set(name, value)
  return Object.fromEntries([...labels].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function move(labels: Map<string, string>, from: string, to: string): void {
  const value = labels.get(from)
  if (value === undefined) return
  labels.delete(from)
  labels.set(to, value)
}

function notAnAnswer(): TidelineError {
  return new TidelineError(
    'bad-response',
    'the answer is not one of the Prometheus query API: check the url',
  )
}
