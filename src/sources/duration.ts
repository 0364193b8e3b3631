import { z } from 'zod'
import { DURATION, parseDurationMs } from '../duration.ts'

const MEND = 'write a whole number and a unit (ms, s, m, h, d), such as 500ms, 15s, 1m or 1h30m'

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
