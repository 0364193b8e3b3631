/** Spans of time as people write and read them. Nothing here imports anything. */

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

/** `1d2h3m4s5ms`: at least one part, each unit at most once, from large to small. */
export const DURATION = /^(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/

/** Milliseconds of a duration such as `500ms`, `15s`, `1h30m`; undefined where the text is none. */
export function parseDurationMs(text: string): number | undefined {
  const parts = DURATION.exec(text)
  if (parts === null) return undefined
  const [, d = '0', h = '0', m = '0', s = '0', ms = '0'] = parts
  const total =
    Number(d) * UNIT_MS.d +
    Number(h) * UNIT_MS.h +
    Number(m) * UNIT_MS.m +
    Number(s) * UNIT_MS.s +
    Number(ms)
  return Number.isSafeInteger(total) ? total : undefined
}

/** `90 s`, for a sentence. */
export function secondsText(ms: number): string {
  return `${ms / 1000} s`
}
