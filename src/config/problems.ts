import type { z } from 'zod'

/** What is wrong with a configuration: where, what stands there, and how to mend it. */
export interface Problem {
  /** File, and line where known: `signals.yaml:12`. */
  readonly where: string
  /** Path of the field: `Signal vision/detections: spec.window.duration`. */
  readonly field: string
  /** The value that stands there, shortened; undefined where nothing stands there. */
  readonly value: string | undefined
  readonly mend: string
}

export function formatProblem(problem: Problem): string {
  const value = problem.value === undefined ? '' : ` (is ${problem.value})`
  return `${problem.where}: ${problem.field}${value}: ${problem.mend}`
}

const VALUE_LENGTH_MAX = 80

/** The value at `path`, as JSON and shortened. Values below a field that may hold a secret are left out. */
export function shownValue(root: unknown, path: readonly PropertyKey[]): string | undefined {
  let value = root
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  if (value === undefined) return undefined
  if (path.some((key) => /password|token|secret|authorization|url/i.test(String(key)))) return '…'
  const text = JSON.stringify(value) ?? typeof value
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX)}…` : text
}

/** A zod issue's sentence, with the mend for the commonest mistakes: a misspelt field, and too little or too much. */
export function mendOf(issue: z.core.$ZodIssue, known: readonly string[]): string {
  // A schema that has a sentence of its own knows better.
  if (issue.code === 'too_small' && issue.message.startsWith('Too small'))
    return issue.origin in PARTS && issue.minimum === 1
      ? 'must not be empty'
      : limitText(issue, issue.minimum, ['or more', 'more than'])
  if (issue.code === 'too_big' && issue.message.startsWith('Too big'))
    return limitText(issue, issue.maximum, ['or less', 'less than'])
  if (issue.code !== 'unrecognized_keys') return issue.message
  return issue.keys
    .map((key) => {
      const near = nearest(key, known)
      return near === undefined
        ? `unknown field "${key}": remove it`
        : `unknown field "${key}": did you mean "${near}"?`
    })
    .join('; ')
}

/** What values that are no numbers are counted in. */
const PARTS: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' }

function limitText(
  { origin, inclusive }: { readonly origin: string; readonly inclusive?: boolean },
  limit: number | bigint,
  [including, beyond]: readonly [string, string],
): string {
  const verb = origin in PARTS ? 'must have' : 'must be'
  const parts = PARTS[origin] ?? ''
  return inclusive === false
    ? `${verb} ${beyond} ${limit}${parts}`
    : `${verb} ${limit}${parts} ${including}`
}

/** The candidate within two edits of `word`, if there is one. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = 3
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein's distance, two rows at a time. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}
