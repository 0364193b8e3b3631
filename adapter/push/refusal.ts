import type { status } from '@grpc/grpc-js'

/** A report that was not counted: a gRPC status and a sentence that a person can act on. */
export class Refusal extends Error {
  readonly code: status
  /** When the same may be tried again; undefined where that would not help. */
  readonly retryMs: number | undefined

  constructor(code: status, message: string, retryMs?: number) {
    super(message.slice(0, MESSAGE_MAX))
    this.name = 'Refusal'
    this.code = code
    this.retryMs = retryMs
  }
}

/** For what may have gone by after a moment, such as a restart. */
export const MOMENT_MS = 1000

/** It travels in a header. */
const MESSAGE_MAX = 800
