/** The parameters of a request that mean something to us; all others are ignored, as Kubernetes does. */
export interface Query {
  readonly labelSelector: string
  readonly metricLabelSelector: string
  /** Of `/readings`. */
  readonly signal: string
  readonly pretty: boolean
  readonly watch: boolean
}

export const NO_QUERY: Query = {
  labelSelector: '',
  metricLabelSelector: '',
  signal: '',
  pretty: false,
  watch: false,
}

/**
 * Reads a query string (without `?`); of a parameter given twice the first counts. Undefined where one of
 * ours is not valid percent-encoded UTF-8.
 */
export function parseQuery(text: string): Query | undefined {
  if (text === '') return NO_QUERY
  const found = new Map<string, string>()
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=')
    const key = equals === -1 ? pair : pair.slice(0, equals)
    if (!NAMES.has(key) || found.has(key)) continue
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1))
    if (value === undefined) return undefined
    found.set(key, value)
  }
  return {
    labelSelector: found.get('labelSelector') ?? '',
    metricLabelSelector: found.get('metricLabelSelector') ?? '',
    signal: found.get('signal') ?? '',
    pretty: isTrue(found.get('pretty')),
    watch: isTrue(found.get('watch')),
  }
}

const NAMES: ReadonlySet<string> = new Set([
  'labelSelector',
  'metricLabelSelector',
  'signal',
  'pretty',
  'watch',
])

/** A parameter that is there without a value counts as set. */
function isTrue(value: string | undefined): boolean {
  return value !== undefined && value !== 'false' && value !== '0'
}

/** Form encoding: `+` is a space. */
function decode(raw: string): string | undefined {
  const spaced = raw.includes('+') ? raw.replaceAll('+', ' ') : raw
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return undefined
  }
}
