/** Times of which a recording knows nothing. */
import type { TraceRow } from './replay.ts'

/** Nothing is known after `fromSeconds` until `toSeconds`. */
export interface Gap {
  readonly fromSeconds: number
  readonly toSeconds: number
}

/** Longer between two rows than this, and than three times the interval before, is a gap; for the forecast, too. */
export const GAP_S = 120

/** The interval of the first row, which ends no other: that to the second, or where that is a gap, the one after. */
export function firstInterval(rows: readonly TraceRow[]): number {
  const [first, second, third] = rows
  if (first === undefined || second === undefined) throw new RangeError('a trace needs two rows')
  const interval = second.seconds - first.seconds
  if (third === undefined) return interval
  const next = third.seconds - second.seconds
  return isGap(interval, next) ? next : interval
}

/** The row after a gap is of the interval that rows had before it. */
export function gapsIn(rows: readonly TraceRow[]): readonly Gap[] {
  const gaps: Gap[] = []
  let usual = firstInterval(rows)
  for (let at = 1; at < rows.length; at++) {
    const fromSeconds = rows[at - 1]?.seconds ?? NaN
    const seconds = rows[at]?.seconds ?? NaN
    const interval = seconds - fromSeconds
    if (isGap(interval, usual)) gaps.push({ fromSeconds, toSeconds: seconds - usual })
    else usual = interval
  }
  return gaps
}

function isGap(interval: number, usual: number): boolean {
  return interval > Math.max(GAP_S, 3 * usual)
}

/** The rows, and one more for each gap, that holds the value before it. */
export function bridged(rows: readonly TraceRow[], gaps: readonly Gap[]): readonly TraceRow[] {
  if (gaps.length === 0) return rows
  const ends = new Map(gaps.map((gap) => [gap.fromSeconds, gap.toSeconds]))
  return rows.flatMap((row) => {
    const seconds = ends.get(row.seconds)
    return seconds === undefined ? [row] : [row, { seconds, value: row.value }]
  })
}
