import type { Labels } from '../../src/model.ts'
import type { LabelSelector } from './ports.ts'
import { lexSelector } from './selectorTokens.ts'
import type { SelectorToken } from './selectorTokens.ts'

export type Operator = '=' | '!=' | 'in' | 'notin' | 'exists' | 'absent' | '>' | '<'

/** One requirement; `values` is sorted and without repetition. */
export interface Requirement {
  readonly key: string
  readonly operator: Operator
  readonly values: readonly string[]
}

export interface ParsedSelector extends LabelSelector {
  /** In the order of their keys. Empty: everything matches. */
  readonly requirements: readonly Requirement[]
}

/** The text is not a label selector; `message` is worded as Kubernetes words it. */
export class SelectorError extends Error {}

export const EVERYTHING: ParsedSelector = { text: '', requirements: [], matches: () => true }

/** Selectors kept compiled. An HPA asks with the same text for ever; a flood of others only empties the map. */
const CACHE_ENTRIES_MAX = 512
const cache = new Map<string, ParsedSelector>()

/**
 * Compiles a label selector. Grammar (apimachinery labels.Parse):
 *
 *     selector    = [ requirement { "," requirement } [ "," ] ]
 *     requirement = "!" key | key [ ( "=" | "==" | "!=" | ">" | "<" ) value | ( "in" | "notin" ) "(" values ")" ]
 *
 * Throws `SelectorError`.
 */
export function parseSelector(text: string): ParsedSelector {
  if (text === '') return EVERYTHING
  const kept = cache.get(text)
  if (kept !== undefined) return kept
  const compiled = compile(text, new Parser(lexSelector(text)).requirements())
  if (cache.size >= CACHE_ENTRIES_MAX) cache.clear()
  cache.set(text, compiled)
  return compiled
}

function compile(text: string, requirements: readonly Requirement[]): ParsedSelector {
  const sorted = requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  const tests = sorted.map(testOf)
  const [only, ...more] = tests
  const matches =
    only !== undefined && more.length === 0
      ? only
      : (labels: Labels): boolean => tests.every((test) => test(labels))
  return { text, requirements: sorted, matches }
}

/** `!=` and `notin` hold for labels that are not there, as in Kubernetes. */
function testOf({ key, operator, values }: Requirement): (labels: Labels) => boolean {
  const first = values[0] ?? ''
  switch (operator) {
    case '=':
      return (labels) => own(labels, key) === first
    case '!=':
      return (labels) => own(labels, key) !== first
    case 'in': {
      const set = new Set<string | undefined>(values)
      return (labels) => set.has(own(labels, key))
    }
    case 'notin': {
      const set = new Set<string | undefined>(values)
      return (labels) => !set.has(own(labels, key))
    }
    case 'exists':
      return (labels) => own(labels, key) !== undefined
    case 'absent':
      return (labels) => own(labels, key) === undefined
    case '>':
    case '<':
      return comparison(key, operator, BigInt(first))
  }
}

function comparison(key: string, operator: '>' | '<', bound: bigint): (labels: Labels) => boolean {
  return (labels) => {
    const text = own(labels, key)
    if (text === undefined || !INTEGER.test(text)) return false
    const value = BigInt(text)
    return operator === '>' ? value > bound : value < bound
  }
}

/** What an object inherits under a name such as `constructor` is never a string. */
function own(labels: Labels, key: string): string | undefined {
  const value: unknown = labels[key]
  return typeof value === 'string' ? value : undefined
}

const INTEGER = /^-?\d{1,19}$/

/** Recursive descent over the tokens, with the messages of apimachinery's parser. */
class Parser {
  readonly #tokens: readonly SelectorToken[]
  #at = 0

  constructor(tokens: readonly SelectorToken[]) {
    this.#tokens = tokens
  }

  requirements(): Requirement[] {
    const found: Requirement[] = []
    for (;;) {
      const token = this.#peek()
      if (token.kind === 'end' && found.length === 0) return found
      if (token.kind !== 'word' && token.text !== '!')
        throw new SelectorError(
          `found '${token.text}', expected: !, identifier, or 'end of string'`,
        )
      found.push(this.#requirement())
      const next = this.#take()
      if (next.kind === 'end') return found
      if (next.text !== ',' || next.kind !== 'symbol')
        throw new SelectorError(`found '${next.text}', expected: ',' or 'end of string'`)
      const after = this.#peek()
      if (after.kind !== 'word' && after.text !== '!')
        throw new SelectorError(`found '${after.text}', expected: identifier after ','`)
    }
  }

  #requirement(): Requirement {
    const first = this.#take()
    if (first.kind === 'symbol') return requirementOf(this.#key(), 'absent', [])
    const key = checkKey(first.text)
    const next = this.#peek()
    if (next.kind === 'end' || next.text === ',') return requirementOf(key, 'exists', [])
    this.#take()
    switch (next.text) {
      case 'in':
      case 'notin':
        return requirementOf(key, next.text, this.#values())
      case '=':
      case '==':
        return requirementOf(key, '=', [this.#value()])
      case '!=':
      case '>':
      case '<':
        return requirementOf(key, next.text, [this.#value()])
      default:
        throw new SelectorError(`found '${next.text}', expected: in, notin, =, ==, !=, >, <`)
    }
  }

  #key(): string {
    const token = this.#take()
    if (token.kind !== 'word')
      throw new SelectorError(`found '${token.text}', expected: identifier`)
    return checkKey(token.text)
  }

  /** An empty value (`a=` or `a=,b`) is legal and means the empty string. */
  #value(): string {
    const token = this.#peek()
    if (token.kind === 'end' || token.text === ',') return ''
    this.#take()
    if (token.kind !== 'word')
      throw new SelectorError(`found '${token.text}', expected: identifier`)
    return token.text
  }

  #values(): string[] {
    const open = this.#take()
    if (open.text !== '(') throw new SelectorError(`found '${open.text}' expected: '('`)
    const values = new Set<string>()
    for (;;) {
      const token = this.#take()
      if (token.kind === 'word') {
        values.add(token.text)
        const next = this.#take()
        if (next.text === ')') return [...values].toSorted()
        if (next.text !== ',') throw new SelectorError(`found '${next.text}', expected: ',' or ')'`)
        if (this.#peek().text === ')') values.add('')
      } else if (token.text === ')') {
        return [...values.add('')].toSorted()
      } else if (token.text === ',') {
        values.add('')
      } else {
        throw new SelectorError(`found '${token.text}', expected: ',', ')' or identifier`)
      }
    }
  }

  #peek(): SelectorToken {
    return this.#tokens[this.#at] ?? END
  }

  #take(): SelectorToken {
    const token = this.#peek()
    this.#at += 1
    return token
  }
}

const END: SelectorToken = { kind: 'end', text: '' }

function requirementOf(key: string, operator: Operator, values: readonly string[]): Requirement {
  for (const value of values) {
    if ((operator === '>' || operator === '<') && !INTEGER.test(value))
      throw new SelectorError(`for '>', '<' operators, the value of ${key} must be an integer`)
    checkValue(key, value)
  }
  return { key, operator, values }
}

const NAME = /^(?=.{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/
const DNS_SUBDOMAIN =
  /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** A qualified name: `[prefix/]name`. */
function checkKey(key: string): string {
  const slash = key.indexOf('/')
  const prefix = slash === -1 ? undefined : key.slice(0, slash)
  const name = key.slice(slash + 1)
  if (NAME.test(name) && (prefix === undefined || DNS_SUBDOMAIN.test(prefix))) return key
  throw new SelectorError(
    `key: Invalid value: ${JSON.stringify(key)}: a label key is a name of at most 63 letters, digits, '-', '_' or '.', that starts and ends with a letter or digit, with an optional DNS prefix and '/'`,
  )
}

function checkValue(key: string, value: string): void {
  if (value === '' || NAME.test(value)) return
  throw new SelectorError(
    `values[0][${key}]: Invalid value: ${JSON.stringify(value)}: a label value is at most 63 letters, digits, '-', '_' or '.', and starts and ends with a letter or digit`,
  )
}
