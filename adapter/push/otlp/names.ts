/**
 * Names of OpenTelemetry as Prometheus writes them when it takes OTLP in (its default translation): so a metric has
 * one name, whichever way it comes.
 */

const UNITS = new Map<string, string>([
  ...Object.entries({ d: 'days', h: 'hours', min: 'minutes', s: 'seconds', ms: 'milliseconds' }),
  ...Object.entries({ us: 'microseconds', ns: 'nanoseconds', '%': 'percent', '1': '' }),
  ...Object.entries({ By: 'bytes', KiBy: 'kibibytes', MiBy: 'mebibytes', GiBy: 'gibibytes' }),
  ...Object.entries({ TiBy: 'tibibytes', KBy: 'kilobytes', MBy: 'megabytes', GBy: 'gigabytes' }),
  ...Object.entries({ TBy: 'terabytes', m: 'meters', V: 'volts', A: 'amperes', J: 'joules' }),
  ...Object.entries({ W: 'watts', g: 'grams', Cel: 'celsius', Hz: 'hertz' }),
])
const PER = new Map<string, string>([
  ...Object.entries({ s: 'second', m: 'minute', h: 'hour', d: 'day' }),
  ...Object.entries({ w: 'week', mo: 'month', y: 'year' }),
])

/**
 * `http.server.request.duration` in `s` is `http_server_request_duration_seconds`; a counter ends in `_total`, a
 * gauge of unit `1` in `_ratio`. Units in braces are remarks.
 */
export function metricName(
  name: string,
  unit: string,
  kind: 'counter' | 'gauge' | 'other',
): string {
  const words = name.split(/[^a-zA-Z0-9:]+/).filter((word) => word !== '')
  const slash = unit.includes('/') ? unit.indexOf('/') : unit.length
  append(words, wordOf(unit.slice(0, slash).trim(), UNITS))
  // Also where the name says so already: what it is looked for as, `per_second`, is no one word of it.
  const denominator = wordOf(unit.slice(slash + 1).trim(), PER)
  if (denominator !== '') words.push('per', denominator)
  if (kind === 'counter') last(words, 'total')
  if (kind === 'gauge' && unit === '1') last(words, 'ratio')
  const joined = words.join('_')
  return /^[0-9]/.test(joined) ? `_${joined}` : joined
}

/** `http.request.method` is `http_request_method`; what begins with a digit gets `key_` before it. */
export function labelName(key: string): string {
  const name = key.replaceAll(/[^a-zA-Z0-9_]/g, '_')
  if (/^[0-9]/.test(name)) return `key_${name}`
  return name.startsWith('_') && !name.startsWith('__') ? `key${name}` : name
}

function wordOf(unit: string, words: ReadonlyMap<string, string>): string {
  if (unit === '' || /[{}]/.test(unit)) return ''
  return (
    words.get(unit) ??
    unit
      .split(/[^a-zA-Z0-9]+/)
      .filter(Boolean)
      .join('_')
  )
}

function append(words: string[], word: string): void {
  if (word !== '' && !words.includes(word)) words.push(word)
}

function last(words: string[], word: string): void {
  const kept = words.filter((each) => each !== word)
  words.splice(0, words.length, ...kept, word)
}
