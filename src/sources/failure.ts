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
}

/** What was thrown by a collect as a failure with its code; an error of ours stays as it is. */
export function failureOf(thrown: unknown): TidelineError {
  if (thrown instanceof TidelineError) return thrown
  const code = systemCode(thrown)
  return new TidelineError(codeOf(code), messageOf(thrown), thrown)
}

/** The other side did not take our certificate; OpenSSL's versions begin the name differently. */
const CERTIFICATE_ALERT =
  /_ALERT_(BAD_CERTIFICATE|HANDSHAKE_FAILURE|UNKNOWN_CA|CERTIFICATE_(REQUIRED|EXPIRED|REVOKED|UNKNOWN))$/

function codeOf(code: string | undefined): FailureCode {
  if (code === undefined) return 'bad-response'
  return CODES[code] ?? (CERTIFICATE_ALERT.test(code) ? 'unauthorized' : 'bad-response')
}

/** The `code` of a system error, looking into what an AggregateError collected. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code
  if (thrown instanceof AggregateError)
    return thrown.errors.map(systemCode).find((code) => code !== undefined)
  return thrown.name === 'AbortError' ? 'ABORT_ERR' : undefined
}
