import { TidelineError } from '../../errors.ts'
import type { FailureCode } from '../../model.ts'

/** One reply: a value as RESP2 has it, or the text of an error reply. */
export type Reply = { readonly value: unknown } | { readonly error: string }

/** What the first word of an error reply means for a collect. */
const CODES: Readonly<Record<string, readonly [FailureCode, string]>> = {
  WRONGTYPE: ['wrong-type', 'is of another type: check "as"'],
  NOGROUP: ['not-found', 'has no such consumer group'],
  NOAUTH: ['unauthorized', 'asks for a password: set password'],
  WRONGPASS: ['unauthorized', 'does not accept username and password'],
  NOPERM: ['unauthorized', 'the user may not read it: check its ACL'],
  DENIED: ['unauthorized', 'refuses connections without a password (protected mode)'],
  LOADING: ['unavailable', 'is loading its data'],
  BUSY: ['unavailable', 'is busy with a script'],
  CLUSTERDOWN: ['unavailable', 'the cluster is down, or no node serves the slot'],
  TRYAGAIN: ['unavailable', 'the slot is being moved'],
  MASTERDOWN: ['unavailable', 'is a replica without its master'],
  READONLY: ['unavailable', 'is a replica'],
  OOM: ['unavailable', 'has no memory left: raise maxmemory'],
  MISCONF: ['unavailable', 'refuses commands for its configuration'],
  MOVED: ['unavailable', 'the slot is on another node: for a Redis Cluster write cluster.nodes'],
  ASK: ['unavailable', 'the slot is being moved'],
}

const UNKNOWN_CHARS_MAX = 120

/** An error reply as a failure. `what` begins the sentence: the key or the server. */
export function failureOfReply(error: string, what: string): TidelineError {
  const word = /^[A-Z]+/.exec(error)?.[0] ?? ''
  const known = CODES[word]
  if (known !== undefined) return new TidelineError(known[0], `${what} ${known[1]} (${word})`)
  if (/^ERR no such key/i.test(error)) return new TidelineError('not-found', `${what} is not there`)
  if (/^ERR max number of clients/i.test(error))
    return new TidelineError('unavailable', `${what} has no free connection (maxclients)`)
  if (/^ERR (invalid password|operation not permitted)/i.test(error))
    return new TidelineError('unauthorized', `${what} does not accept the password`)
  const text = error.slice(0, UNKNOWN_CHARS_MAX)
  return new TidelineError('bad-response', `${what} answered an error: ${text}`)
}

/** The value of a reply; throws what an error reply means. */
export function valueOf(reply: Reply | undefined, what: string): unknown {
  if (reply === undefined) throw new TidelineError('bad-response', `${what}: a reply is missing`)
  if ('error' in reply) throw failureOfReply(reply.error, what)
  return reply.value
}

/** A whole number, zero or more; throws for anything else. */
export function countOf(reply: Reply | undefined, what: string): number {
  const value = valueOf(reply, what)
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new TidelineError('bad-response', `${what}: the reply is not a count`)
}
