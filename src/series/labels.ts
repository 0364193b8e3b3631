import type { Labels, Matcher, Selection, Series, SeriesName } from '../model.ts'

export interface LabelLimits {
  readonly labelsMax: number
  /** Longest label name, label value and metric name, in UTF-16 units. */
  readonly labelLengthMax: number
}

/**
 * What tells one series of an origin from another, as text: metric and labels in the order of their names,
 * each with its length before it, so that no two different sets give one text. Undefined if the labels
 * pass a limit. An empty value is an absent label.
 */
export function seriesKey(metric: string, labels: Labels, limits: LabelLimits): string | undefined {
  const names = Object.keys(labels)
  if (metric === '' || metric.length > limits.labelLengthMax) return undefined
  let key = `${metric.length}:${metric}`
  let count = 0
  names.sort()
  for (const name of names) {
    const value = labels[name]
    if (typeof value !== 'string' || name === '') return undefined
    if (value === '') continue
    count += 1
    if (name.length > limits.labelLengthMax || value.length > limits.labelLengthMax)
      return undefined
    key += `${name.length}:${name}${value.length}:${value}`
  }
  return count > limits.labelsMax ? undefined : key
}

/** Labels as the store keeps them: frozen, without empty values; the same object where it already is so. */
export function storedLabels(labels: Labels): Labels {
  const entries = Object.entries(labels)
  if (Object.isFrozen(labels) && entries.every(([, value]) => value !== '')) return labels
  return Object.freeze(Object.fromEntries(entries.filter(([, value]) => value !== '')))
}

const PATTERNS_MAX = 1000
const patterns = new Map<string, RegExp>()

/**
 * A matcher's pattern, matched against the whole value as Prometheus does; the dot matches line breaks too.
 * A leading `(?i)` is understood. Throws a SyntaxError for what is no pattern: configuration refuses it first.
 */
export function anchoredPattern(pattern: string): RegExp {
  const known = patterns.get(pattern)
  if (known !== undefined) return known
  const caseless = pattern.startsWith('(?i)')
  const compiled = new RegExp(
    `^(?:${caseless ? pattern.slice(4) : pattern})$`,
    caseless ? 'si' : 's',
  )
  if (patterns.size >= PATTERNS_MAX) patterns.clear()
  patterns.set(pattern, compiled)
  return compiled
}

/** A test of a series against all matchers; an absent label counts as the empty value. */
export function seriesTest(
  matchers: readonly Matcher[],
): (series: Pick<Series, 'labels'>) => boolean {
  const tests = matchers.map(matcherTest)
  return (series) => {
    for (const [label, test] of tests) if (!test(valueOf(series.labels, label))) return false
    return true
  }
}

/** Whether any of the series that are named is selected. */
export function hasAny(
  names: readonly SeriesName[],
  { metric, matchers }: Pick<Selection, 'metric' | 'matchers'>,
): boolean {
  const ofMetric = names.filter((name) => name.metric === metric)
  if (ofMetric.length === 0) return false
  return ofMetric.some(seriesTest(matchers))
}

/** An own property only, so that a label named like a member of Object is still absent. */
function valueOf(labels: Labels, label: string): string {
  return Object.hasOwn(labels, label) ? (labels[label] ?? '') : ''
}

function matcherTest(matcher: Matcher): readonly [string, (value: string) => boolean] {
  const { label, operator, value: wanted } = matcher
  switch (operator) {
    case '=':
      return [label, (value) => value === wanted]
    case '!=':
      return [label, (value) => value !== wanted]
    case '=~': {
      const pattern = anchoredPattern(wanted)
      return [label, (value) => pattern.test(value)]
    }
    case '!~': {
      const pattern = anchoredPattern(wanted)
      return [label, (value) => !pattern.test(value)]
    }
  }
}
