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
      forecastUpper: step.forecastUpper,
      cause: step.cause,
      reason: step.hold?.reason ?? '',
    }
  }
}

/** Reads `t_seconds,value` (further columns are left alone). Throws `RangeError` that names the line. */
export function* parseTrace(text: string): Generator<TraceRow, void, undefined> {
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
