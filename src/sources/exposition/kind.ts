import type { SampleKind } from '../../model.ts'

/** Types of metric families, in both formats. */
const FAMILY_TYPES = [
  'counter',
  'gauge',
  'histogram',
  'gaugehistogram',
  'summary',
  'info',
  'stateset',
  'unknown',
  'untyped',
] as const
export type FamilyType = (typeof FAMILY_TYPES)[number]

export function familyTypeOf(text: string): FamilyType | undefined {
  return FAMILY_TYPES.find((type) => type === text)
}

/** Which families may own a sample with each suffix (OpenMetrics 1.0, "MetricFamily"; text format, histograms). */
const SUFFIX_OWNERS: Readonly<Record<string, readonly FamilyType[]>> = {
  _total: ['counter'],
  _created: ['counter', 'histogram', 'summary'],
  _bucket: ['histogram', 'gaugehistogram'],
  _sum: ['histogram', 'summary'],
  _count: ['histogram', 'summary'],
  _gsum: ['gaugehistogram'],
  _gcount: ['gaugehistogram'],
  _info: ['info'],
}

const SUFFIX = /_(?:total|created|bucket|sum|count|gsum|gcount|info)$/

/** A sample name taken apart: `base` is the family's name where the suffix belongs to the family. */
export interface SampleName {
  readonly name: string
  readonly base: string
  readonly suffix: string
}

export function sampleNameOf(name: string): SampleName {
  const suffix = SUFFIX.exec(name)?.[0] ?? ''
  return { name, base: name.slice(0, name.length - suffix.length), suffix }
}

/** What the family of a sample is, by the TYPE lines read so far. */
export function familyOf(
  types: ReadonlyMap<string, FamilyType>,
  { name, base, suffix }: SampleName,
): FamilyType | undefined {
  const own = types.get(name)
  if (own !== undefined || suffix === '') return own
  const type = types.get(base)
  return type !== undefined && SUFFIX_OWNERS[suffix]?.includes(type) === true ? type : undefined
}

/** How a sample is to be read. Without a type, the conventional suffixes tell. */
export function kindOf(family: FamilyType | undefined, { suffix }: SampleName): SampleKind {
  switch (family) {
    case 'counter':
    case 'histogram':
      return 'cumulative'
    case 'summary':
      return suffix === '_sum' || suffix === '_count' ? 'cumulative' : 'gauge'
    case 'gauge':
    case 'gaugehistogram':
    case 'info':
    case 'stateset':
      return 'gauge'
    case 'unknown':
    case 'untyped':
    case undefined:
      return CUMULATIVE_SUFFIXES.has(suffix) ? 'cumulative' : 'gauge'
  }
}
const CUMULATIVE_SUFFIXES: ReadonlySet<string> = new Set(['_total', '_count', '_sum', '_bucket'])
