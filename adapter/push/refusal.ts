import { status } from '@grpc/grpc-js'
import type { PushOutcome } from '../../src/ports.ts'
import type { PushServerDeps } from './ports.ts'

/** A report that was not counted: a gRPC status and a sentence that a person can act on. */
export class Refusal extends Error {
  readonly code: status
  /** When the same may be tried again; undefined where that would not help. */
  readonly retryMs: number | undefined

  constructor(code: status, message: string, retryMs?: number) {
    super(message.slice(0, MESSAGE_MAX).toWellFormed())
    this.name = 'Refusal'
    this.code = code
    this.retryMs = retryMs
  }
}

/** For what may have gone by after a moment, such as a restart. */
export const MOMENT_MS = 1000

/** It travels in a header, and gRPC throws for half a character, such as a cut may leave. */
const MESSAGE_MAX = 800

const CODES = {
  invalid: status.INVALID_ARGUMENT,
  'too-old': status.OUT_OF_RANGE,
  limit: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
} as const

/** The refusal that a source's answer is. */
export function refusalFor({
  reason,
  message,
}: Extract<PushOutcome, { outcome: 'refused' }>): Refusal {
  return new Refusal(CODES[reason], message, reason === 'unavailable' ? MOMENT_MS : undefined)
}

/** What is answered for whatever was thrown; counts it. */
export function refusalOf(
  thrown: unknown,
  { log, observe }: Pick<PushServerDeps, 'log' | 'observe'>,
): Refusal {
  const known = thrown instanceof Refusal
  if (!known) log.error('push-fault', { error: thrown })
  const refusal = known
    ? thrown
    : new Refusal(status.INTERNAL, 'a fault of the adapter; its log says more')
  observe(status[refusal.code].toLowerCase())
  return refusal
}
