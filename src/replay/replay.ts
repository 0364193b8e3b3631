/** A recorded load, driven through a stabilizer under the recording's own clock. */
import type { HoldCause, Stabilizer } from '../ports.ts'
import { matrixOf, severalSeries } from '../sources/prometheusMatrix.ts'

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

/**
 * Reads the rows of a CSV file, or the answer of Prometheus to a range query. Throws `RangeError` or
 * `TidelineError` that say what is wrong.
 */
export function parseTrace(text: string): readonly TraceRow[] {
  return text.trimStart().startsWith('{') ? rangeRows(text) : [...csvRows(text)]
}

/** A trace as `parseTrace` reads it. */
export function csvOf(rows: readonly TraceRow[]): string {
  return `t_seconds,value\n${rows.map(({ seconds, value }) => `${seconds},${value}\n`).join('')}`
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

/** A sample that is not a number (0 / 0) is none: a gap in the data. */
function rangeRows(text: string): readonly TraceRow[] {
  const { resultType, result } = record(record(parsed(text))['data'])
  const series = matrixOf(resultType, result)
  const [only] = series
  if (series.length > 1) throw severalSeries(series.map(({ labels }) => labels))
  if (only === undefined)
    throw new RangeError('the range query gave 0 series: check its metric, labels and time')
  return only.points
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
