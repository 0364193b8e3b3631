import type { ParsedSelector } from './selector.ts'

/** `metav1.LabelSelector`. */
export interface LabelSelectorObject {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly {
    readonly key: string
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
    readonly values?: readonly string[]
  }[]
}

/**
 * The selector as an API object; undefined where there is nothing to say, or where `>` or `<` is in it,
 * which the object form cannot express.
 */
export function labelSelectorOf(selector: ParsedSelector): LabelSelectorObject | undefined {
  if (selector.requirements.length === 0) return undefined
  const labels: [string, string][] = []
  const expressions: NonNullable<LabelSelectorObject['matchExpressions']>[number][] = []
  const named = new Set<string>()
  for (const { key, operator, values } of selector.requirements) {
    switch (operator) {
      case '=':
        // A map holds a key once: `a=b,a=c` (which nothing matches) keeps its second half as an expression.
        if (named.has(key)) expressions.push({ key, operator: 'In', values })
        else labels.push([key, values[0] ?? ''])
        named.add(key)
        break
      case 'in':
        expressions.push({ key, operator: 'In', values })
        break
      case '!=':
      case 'notin':
        expressions.push({ key, operator: 'NotIn', values })
        break
      case 'exists':
        expressions.push({ key, operator: 'Exists' })
        break
      case 'absent':
        expressions.push({ key, operator: 'DoesNotExist' })
        break
      case '>':
      case '<':
        return undefined
    }
  }
  return {
    ...(labels.length === 0 ? {} : { matchLabels: Object.fromEntries(labels) }),
    ...(expressions.length === 0 ? {} : { matchExpressions: expressions }),
  }
}
