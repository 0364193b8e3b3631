import type { Matcher, MatchOperator } from '../model.ts'
import { anchoredPattern } from '../series/labels.ts'

const MATCHER = /^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*$/

/**
 * Reads one matcher as PromQL writes it: `class=~"person|car"`. Returns the reason where it cannot.
 * Regular expressions are anchored at both ends, as in PromQL.
 */
export function parseMatcher(text: string): Matcher | { readonly reason: string } {
  const parts = MATCHER.exec(text)
  const [, label, operator, quoted] = parts ?? []
  if (label === undefined || operator === undefined || quoted === undefined)
    return { reason: 'must be label=value with one of = != =~ !~ and the value in double quotes' }
  const value = quoted.replace(/\\(["\\])/g, '$1')
  if (operator.endsWith('~')) {
    const reason = regexProblem(value)
    if (reason !== undefined) return { reason }
  }
  return { label, operator: operator as MatchOperator, value }
}

function regexProblem(source: string): string | undefined {
  try {
    void anchoredPattern(source)
    return undefined
  } catch (thrown) {
    return `is not a regular expression: ${thrown instanceof Error ? thrown.message : String(thrown)}`
  }
}
