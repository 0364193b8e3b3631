/** Spans and points in time as people write them on the command line. Errors name the flag. */
import { parseDurationMs } from '../src/duration.ts'

/** A point in time, or how long before now it is. */
export type Moment = { readonly atMs: number } | { readonly agoMs: number }

/** Milliseconds of `15s` or `1h30m`; above 0. */
export function spanOf(flag: string, text: string): number {
  const ms = parseDurationMs(text)
  if (ms !== undefined && ms > 0) return ms
  throw new RangeError(`${flag} is "${text}": a duration such as 15s, 1h30m or 7d`)
}

/** `7d` is a week ago; `2026-05-01T08:00:00Z` is itself (RFC 3339, with a zone). */
export function momentOf(flag: string, text: string): Moment {
  const agoMs = parseDurationMs(text)
  if (agoMs !== undefined) return { agoMs }
  const atMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : NaN
  if (Number.isFinite(atMs)) return { atMs }
  throw new RangeError(
    `${flag} is "${text}": how long ago, such as 7d, or a time such as 2026-05-01T08:00:00Z`,
  )
}

export function momentMs(moment: Moment, nowMs: number): number {
  return 'atMs' in moment ? moment.atMs : nowMs - moment.agoMs
}
