/** A recorded load as text: CSV, or the answer of Prometheus to a range query. */
import { matrixOf, severalSeries } from '../sources/prometheusMatrix.ts'
import type { TraceRow } from './replay.ts'

/** Cells that say that nothing is known, as the usual writers of CSV put it. */
const UNKNOWN = new Set(['', 'nan', 'na', 'null', 'none'])
/** Seconds since 1970 reach this in the year 5138: so many are milliseconds. */
const SECONDS_MAX = 1e11
const SHOWN_MAX = 60

/**
 * Reads the rows of a CSV file, or the answer of Prometheus to a range query. Throws `RangeError` or
 * `TidelineError` that say what is wrong; `say` is told what a person should know of what was read.
 */
export function parseTrace(
  text: string,
  say: (what: string) => void = () => undefined,
): readonly TraceRow[] {
  const { rows, unknown } = text.trimStart().startsWith('{') ? rangeRows(text) : csvRows(text)
  if (unknown > 0) say(`${unknown} of ${rows.length + unknown} rows have no value: gaps, not zeros`)
  return rows
}

/** A trace as `parseTrace` reads it. */
export function csvOf(rows: readonly TraceRow[]): string {
  return `t_seconds,value\n${rows.map(({ seconds, value }) => `${seconds},${value}\n`).join('')}`
}

interface Read {
  readonly rows: readonly TraceRow[]
  /** Rows whose value is not known. */
  readonly unknown: number
}

/**
 * Columns `t_seconds` and `value`, in any order, among others; divided by commas, semicolons or tabs; cells may be
 * quoted. Empty lines and those that begin with # are left alone, wherever they are.
 */
function csvRows(text: string): Read {
  const lines = text.split(/\r\n|\n|\r/)
  const rows: TraceRow[] = []
  let unknown = 0
  let columns: Columns | undefined
  let before = -Infinity
  for (const [at, whole] of lines.entries()) {
    const line = whole.trim()
    if (line === '' || line.startsWith('#')) continue
    if (columns === undefined) {
      columns = columnsOf(line, at)
      continue
    }
    const cells = line.includes('"') ? quotedCells(line, columns.mark) : line.split(columns.mark)
    const seconds = numberIn(cells[columns.time])
    if (!Number.isFinite(seconds)) throw wrong(at, 't_seconds', cells[columns.time])
    if (seconds > SECONDS_MAX)
      throw new RangeError(
        `line ${at + 1}: t_seconds is ${seconds}: milliseconds? It counts seconds`,
      )
    if (seconds <= before)
      throw new RangeError(
        `line ${at + 1}: t_seconds must increase: ${seconds} comes after ${before}; sort the rows, one for each time`,
      )
    before = seconds
    const shown = cells[columns.value]
    const value = numberIn(shown)
    if (Number.isFinite(value)) rows.push({ seconds, value })
    else if (shown !== undefined && UNKNOWN.has(shown.trim().toLowerCase())) unknown += 1
    else throw wrong(at, 'value', shown)
  }
  if (columns === undefined) throw new RangeError('line 1: the trace is empty')
  return { rows, unknown }
}

interface Columns {
  readonly mark: string
  readonly time: number
  readonly value: number
}

function columnsOf(line: string, at: number): Columns {
  for (const mark of [',', ';', '\t']) {
    const names = quotedCells(line, mark).map((name) => name.trim().toLowerCase())
    const [time, value] = [names.indexOf('t_seconds'), names.indexOf('value')]
    if (time >= 0 && value >= 0) return { mark, time, value }
  }
  throw new RangeError(
    `line ${at + 1}: the header must name the columns t_seconds and value: it is ${shownOf(line)}`,
  )
}

/** Cells of which some are in quotes, where a doubled one stands for itself (RFC 4180). */
function quotedCells(line: string, mark: string): readonly string[] {
  const cells: string[] = []
  let cell = ''
  let quoted = false
  for (let i = 0; i < line.length; i++) {
    const char = line[i] ?? ''
    if (char === '"' && quoted && line[i + 1] === '"') {
      cell += char
      i++
    } else if (char === '"') quoted = !quoted
    else if (char === mark && !quoted) {
      cells.push(cell)
      cell = ''
    } else cell += char
  }
  return [...cells, cell]
}

function numberIn(cell: string | undefined): number {
  return cell === undefined || cell.trim() === '' ? NaN : Number(cell)
}

function wrong(at: number, column: string, cell: string | undefined): RangeError {
  const what = cell === undefined ? 'missing' : shownOf(cell.trim())
  return new RangeError(`line ${at + 1}: t_seconds and value must be numbers: ${column} is ${what}`)
}

/** Of what may be anything: short, and with nothing that a terminal would act on. */
function shownOf(text: string): string {
  const short = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
  return JSON.stringify(short)
}

/** A sample that is not a number (0 / 0) is none: a gap in the data. */
function rangeRows(text: string): Read {
  const { resultType, result } = record(record(parsed(text))['data'])
  const series = matrixOf(resultType, result)
  const [only] = series
  if (series.length > 1) throw severalSeries(series.map(({ labels }) => labels))
  if (only === undefined)
    throw new RangeError('the range query gave 0 series: check its metric, labels and time')
  return { rows: only.points, unknown: only.notNumbers }
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
