/**
 * Writes protobuf wire format. A nested message gets one byte for its length at first; when it turns out
 * longer than 127 bytes, its content is moved up by the bytes that the length needs more.
 */
export class ProtobufWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES)
  #length = 0

  /** A copy of what was written. */
  bytes(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length))
  }

  raw(text: string): void {
    this.#reserve(text.length * 3)
    this.#length += this.#buffer.write(text, this.#length)
  }

  string(field: number, text: string): void {
    this.#tag(field, LENGTH_DELIMITED)
    if (text.length < 128 && this.#ascii(text)) return
    const length = Buffer.byteLength(text)
    this.#number(length)
    this.#reserve(length)
    this.#length += this.#buffer.write(text, this.#length)
  }

  /** Short ASCII, which is nearly every name, is copied here: a call into the runtime costs more. */
  #ascii(text: string): boolean {
    this.#reserve(text.length + 1)
    const start = this.#length
    const buffer = this.#buffer
    buffer[start] = text.length
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at)
      if (code > 127) return false
      buffer[start + 1 + at] = code
    }
    this.#length = start + 1 + text.length
    return true
  }

  /** A whole number of at least 0. */
  varint(field: number, value: number): void {
    this.#tag(field, VARINT)
    this.#number(value)
  }

  message(field: number, write: (message: ProtobufWriter) => void): void {
    this.#tag(field, LENGTH_DELIMITED)
    this.#reserve(1)
    const lengthAt = this.#length
    this.#length += 1
    write(this)
    const length = this.#length - lengthAt - 1
    const extra = varintBytes(length) - 1
    if (extra > 0) {
      this.#reserve(extra)
      this.#buffer.copyWithin(lengthAt + 1 + extra, lengthAt + 1, this.#length)
    }
    const end = this.#length + extra
    this.#length = lengthAt
    this.#number(length)
    this.#length = end
  }

  #tag(field: number, wireType: number): void {
    this.#number(field * 8 + wireType)
  }

  /** Divides instead of shifting: seconds since 1970 outgrow 32 bits in 2038. */
  #number(value: number): void {
    this.#reserve(10)
    let rest = value
    while (rest >= 128) {
      this.#buffer[this.#length] = (rest % 128) + 128
      this.#length += 1
      rest = Math.floor(rest / 128)
    }
    this.#buffer[this.#length] = rest
    this.#length += 1
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}

const FIRST_BYTES = 1024
const VARINT = 0
const LENGTH_DELIMITED = 2

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1
  return bytes
}
