import type { FailureCode } from './model.ts'

/** A failure with a stable code and a verdict. `message` is for people and holds no secret. */
export class TidelineError extends Error {
  readonly code: FailureCode

  constructor(code: FailureCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'TidelineError'
    this.code = code
  }
}

/** What was thrown, as a sentence; the one place where unknown errors are normalised. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === '')
    return thrown.errors.map(messageOf).join('; ')
  if (thrown instanceof Error) return thrown.message === '' ? thrown.name : thrown.message
  return String(thrown)
}
