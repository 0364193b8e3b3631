import { elementsOf, oidText, TAG } from './der.ts'
import type { DerElement } from './der.ts'

/** What chain verification needs of a certificate and node:crypto does not tell. */
export interface CertificateFields {
  /** The subject's DER, whole. */
  readonly subject: Buffer
  /** Attributes of the subject by OID, each with its values in order. */
  readonly attributes: ReadonlyMap<string, readonly string[]>
  readonly criticalExtensions: readonly string[]
  /** OID of the algorithm that it is signed by. */
  readonly signatureAlgorithm: string
  /** From basicConstraints: how many CAs may follow; undefined where it sets no limit. */
  readonly pathLength?: number
}

const BASIC_CONSTRAINTS = '2.5.29.19'

/**
 * Reads a DER certificate (RFC 5280 4.1). Throws `RangeError` for what is not one.
 *
 *   Certificate = { tbs, algorithm, signature }
 *   tbs = { [0] version?, serial, algorithm, issuer, validity, subject, spki, [1]?, [2]?, [3] extensions? }
 */
export function certificateFields(certificate: Buffer): CertificateFields {
  const whole = child({ content: certificate }, 0)
  const toBeSigned = child(whole, 0)
  const parts = elementsOf(toBeSigned.content)
  const versioned = parts[0]?.tag === 0xa0 ? 1 : 0
  const subject = parts[versioned + 4]
  if (subject === undefined) throw new RangeError('a certificate without a subject')
  const extensions = parts.find((part) => part.tag === 0xa3)
  const list = extensions === undefined ? [] : elementsOf(child(extensions, 0).content)
  const read = list.map(extensionOf)
  const constraints = read.find((extension) => extension.type === BASIC_CONSTRAINTS)
  const pathLength = constraints === undefined ? undefined : pathLengthOf(constraints.value)
  return {
    subject: subject.whole,
    attributes: attributesOf(subject),
    signatureAlgorithm: oidText(child(child(whole, 1), 0).content),
    criticalExtensions: read.filter(({ critical }) => critical).map(({ type }) => type),
    ...(pathLength === undefined ? {} : { pathLength }),
  }
}

function child(parent: { readonly content: Buffer }, index: number): DerElement {
  const found = elementsOf(parent.content)[index]
  if (found === undefined) throw new RangeError('DER element missing')
  return found
}

function extensionOf(extension: DerElement) {
  const parts = elementsOf(extension.content)
  const value = parts.at(-1)
  const type = parts[0]
  if (type === undefined || value === undefined) throw new RangeError('an empty extension')
  const critical = parts.length === 3 && parts[1]?.content[0] !== 0
  return { type: oidText(type.content), critical, value: value.content }
}

function pathLengthOf(value: Buffer): number | undefined {
  const limit = elementsOf(child({ content: value }, 0).content).find(
    (part) => part.tag === TAG.integer,
  )
  if (limit === undefined) return undefined
  if (limit.content.length > 4) throw new RangeError('a path length too long')
  return limit.content.readIntBE(0, limit.content.length)
}

function attributesOf(name: DerElement): ReadonlyMap<string, readonly string[]> {
  const attributes = new Map<string, string[]>()
  for (const set of elementsOf(name.content)) {
    for (const pair of elementsOf(set.content)) {
      const [type, value] = elementsOf(pair.content)
      if (type === undefined || value === undefined) throw new RangeError('an empty attribute')
      const key = oidText(type.content)
      const values = attributes.get(key) ?? []
      values.push(textOf(value))
      attributes.set(key, values)
    }
  }
  return attributes
}

/** DirectoryString (X.520): UTF-8, the two-byte BMPString, the four-byte UniversalString, or 8 bits. */
function textOf(value: DerElement): string {
  switch (value.tag) {
    case TAG.utf8String:
      return value.content.toString('utf8')
    case 0x1e:
      return Buffer.from(value.content.subarray(0, value.content.length & ~1))
        .swap16()
        .toString('utf16le')
    case 0x1c:
      throw new RangeError('UniversalString is not supported')
    default:
      return value.content.toString('latin1')
  }
}
