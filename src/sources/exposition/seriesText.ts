import { tooLarge } from './limits.ts'

/** The head of a sample line: its name and labels as written. */
export interface SeriesText {
  readonly name: string
  /** In the order written; empty values are left out, since they mean the same as none. */
  readonly labels: readonly (readonly [string, string])[]
  /** Where the head ends in the text: after the name or the closing brace. */
  readonly end: number
}

/** What is wrong, as the rest of a sentence that begins with the line's number. */
export class Malformed extends Error {}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y
const BLANK = /[ \t]*/y

/**
 * Reads
 *
 *     head  = name [ "{" labels "}" ] | "{" quoted [ "," labels ] "}"      (the second with a UTF-8 name)
 *     labels = [ label { "," label } [ "," ] ]     label = ( labelName | quoted ) "=" quoted
 *     quoted = '"' { any character | '\\' | '\"' | '\n' } '"'
 *
 * that begins at `start`. Throws `Malformed`, or `too-large` at more than `labelsMax` labels.
 */
export function readSeries(line: string, start: number, labelsMax: number): SeriesText {
  const bare = match(NAME, line, start)
  let at = start + bare.length
  const brace = at + match(BLANK, line, at).length
  if (line[brace] !== '{') {
    if (bare === '') throw new Malformed('expected a metric name')
    return { name: bare, labels: [], end: at }
  }
  const reader = new LabelReader(line, brace + 1, bare)
  reader.read(labelsMax)
  at = reader.at
  if (reader.name === '') throw new Malformed('expected a metric name before or in the braces')
  return { name: reader.name, labels: reader.labels, end: at }
}

/** The metric name of a TYPE line, which is quoted where it has characters beyond the classic ones. */
export function readFamilyName(text: string): string {
  const name = text.startsWith('"') ? unescape(text.slice(1, -1)) : text
  if (name === '') throw new Malformed('expected a metric name')
  return name
}

class LabelReader {
  readonly #line: string
  readonly labels: [string, string][] = []
  readonly #seen = new Set<string>()
  at: number
  name: string

  constructor(line: string, at: number, name: string) {
    this.#line = line
    this.at = at
    this.name = name
  }

  read(labelsMax: number): void {
    for (;;) {
      this.#blank()
      if (this.#take('}')) return
      this.#entry()
      if (this.#seen.size > labelsMax) throw tooLarge('labels', labelsMax)
      this.#blank()
      if (this.#take('}')) return
      if (!this.#take(',')) throw new Malformed('expected , or } after a label')
    }
  }

  #entry(): void {
    const quoted = this.#line[this.at] === '"'
    const key = quoted ? this.#quoted() : match(LABEL_NAME, this.#line, this.at)
    if (!quoted) this.at += key.length
    if (key === '') throw new Malformed('expected a label name')
    this.#blank()
    if (!this.#take('=')) {
      if (!quoted || this.name !== '') throw new Malformed('expected = after a label name')
      this.name = key
      return
    }
    this.#blank()
    if (this.#line[this.at] !== '"') throw new Malformed('expected a quoted label value')
    const value = this.#quoted()
    if (key === '__name__') throw new Malformed('the label __name__ is not allowed')
    if (this.#seen.has(key)) throw new Malformed(`the label ${key.slice(0, 60)} is there twice`)
    this.#seen.add(key)
    if (value !== '') this.labels.push([key, value])
  }

  #quoted(): string {
    const start = this.at + 1
    let end = this.#line.indexOf('"', start)
    let escaped = false
    for (; end >= 0; end = this.#line.indexOf('"', end + 1)) {
      const slashes = backslashesBefore(this.#line, end, start)
      escaped ||= slashes > 0
      if (slashes % 2 === 0) break
    }
    if (end < 0) throw new Malformed('a quoted text has no end')
    this.at = end + 1
    const text = this.#line.slice(start, end)
    return escaped || text.includes('\\') ? unescape(text) : text
  }

  #blank(): void {
    this.at += match(BLANK, this.#line, this.at).length
  }

  #take(character: string): boolean {
    if (this.#line[this.at] !== character) return false
    this.at += 1
    return true
  }
}

/** An escape that the formats do not know stays as it is written, as in Prometheus. */
function unescape(text: string): string {
  return text.replace(/\\(["\\n])/g, (_, escape: string) => (escape === 'n' ? '\n' : escape))
}

function backslashesBefore(line: string, end: number, start: number): number {
  let at = end
  while (at > start && line.charCodeAt(at - 1) === 92) at -= 1
  return end - at
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? ''
}

/**
 * Where the head that begins at `start` ends, without reading it: after the first blank outside of braces, or
 * after the closing brace. `end` where it has none.
 */
export function endOfHead(body: string, start: number, end: number): number {
  let at = start
  for (; at < end; at += 1) {
    const code = body.charCodeAt(at)
    if (code === 123) break // {
    if (code === 32 || code === 9) {
      // A blank may stand between name and brace.
      let next = at + 1
      while (next < end && (body.charCodeAt(next) === 32 || body.charCodeAt(next) === 9)) next += 1
      if (body.charCodeAt(next) !== 123) return at
      at = next - 1
    }
  }
  let quoted = false
  for (at += 1; at < end; at += 1) {
    const code = body.charCodeAt(at)
    if (code === 92) at += 1
    else if (code === 34) quoted = !quoted
    else if (code === 125 && !quoted) return at + 1
  }
  return end
}
