import type { status } from '@grpc/grpc-js'

/** A report that was not counted: a gRPC status and a sentence that a person can act on. */
export class Refusal extends Error {
  readonly code: status

  constructor(code: status, message: string) {
    super(message.slice(0, MESSAGE_MAX))
    this.name = 'Refusal'
    this.code = code
  }
}

/** It travels in a header. */
const MESSAGE_MAX = 800
