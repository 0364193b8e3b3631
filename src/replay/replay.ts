/** A recorded load, driven through a stabilizer under the recording's own clock. */
import type { HoldCause, Stabilizer } from '../ports.ts'

export interface TraceRow {
  /** End of the interval whose mean rate `value` is. */
  readonly seconds: number
  readonly value: number
}

export interface ReplayedRow extends TraceRow {
  readonly exposed: number
  readonly forecastUpper: number | undefined
  readonly cause: HoldCause
  /** Why the value is above what was observed; empty where it is not. */
  readonly reason: string
}

/** One row out for each row in; no row depends on a later one. */
export function* replay(
  trace: Iterable<TraceRow>,
  stabilizer: Stabilizer,
): Generator<ReplayedRow, void, undefined> {
  let state = stabilizer.initial()
  for (const { seconds, value } of trace) {
    const step = stabilizer.step(state, value, seconds * 1000)
    state = step.state
    yield {
      seconds,
      value,
      exposed: step.value,
      forecastUpper: step.forecast?.upper,
      cause: step.cause,
      reason: step.hold?.reason ?? '',
    }
  }
}

/** Reads the rows of a CSV file, or the answer of Prometheus to a range query. Throws `RangeError`. */
export function parseTrace(text: string): readonly TraceRow[] {
  return text.trimStart().startsWith('{') ? rangeRows(text) : [...csvRows(text)]
}

/** Reads `t_seconds,value` (further columns are left alone). Throws `RangeError` that names the line. */
function* csvRows(text: string): Generator<TraceRow, void, undefined> {
  const lines = text.split('\n')
  const header = (lines[0] ?? '').split(',').map((name) => name.trim())
  const timeAt = header.indexOf('t_seconds')
  const valueAt = header.indexOf('value')
  if (timeAt < 0 || valueAt < 0)
    throw new RangeError('line 1: the header must name the columns t_seconds and value')
  let before = -Infinity
  for (let at = 1; at < lines.length; at++) {
    const line = (lines[at] ?? '').trim()
    if (line === '') continue
    const cells = line.split(',')
    const seconds = numberIn(cells[timeAt])
    const value = numberIn(cells[valueAt])
    if (!Number.isFinite(seconds) || !Number.isFinite(value))
      throw new RangeError(`line ${at + 1}: t_seconds and value must be numbers`)
    if (seconds <= before) throw new RangeError(`line ${at + 1}: t_seconds must increase`)
    before = seconds
    yield { seconds, value }
  }
}

function numberIn(cell: string | undefined): number {
  return cell === undefined || cell.trim() === '' ? NaN : Number(cell)
}

/**
 * `/api/v1/query_range`: `data.result[0].values` is `[seconds, "value"]`. A sample that is not a number (0 / 0) is
 * none: a gap in the data.
 */
function rangeRows(text: string): readonly TraceRow[] {
  const answer = parsed(text)
  const { resultType, result } = record(record(answer)['data'])
  if (resultType !== 'matrix' || !Array.isArray(result))
    throw new RangeError('the JSON is not the answer to a Prometheus range query (a matrix)')
  if (result.length !== 1)
    throw new RangeError(
      `the range query gave ${result.length} series: write one that gives a single one, such as sum(...)`,
    )
  const { values } = record(result[0])
  const rows: TraceRow[] = []
  for (const pair of Array.isArray(values) ? (values as unknown[]) : []) {
    const [seconds, shown]: unknown[] = Array.isArray(pair) ? pair : []
    const value = Number(shown)
    if (typeof seconds !== 'number' || typeof shown !== 'string')
      throw new RangeError(`sample ${rows.length + 1} of the range query is not [seconds, "value"]`)
    if (seconds <= (rows.at(-1)?.seconds ?? -Infinity))
      throw new RangeError(`sample ${rows.length + 1} of the range query: time must increase`)
    if (Number.isFinite(value)) rows.push({ seconds, value })
  }
  return rows
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RangeError('the trace begins like JSON and is not', { cause })
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
