/** Spans and points in time as people write them on the command line. Errors name the flag. */

/** A point in time, or how long before now it is. */
export type Moment = { readonly atMs: number } | { readonly agoMs: number }

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Milliseconds of `15s` or `1h30m`; above 0. */
export function spanOf(flag: string, text: string): number {
  const ms = spanMs(text)
  if (ms !== undefined && ms > 0) return ms
  throw new RangeError(`${flag} is "${text}": a duration such as 15s, 1h30m or 7d`)
}

/** `7d` is a week ago; `2026-05-01T08:00:00Z` is itself (RFC 3339, with a zone). */
export function momentOf(flag: string, text: string): Moment {
  const agoMs = spanMs(text)
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

function spanMs(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d+)(ms|s|m|h|d)/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) return undefined
  const ms = parts.reduce((sum, [, n, unit = '']) => sum + Number(n) * (UNIT_MS[unit] ?? NaN), 0)
  return Number.isSafeInteger(ms) ? ms : undefined
}
