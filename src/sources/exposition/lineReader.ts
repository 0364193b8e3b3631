import { readNumber } from './number.ts'
import { Malformed } from './seriesText.ts'

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
const EXCERPT_LENGTH = 80

export function isBlank(code: number): boolean {
  return code === 32 || code === 9
}

/**
 * Walks over the lines of a body without cutting it up. A carriage return before a line feed is not in the line.
 *
 *     http_requests_total{code="200"} 1027 1395066363000\r\n
 *     ^start                         ^at                 ^end
 */
export class LineReader {
  readonly body: string
  #next = 0
  /** The first character that is not blank. */
  start = 0
  end = 0
  /** How far the line is read. */
  at = 0
  /** From 1. */
  number = 0
  /** The line ends with a line feed. */
  closed = true

  constructor(body: string) {
    this.body = body
  }

  /** Moves to the next line; false after the last. */
  next(): boolean {
    const { body } = this
    if (this.#next >= body.length) return false
    this.number += 1
    const feed = body.indexOf('\n', this.#next)
    this.closed = feed >= 0
    this.end = feed >= 0 ? feed : body.length
    const start = this.#next
    this.#next = this.end + 1
    if (this.end > start && body.charCodeAt(this.end - 1) === 13) this.end -= 1
    this.start = this.skipBlanks(start)
    this.at = this.start
    return true
  }

  get empty(): boolean {
    return this.start >= this.end
  }

  /** The first character's code; NaN in an empty line. */
  get code(): number {
    return this.empty ? Number.NaN : this.body.charCodeAt(this.start)
  }

  text(): string {
    return this.body.slice(this.start, this.end)
  }

  /** The line's beginning, for people. */
  excerpt(): string {
    const { start, end } = this
    const cut = end - start > EXCERPT_LENGTH
    return (
      JSON.stringify(this.body.slice(start, cut ? start + EXCERPT_LENGTH : end)) + (cut ? '…' : '')
    )
  }

  /** The bare metric name that the line begins with, or nothing. */
  name(): string {
    NAME.lastIndex = this.start
    return NAME.exec(this.body)?.[0] ?? ''
  }

  skipBlanks(from: number): number {
    let at = from
    while (at < this.end && isBlank(this.body.charCodeAt(at))) at += 1
    return at
  }

  /** The next text between blanks; empty at the line's end. */
  token(): string {
    const start = this.skipBlanks(this.at)
    let end = start
    while (end < this.end && !isBlank(this.body.charCodeAt(end))) end += 1
    this.at = end
    return this.body.slice(start, end)
  }

  /** The next token as a number. Short whole numbers, which most are, are read in place. */
  value(): number {
    const start = this.skipBlanks(this.at)
    let whole = 0
    let at = start
    for (; at < this.end && at - start < 15; at += 1) {
      const digit = this.body.charCodeAt(at) - 48
      if (digit < 0 || digit > 9) break
      whole = whole * 10 + digit
    }
    if (at > start && (at === this.end || isBlank(this.body.charCodeAt(at)))) {
      this.at = at
      return whole
    }
    const token = this.token()
    if (token === '') throw new Malformed('expected a value')
    const value = readNumber(token)
    if (value === undefined) throw new Malformed('expected a number as the value')
    return value
  }
}
