import { TidelineError } from '../errors.ts'
import { clipped } from './prometheusAnswer.ts'
import { isRecord } from './record.ts'

/** A series of a range query, in time order. Samples that are no numbers (0 / 0, 1 / 0) are left out and counted. */
export interface MatrixSeries {
  /** As PromQL writes them: `{pod="a"}`. */
  readonly labels: string
  readonly points: readonly { readonly seconds: number; readonly value: number }[]
  readonly notNumbers: number
}

const NAMED_MAX = 5

/**
 * Reads `data` of the answer to `/api/v1/query_range`: `result[].values` is `[seconds, "value"]`. Throws
 * `TidelineError` where it is of another shape.
 */
export function matrixOf(type: unknown, result: unknown): readonly MatrixSeries[] {
  if (type !== 'matrix' || !Array.isArray(result))
    throw new TidelineError(
      'bad-response',
      'the JSON is not the answer to a Prometheus range query (a matrix)',
    )
  return result.map(seriesOf)
}

/** Refuses several series, by their names: which of them would be the load is not ours to guess. */
export function severalSeries(names: readonly string[]): TidelineError {
  const shown = names.slice(0, NAMED_MAX).join(', ')
  const more = names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : ''
  return new TidelineError(
    'wrong-type',
    `the range query gave ${names.length} series (${shown}${more}): write one that gives a single one, such as sum(...)`,
  )
}

function seriesOf(entry: unknown): MatrixSeries {
  const { metric, values, histograms } = isRecord(entry) ? entry : {}
  if (histograms !== undefined)
    throw new TidelineError(
      'wrong-type',
      'the range query gave native histograms: write one that gives numbers, such as histogram_quantile(…)',
    )
  const points: { seconds: number; value: number }[] = []
  let notNumbers = 0
  let before = -Infinity
  for (const [at, pair] of (Array.isArray(values) ? values : []).entries()) {
    const [seconds, shown]: unknown[] = Array.isArray(pair) ? pair : []
    if (typeof seconds !== 'number' || typeof shown !== 'string' || shown.trim() === '')
      throw wrongSample(at, 'is not [seconds, "value"]')
    if (seconds <= before) throw wrongSample(at, 'does not come after the one before')
    before = seconds
    const value = Number(shown)
    if (Number.isFinite(value)) points.push({ seconds, value })
    else notNumbers += 1
  }
  return { labels: labelsText(metric), points, notNumbers }
}

function wrongSample(at: number, what: string): TidelineError {
  return new TidelineError('bad-response', `sample ${at + 1} of the range query ${what}`)
}

function labelsText(metric: unknown): string {
  const pairs = Object.entries(isRecord(metric) ? metric : {})
  const { __name__: name = '', ...labels } = Object.fromEntries(
    pairs.map(([label, value]) => [label, clipped(value)]),
  )
  const shown = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  return `${name}{${shown.join(', ')}}`
}
