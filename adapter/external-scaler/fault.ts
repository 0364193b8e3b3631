import { status } from '@grpc/grpc-js'

/** A call's end without an answer: a gRPC status and a sentence that a person can act on. */
export class CallFault extends Error {
  readonly code: status

  constructor(code: status, message: string) {
    const text = message.length > MESSAGE_MAX ? `${message.slice(0, MESSAGE_MAX)}…` : message
    // gRPC throws for half a character, such as a cut may leave.
    super(text.toWellFormed())
    this.name = 'CallFault'
    this.code = code
  }
}

/** It travels in a header, of which clients take about 8 KiB; other scripts are escaped to nine characters. */
const MESSAGE_MAX = 800

export function unavailable(message: string): CallFault {
  return new CallFault(status.UNAVAILABLE, message)
}

/** Bad metadata of a trigger: which field, what stands there, how to mend it. */
export function badMetadata(field: string, value: string | undefined, mend: string): CallFault {
  const shown = value === undefined ? 'is missing' : `is ${JSON.stringify(clipped(value))}`
  return new CallFault(status.INVALID_ARGUMENT, `trigger metadata ${field} ${shown}: ${mend}`)
}

const VALUE_MAX = 80

function clipped(value: string): string {
  return value.length > VALUE_MAX ? `${value.slice(0, VALUE_MAX)}…` : value
}
