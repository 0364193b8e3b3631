/** A piece of a label selector. Keywords (`in`, `notin`) are words: only their place makes them operators. */
export interface SelectorToken {
  readonly kind: 'word' | 'symbol' | 'end'
  readonly text: string
}

/**
 * Splits a selector into tokens: runs of `=`, `!`, `<`, `>` are read greedily (`==bad` gives `==`, as the
 * reference reports it), `(`, `)` and `,` stand alone, white space separates, all else are words.
 */
export function lexSelector(text: string): SelectorToken[] {
  const tokens: SelectorToken[] = []
  for (const [piece] of text.matchAll(TOKEN))
    if (piece.trim() !== '')
      tokens.push({ kind: SYMBOL_START.test(piece) ? 'symbol' : 'word', text: piece })
  tokens.push({ kind: 'end', text: '' })
  return tokens
}

const TOKEN = /\s+|==|!=|[=!<>(),]|[^\s=!<>(),]+/g
const SYMBOL_START = /^[=!<>(),]/
