import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { certificateFields } from './certificateFields.ts'
import type { CertificateFields } from './certificateFields.ts'

/** Certificates of a CA bundle, parsed once. A chain must end at one of them. */
export type TrustAnchors = readonly X509Certificate[]

/** The peer's certificates as they came: the leaf first, then what it sent along. */
export type PeerChain = readonly X509Certificate[]

export type ChainVerdict =
  /** `notAfterMs`: when the first certificate of the path expires. */
  | { readonly trusted: true; readonly notAfterMs: number }
  | { readonly trusted: false; readonly reason: string }

const PEER_CERTIFICATES_MAX = 10
const PATH_CERTIFICATES_MAX = 8
const SIGNATURE_CHECKS_MAX = 50
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_USAGE = '2.5.29.37.0'
/** Signatures over MD5 and SHA-1 (RSA, DSA, ECDSA) can be forged. */
const FORGEABLE = new Set([
  '1.2.840.113549.1.1.4',
  '1.2.840.113549.1.1.5',
  '1.2.840.10040.4.3',
  '1.2.840.10045.4.1',
])
/** keyUsage, subjectAltName, basicConstraints, extendedKeyUsage; a CA with name constraints is refused. */
const UNDERSTOOD_CRITICAL = new Set(['2.5.29.15', '2.5.29.17', '2.5.29.19', '2.5.29.37'])

/** Parses every certificate of a PEM bundle. Throws what node:crypto throws for a broken one. */
export function trustAnchors(pem: string): TrustAnchors {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

/** The certificates that the peer of a TLS server's socket presented; empty if none. */
export function peerChain(socket: TLSSocket): PeerChain {
  const leaf = socket.getPeerCertificate(true)
  const chain: X509Certificate[] = []
  // Without a certificate Node answers an empty object; at a self-issued end an object is its own issuer.
  for (
    let at: Partial<typeof leaf> | undefined = leaf;
    at?.raw !== undefined && chain.length < PEER_CERTIFICATES_MAX;
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate
  )
    chain.push(new X509Certificate(at.raw))
  return chain
}

/**
 * Verifies that `chain[0]` may act as a TLS client under `anchors` alone at `nowMs` (RFC 5280 section 6
 * without policies, name constraints and revocation): signatures, validity, basicConstraints, path length,
 * key usage, extended key usage. What TLS itself found about the peer plays no part: its trust store may hold
 * other CAs.
 */
export function verifyClientChain(
  chain: PeerChain,
  anchors: TrustAnchors,
  nowMs: number,
): ChainVerdict {
  const [leaf, ...intermediates] = chain
  if (leaf === undefined) return { trusted: false, reason: 'no client certificate' }
  const search: Search = { anchors, intermediates, nowMs, checksLeft: SIGNATURE_CHECKS_MAX }
  try {
    return extend([leaf], search)
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    return { trusted: false, reason: `certificate not readable: ${detail}` }
  }
}

interface Search {
  readonly anchors: TrustAnchors
  readonly intermediates: readonly X509Certificate[]
  readonly nowMs: number
  checksLeft: number
}

/** Depth first: any anchor that signed the path's end finishes it, else each intermediate that did is tried. */
function extend(path: readonly X509Certificate[], search: Search): ChainVerdict {
  const end = path[path.length - 1]
  if (end === undefined || path.length > PATH_CERTIFICATES_MAX)
    return { trusted: false, reason: 'chain too long' }
  const fault = faultOf(end, path.length - 1, search.nowMs)
  if (fault !== undefined) return { trusted: false, reason: fault }
  let reason = 'not signed by the required CA'
  for (const anchor of search.anchors) {
    if (!signed(end, anchor, search)) continue
    const anchorFault = faultOf(anchor, path.length, search.nowMs)
    if (anchorFault === undefined)
      return { trusted: true, notAfterMs: Math.min(...[...path, anchor].map(notAfterMsOf)) }
    reason = anchorFault
  }
  for (const candidate of search.intermediates) {
    if (path.some((used) => used.raw.equals(candidate.raw))) continue
    if (!signed(end, candidate, search)) continue
    const verdict = extend([...path, candidate], search)
    if (verdict.trusted) return verdict
    reason = verdict.reason
  }
  return { trusted: false, reason }
}

/** Whether `issuer` issued `subject`: names, key identifiers, permission to sign, signature. */
function signed(subject: X509Certificate, issuer: X509Certificate, search: Search): boolean {
  if (!subject.checkIssued(issuer) || search.checksLeft === 0) return false
  search.checksLeft -= 1
  if (FORGEABLE.has(certificateFields(subject.raw).signatureAlgorithm)) return false
  return subject.verify(issuer.publicKey)
}

/** `depth` 0 is the leaf; a CA at depth d has d - 1 CAs below it. */
function faultOf(certificate: X509Certificate, depth: number, nowMs: number): string | undefined {
  if (nowMs < certificate.validFromDate.getTime()) return 'certificate not yet valid'
  if (nowMs > notAfterMsOf(certificate)) return 'certificate expired'
  const fields: CertificateFields = certificateFields(certificate.raw)
  if (fields.criticalExtensions.some((type) => !UNDERSTOOD_CRITICAL.has(type)))
    return 'certificate has a critical extension that is not understood'
  // node:crypto calls the extended key usages `keyUsage`; undefined where the extension is missing.
  const usages: readonly string[] | undefined = certificate.keyUsage
  if (usages !== undefined && !usages.includes(CLIENT_AUTH) && !usages.includes(ANY_USAGE))
    return 'certificate is not for client authentication'
  if (depth === 0) return undefined
  if (!certificate.ca) return 'issuer is not a CA'
  if (fields.pathLength !== undefined && fields.pathLength < depth - 1) return 'chain too long'
  return undefined
}

export function notAfterMsOf(certificate: X509Certificate): number {
  return certificate.validToDate.getTime()
}
