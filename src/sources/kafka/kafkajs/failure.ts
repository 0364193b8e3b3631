import { messageOf, TidelineError } from '../../../errors.ts'
import type { FailureCode } from '../../../model.ts'
import { failureOf, systemCode } from '../../failure.ts'

/** Codes of the Kafka protocol that are looked at. */
export const KAFKA = {
  offsetOutOfRange: 1,
  unknownTopic: 3,
  noLeader: 5,
  topicUnauthorized: 29,
} as const

/** Not a matter of rights: who we are is not believed. */
const NOT_AUTHENTICATED: ReadonlySet<number> = new Set([33, 34, 58])

interface Meaning {
  readonly code: FailureCode
  /** It passes: leadership moves, a coordinator loads. */
  readonly passes?: true
}

/** By number: https://kafka.apache.org/protocol#protocol_error_codes */
const MEANINGS: Readonly<Record<number, Meaning & { readonly text: string }>> = {
  3: { code: 'not-found', passes: true, text: 'the topic or partition does not exist' },
  5: { code: 'unavailable', passes: true, text: 'the partition has no leader' },
  6: { code: 'unavailable', passes: true, text: 'the leader has moved' },
  7: { code: 'timeout', passes: true, text: 'the broker had no answer in time' },
  9: { code: 'unavailable', passes: true, text: 'the replica is not available' },
  13: { code: 'unavailable', passes: true, text: 'the broker was disconnected' },
  14: { code: 'unavailable', passes: true, text: 'the group coordinator is loading' },
  15: { code: 'unavailable', passes: true, text: 'the group coordinator is not available' },
  16: { code: 'unavailable', passes: true, text: 'the group coordinator has moved' },
  29: { code: 'unauthorized', text: 'no right to the topic' },
  30: { code: 'unauthorized', text: 'no right to the group' },
  31: { code: 'unauthorized', text: 'no right to the cluster' },
  33: { code: 'unauthorized', text: 'the broker does not know this mechanism; check sasl' },
  34: { code: 'unauthorized', text: 'the broker does not accept the credentials; check sasl' },
  56: { code: 'unavailable', passes: true, text: 'the broker cannot read its disk' },
  58: { code: 'unauthorized', text: 'the broker does not accept the credentials; check sasl' },
  74: { code: 'unavailable', passes: true, text: 'the leader has moved' },
  75: { code: 'unavailable', passes: true, text: 'the leader has moved' },
  76: { code: 'unavailable', passes: true, text: 'the leader has moved' },
  78: { code: 'unavailable', passes: true, text: 'the offset is not available yet' },
  100: { code: 'not-found', passes: true, text: 'the topic does not exist' },
}

/** An error code of a broker's answer. */
export class KafkaCodeError extends TidelineError {
  readonly kafkaCode: number

  constructor(kafkaCode: number, about: string) {
    const meaning = MEANINGS[kafkaCode]
    const text = meaning?.text ?? `the broker answers with code ${kafkaCode}`
    super(meaning?.code ?? 'bad-response', `${about}: ${text}`)
    this.kafkaCode = kafkaCode
  }
}

/** What the library threw, as a failure of ours. `needs` names the right that this call needs. */
export function kafkaFailure(thrown: unknown, about: string, needs: string): TidelineError {
  if (thrown instanceof TidelineError) return thrown
  const cause = innermost(thrown)
  const kafkaCode = codeOf(cause)
  if (kafkaCode !== undefined) {
    const failure = new KafkaCodeError(kafkaCode, about)
    if (failure.code !== 'unauthorized') return failure
    if (NOT_AUTHENTICATED.has(kafkaCode)) return failure
    return new TidelineError('unauthorized', `${about}: the user has no ${needs}`, thrown)
  }
  const said = `${about}: ${messageOf(cause)}`
  const name = cause instanceof Error ? cause.name : ''
  if (name === 'KafkaJSSASLAuthenticationError')
    return new TidelineError('unauthorized', `${said}; check sasl`, thrown)
  if (name === 'KafkaJSRequestTimeoutError' || /timeout/i.test(messageOf(cause)))
    return new TidelineError('timeout', said, thrown)
  if (name === 'KafkaJSConnectionClosedError' || /closed by the server/i.test(said))
    return new TidelineError('refused', said, thrown)
  if (systemCode(cause) !== undefined) {
    return new TidelineError(failureOf(cause).code, said, thrown)
  }
  return new TidelineError(
    name.startsWith('KafkaJSConnection') ? 'refused' : 'bad-response',
    said,
    thrown,
  )
}

/** Whether trying again soon, with new metadata, may help. */
export function passes(failure: TidelineError): boolean {
  if (failure instanceof KafkaCodeError) return MEANINGS[failure.kafkaCode]?.passes === true
  return failure.code === 'refused' || failure.code === 'timeout' || failure.code === 'unavailable'
}

/** Whether connections, or the credentials they were made with, may be to blame: not where a broker answered. */
export function ofConnection(failure: TidelineError): boolean {
  if (failure instanceof KafkaCodeError) return false
  if (failure.code !== 'unauthorized') return failure.code === 'bad-response' || passes(failure)
  const cause = innermost(failure.cause)
  return !(failure.cause === undefined || codeOf(cause) !== undefined)
}

/** The library wraps what it gave up on. */
function innermost(thrown: unknown): unknown {
  let found = thrown
  while (
    found instanceof Error &&
    found.name === 'KafkaJSNumberOfRetriesExceeded' &&
    found.cause instanceof Error
  )
    found = found.cause
  return found
}

function codeOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown) || !('type' in thrown)) return undefined
  return typeof thrown.code === 'number' ? thrown.code : undefined
}
