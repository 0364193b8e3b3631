import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { randomBytes, sign, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import * as der from './der.ts'
import { certificateFields } from './certificateFields.ts'

/** PEM texts: a certificate and its private key (PKCS #8). */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

export interface CertificateRequest {
  readonly commonName: string
  /** Written as O, which Kubernetes reads as groups. */
  readonly organizations?: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  /** Extended key usages of a leaf; both where undefined, no extension at all where empty. */
  readonly usages?: readonly ('serverAuth' | 'clientAuth')[]
  /** Makes a CA; `pathLength` limits how many CAs may follow it. */
  readonly authority?: { readonly pathLength?: number }
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/**
 * Makes an EC P-256 certificate (X.509 v3, RFC 5280) signed by `issuer`, or by its own key where there is none.
 * For the demo, for standalone use and for tests; a cluster gets its certificates given.
 */
export function issueCertificate(request: CertificateRequest, issuer?: KeyPair): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signingKey = issuer === undefined ? privateKey : createPrivateKey(issuer.key)
  const subject = distinguishedName(request)
  const issuerName =
    issuer === undefined ? subject : certificateFields(new X509Certificate(issuer.cert).raw).subject
  const algorithm = der.sequence(der.oid(OID.ecdsaWithSha256))
  const toBeSigned = der.sequence(
    der.tagged(0, true, der.integer(Buffer.from([2]))),
    der.integer(randomBytes(16)),
    algorithm,
    issuerName,
    der.sequence(der.time(request.notBeforeMs), der.time(request.notAfterMs)),
    subject,
    spki(publicKey),
    der.tagged(3, true, der.sequence(...extensions(request, publicKey, signingKey))),
  )
  const signature = sign('sha256', toBeSigned, signingKey)
  const certificate = der.sequence(toBeSigned, algorithm, der.bitString(signature))
  return {
    cert: pem(certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/**
 * A CA and a serving certificate of it for `names` (DNS names and IP addresses), valid for a year from
 * one minute before `nowMs`.
 */
export function selfSignedServing(
  names: readonly string[],
  nowMs: number,
): { readonly authority: KeyPair; readonly serving: KeyPair; readonly notAfterMs: number } {
  const validity = { notBeforeMs: nowMs - MINUTE_MS, notAfterMs: nowMs + 365 * DAY_MS }
  const authority = issueCertificate({
    commonName: 'tideline self-signed CA',
    authority: {},
    ...validity,
  })
  const serving = issueCertificate(
    {
      commonName: names[0] ?? 'tideline',
      dnsNames: names.filter((name) => isIP(name) === 0),
      ipAddresses: names.filter((name) => isIP(name) !== 0),
      usages: ['serverAuth'],
      ...validity,
    },
    authority,
  )
  return { authority, serving, notAfterMs: validity.notAfterMs }
}

function distinguishedName(request: CertificateRequest): Buffer {
  const attribute = (type: string, value: string) =>
    der.element(der.TAG.set, der.sequence(der.oid(type), der.utf8String(value)))
  return der.sequence(
    ...(request.organizations ?? []).map((name) => attribute(OID.organization, name)),
    attribute(OID.commonName, request.commonName),
  )
}

function extensions(request: CertificateRequest, own: KeyObject, signingKey: KeyObject): Buffer[] {
  const list = [
    extension(OID.subjectKeyIdentifier, false, der.octetString(keyIdentifier(own))),
    extension(
      OID.authorityKeyIdentifier,
      false,
      der.sequence(der.tagged(0, false, keyIdentifier(createPublicKey(signingKey)))),
    ),
    extension(OID.basicConstraints, true, basicConstraints(request.authority)),
    // Bit 0 is digitalSignature; bits 5 and 6 are keyCertSign and cRLSign.
    extension(
      OID.keyUsage,
      true,
      request.authority === undefined
        ? der.bitString(Buffer.from([0x80]), 7)
        : der.bitString(Buffer.from([0x86]), 1),
    ),
  ]
  const usages =
    request.usages ?? (request.authority ? [] : (['serverAuth', 'clientAuth'] as const))
  if (usages.length > 0) {
    const purposes = usages.map((usage) => der.oid(OID[usage]))
    list.push(extension(OID.extendedKeyUsage, false, der.sequence(...purposes)))
  }
  const names = alternativeNames(request)
  if (names.length > 0) list.push(extension(OID.subjectAltName, false, der.sequence(...names)))
  return list
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [der.boolean(true)] : []
  return der.sequence(der.oid(type), ...flag, der.octetString(value))
}

function basicConstraints(authority: CertificateRequest['authority']): Buffer {
  if (authority === undefined) return der.sequence()
  const limit = authority.pathLength
  return der.sequence(
    der.boolean(true),
    ...(limit === undefined ? [] : [der.integer(Buffer.from([limit]))]),
  )
}

function alternativeNames(request: CertificateRequest): Buffer[] {
  return [
    ...(request.dnsNames ?? []).map((name) => der.tagged(2, false, Buffer.from(name, 'latin1'))),
    ...(request.ipAddresses ?? []).map((address) => der.tagged(7, false, addressOctets(address))),
  ]
}

function addressOctets(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  if (isIP(address) !== 6) throw new TypeError(`not an IP address: ${address}`)
  // The URL parser gives the canonical form, without an embedded IPv4 tail.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  const octets = Buffer.alloc(16)
  for (const [index, group] of [...left, ...zeros, ...right].entries())
    octets.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  return octets
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' })
}

/** RFC 5280 4.2.1.2, method 1: SHA-1 of the public key's bits. */
function keyIdentifier(key: KeyObject): Buffer {
  const [whole] = der.elementsOf(spki(key))
  const bits = whole === undefined ? undefined : der.elementsOf(whole.content)[1]
  if (bits === undefined) throw new TypeError('a public key without bits')
  return createHash('sha1').update(bits.content.subarray(1)).digest()
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
