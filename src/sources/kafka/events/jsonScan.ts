/**
 * Reads some fields of a flat JSON object without making the others. It says the same as `JSON.parse`, or nothing:
 * whatever it is not sure of (escapes, nested values, anything that is not JSON) is left to `JSON.parse`.
 */

/** A field's value: text, number, boolean or null, as JSON has it; undefined where the object has no such field. */
export type Scalar = string | number | boolean | null | undefined

/** Fills `into` with the values of the fields, in their order. False: let `JSON.parse` do it. */
export type Scan = (json: Buffer, into: Scalar[]) => boolean

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN = 0x7b
const CLOSE = 0x7d
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39
const POINT = 0x2e

/** Bytes at which a look at text stops: the quote, the backslash, and what JSON does not allow in text. */
const STOPS = new Uint8Array(256)
for (let byte = 0; byte < 0x20; byte += 1) STOPS[byte] = 1
STOPS[QUOTE] = 1
STOPS[BACKSLASH] = 1

const LITERALS: Readonly<
  Record<number, { readonly bytes: Buffer; readonly value: boolean | null }>
> = {
  0x74: { bytes: Buffer.from('true'), value: true },
  0x66: { bytes: Buffer.from('false'), value: false },
  0x6e: { bytes: Buffer.from('null'), value: null },
}

export function jsonScan(fields: readonly string[]): Scan {
  const names = fields.map((field) => Buffer.from(field))
  return (json, into) => {
    into.length = names.length
    into.fill(undefined)
    return new Scanner(json, names, into).object()
  }
}

class Scanner {
  readonly #json: Buffer
  readonly #names: readonly Buffer[]
  readonly #into: Scalar[]
  #at = 0

  constructor(json: Buffer, names: readonly Buffer[], into: Scalar[]) {
    this.#json = json
    this.#names = names
    this.#into = into
  }

  object(): boolean {
    const json = this.#json
    if (this.#next() !== OPEN) return false
    this.#at += 1
    if (this.#next() === CLOSE) {
      this.#at += 1
    } else {
      for (;;) {
        if (!this.#member()) return false
        const byte = this.#next()
        this.#at += 1
        if (byte === CLOSE) break
        if (byte !== COMMA) return false
        this.#next()
      }
    }
    this.#next()
    return this.#at === json.length
  }

  /** The byte after white space, which is where `#at` is then; NaN at the end. */
  #next(): number {
    const json = this.#json
    for (;;) {
      const byte = json[this.#at]
      if (byte === undefined) return NaN
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte
      this.#at += 1
    }
  }

  #member(): boolean {
    const from = this.#at + 1
    const to = this.#text()
    if (to < 0) return false
    if (this.#next() !== COLON) return false
    this.#at += 1
    const index = this.#wanted(from, to)
    const byte = this.#next()
    if (byte === QUOTE) return this.#textValue(index)
    if (byte === MINUS || (byte >= ZERO && byte <= NINE)) return this.#number(index)
    return this.#literal(byte, index)
  }

  #wanted(from: number, to: number): number {
    const json = this.#json
    const names = this.#names
    const length = to - from
    search: for (let index = 0; index < names.length; index += 1) {
      const name = names[index]
      if (name?.length !== length) continue
      for (let at = 0; at < length; at += 1) if (name[at] !== json[from + at]) continue search
      return index
    }
    return -1
  }

  /** Where text without escapes ends, `#at` then behind its quote; −1 for anything else. */
  #text(): number {
    const json = this.#json
    let at = this.#at
    if (json[at] !== QUOTE) return -1
    at += 1
    while (STOPS[json[at] ?? 0] === 0) at += 1
    if (json[at] !== QUOTE) return -1
    this.#at = at + 1
    return at
  }

  #textValue(index: number): boolean {
    const from = this.#at + 1
    const to = this.#text()
    if (to < 0) return false
    if (index >= 0) this.#into[index] = this.#json.toString('utf8', from, to)
    return true
  }

  /** −? (0 | [1-9][0-9]*) (.[0-9]+)? ([eE][+-]?[0-9]+)? */
  #number(index: number): boolean {
    const json = this.#json
    const from = this.#at
    let at = from
    if (json[at] === MINUS) at += 1
    const first = at
    while (isDigit(json[at])) at += 1
    if (at === first || (json[first] === ZERO && at > first + 1)) return false
    const whole = at
    if (json[at] === POINT) {
      const begin = (at += 1)
      while (isDigit(json[at])) at += 1
      if (at === begin) return false
    }
    const byte = json[at]
    if (byte === 0x65 || byte === 0x45) {
      at += 1
      if (json[at] === MINUS || json[at] === 0x2b) at += 1
      const begin = at
      while (isDigit(json[at])) at += 1
      if (at === begin) return false
    }
    this.#at = at
    if (index >= 0) this.#into[index] = this.#numberOf(from, whole, at)
    return true
  }

  /** Whole numbers of up to 15 digits are exact; others are left to the language. */
  #numberOf(from: number, whole: number, to: number): number {
    const json = this.#json
    if (whole !== to || to - from > 15 || json[from] === MINUS)
      return Number(json.toString('latin1', from, to))
    let value = 0
    for (let at = from; at < to; at += 1) value = value * 10 + (json[at] ?? 0) - ZERO
    return value
  }

  #literal(byte: number, index: number): boolean {
    const literal = LITERALS[byte]
    if (literal === undefined) return false
    const { bytes, value } = literal
    for (let at = 0; at < bytes.length; at += 1)
      if (this.#json[this.#at + at] !== bytes[at]) return false
    this.#at += bytes.length
    if (index >= 0) this.#into[index] = value
    return true
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE
}
