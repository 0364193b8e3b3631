import { messageOf, TidelineError } from '../errors.ts'
import type { FailureCode } from '../model.ts'

/** What the system's own error codes mean for a collect. */
const CODES: Readonly<Record<string, FailureCode>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  EPIPE: 'refused',
  EHOSTUNREACH: 'refused',
  EHOSTDOWN: 'refused',
  ENETUNREACH: 'refused',
  ENOENT: 'refused', // a unix socket that is not there
  ETIMEDOUT: 'timeout',
  ENOTFOUND: 'not-found',
  EAI_AGAIN: 'unavailable',
  ABORT_ERR: 'timeout',
  HPE_HEADER_OVERFLOW: 'too-large',
  CERT_HAS_EXPIRED: 'unauthorized',
  CERT_NOT_YET_VALID: 'unauthorized',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unauthorized',
  SELF_SIGNED_CERT_IN_CHAIN: 'unauthorized',
  UNABLE_TO_GET_ISSUER_CERT: 'unauthorized',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unauthorized',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unauthorized',
  ERR_TLS_CERT_ALTNAME_INVALID: 'unauthorized',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'unauthorized',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'unauthorized',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'unauthorized',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'unauthorized',
}

/** What was thrown by a collect as a failure with its code; an error of ours stays as it is. */
export function failureOf(thrown: unknown): TidelineError {
  if (thrown instanceof TidelineError) return thrown
  const code = systemCode(thrown)
  return new TidelineError(
    (code === undefined ? undefined : CODES[code]) ?? 'bad-response',
    messageOf(thrown),
    thrown,
  )
}

/** The `code` of a system error, looking into what an AggregateError collected. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code
  if (thrown instanceof AggregateError)
    return thrown.errors.map(systemCode).find((code) => code !== undefined)
  return thrown.name === 'AbortError' ? 'ABORT_ERR' : undefined
}
