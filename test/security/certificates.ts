import { issueCertificate } from '../../adapter/security/selfSigned.ts'
import type { CertificateRequest, KeyPair } from '../../adapter/security/selfSigned.ts'

export const DAY_MS = 86_400_000

/** A CA of its own, valid around `nowMs`. */
export function authority(commonName: string, nowMs: number): KeyPair {
  return issueCertificate({ commonName, authority: {}, ...around(nowMs) })
}

export function client(
  issuer: KeyPair,
  nowMs: number,
  request: Partial<CertificateRequest> & { readonly commonName: string },
): KeyPair {
  return issueCertificate({ usages: ['clientAuth'], ...around(nowMs), ...request }, issuer)
}

export function around(nowMs: number) {
  return { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + DAY_MS }
}
