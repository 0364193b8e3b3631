import { z } from 'zod'

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

/** `1d2h3m4s5ms`: at least one part, each unit at most once, from large to small. */
const DURATION = /^(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/

const MEND = 'write a whole number and a unit (ms, s, m, h, d), such as 500ms, 15s, 1m or 1h30m'

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

/** The shortest text that `parseDurationMs` reads as `ms`, a whole number. */
export function formatDuration(ms: number): string {
  let rest = ms
  let text = ''
  for (const [unit, size] of Object.entries(UNIT_MS)) {
    const count = Math.floor(rest / size)
    if (count > 0) text += `${count}${unit}`
    rest -= count * size
  }
  return text === '' ? '0s' : text
}

/** A duration as people write it; gives milliseconds. Zero passes: see `positiveDurationSchema`. */
export const durationSchema = z
  .string({ error: (issue) => `${shown(issue.input)} is not a duration: ${MEND}` })
  .regex(DURATION, { error: (issue) => `${shown(issue.input)} is not a duration: ${MEND}` })
  .transform((text, context) => {
    const ms = parseDurationMs(text)
    if (ms !== undefined) return ms
    context.addIssue({ code: 'custom', message: `${shown(text)} is too long a duration` })
    return z.NEVER
  })

/** A duration above zero; gives milliseconds. */
export const positiveDurationSchema = durationSchema.refine((ms) => ms > 0, {
  error: 'must be longer than zero, such as 15s',
})

function shown(input: unknown): string {
  return JSON.stringify(input) ?? 'nothing'
}
