/**
 * The little of ASN.1 DER (ITU-T X.690) that X.509 certificates need: writing, and reading what
 * node:crypto does not tell.
 *
 *   element = tag(1 byte) length(1..5 bytes) content
 */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const

export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag]), lengthOctets(body.length), body])
}

function lengthOctets(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return Buffer.from([0x80 | octets.length, ...octets])
}

export function sequence(...content: readonly Uint8Array[]): Buffer {
  return element(TAG.sequence, ...content)
}

/** `magnitude` is an unsigned big-endian number; a zero byte is put before it where it would read as negative. */
export function integer(magnitude: Uint8Array): Buffer {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1
  const digits = magnitude.subarray(start)
  const negative = ((digits[0] ?? 0) & 0x80) !== 0
  return element(TAG.integer, negative ? Buffer.from([0]) : Buffer.alloc(0), digits)
}

export function boolean(value: boolean): Buffer {
  return element(TAG.boolean, Buffer.from([value ? 0xff : 0]))
}

export function octetString(content: Uint8Array): Buffer {
  return element(TAG.octetString, content)
}

export function bitString(content: Uint8Array, unusedBits = 0): Buffer {
  return element(TAG.bitString, Buffer.from([unusedBits]), content)
}

export function utf8String(text: string): Buffer {
  return element(TAG.utf8String, Buffer.from(text, 'utf8'))
}

/** Context-specific tag `[number]`. */
export function tagged(number: number, constructed: boolean, ...content: readonly Uint8Array[]) {
  return element(0x80 | (constructed ? 0x20 : 0) | number, ...content)
}

export function oid(dotted: string): Buffer {
  const arcs = dotted.split('.').map(Number)
  const octets = [(arcs[0] ?? 0) * 40 + (arcs[1] ?? 0)]
  for (const arc of arcs.slice(2)) {
    const base128 = [arc % 128]
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
      base128.unshift(0x80 | (rest % 128))
    octets.push(...base128)
  }
  return element(TAG.oid, Buffer.from(octets))
}

/** RFC 5280 4.1.2.5: UTCTime until 2049, GeneralizedTime from then on; whole seconds. */
export function time(ms: number): Buffer {
  const digits = new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:T]/g, '')
  return new Date(ms).getUTCFullYear() < 2050
    ? element(TAG.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : element(TAG.generalizedTime, Buffer.from(digits, 'latin1'))
}

export interface DerElement {
  readonly tag: number
  readonly content: Buffer
  /** Tag, length and content as they stood. */
  readonly whole: Buffer
}

/** Reads the elements that follow each other in `der`. Throws `RangeError` for what is not DER. */
export function elementsOf(der: Buffer): DerElement[] {
  const found: DerElement[] = []
  for (let at = 0; at < der.length;) {
    const read = elementAt(der, at)
    found.push(read)
    at += read.whole.length
  }
  return found
}

function elementAt(der: Buffer, at: number): DerElement {
  const tag = der[at]
  const first = der[at + 1]
  if (tag === undefined || first === undefined) throw new RangeError('DER element cut short')
  let length = first
  let contentAt = at + 2
  if (first >= 0x80) {
    const octets = first & 0x7f
    if (octets === 0 || octets > 4) throw new RangeError('DER length not supported')
    if (contentAt + octets > der.length) throw new RangeError('DER element cut short')
    length = der.readUIntBE(contentAt, octets)
    contentAt += octets
  }
  const end = contentAt + length
  if (end > der.length) throw new RangeError('DER element cut short')
  return { tag, content: der.subarray(contentAt, end), whole: der.subarray(at, end) }
}

/** The dotted text of an OBJECT IDENTIFIER's content. */
export function oidText(content: Buffer): string {
  const arcs: number[] = []
  let arc = 0
  for (const octet of content) {
    arc = arc * 128 + (octet & 0x7f)
    if ((octet & 0x80) !== 0) continue
    if (arcs.length === 0) {
      const top = Math.min(Math.floor(arc / 40), 2)
      arcs.push(top, arc - top * 40)
    } else arcs.push(arc)
    arc = 0
  }
  return arcs.join('.')
}
