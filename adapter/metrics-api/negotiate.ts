/** How an answer is written. */
export type Encoding = 'json' | 'protobuf'

export const JSON_TYPE = 'application/json'
export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf'

/** One range of an `Accept` header; the parameters are those before and after `q` alike. */
export interface AcceptedRange {
  readonly type: string
  readonly quality: number
  readonly parameters: ReadonlyMap<string, string>
}

/** Answers kept by the header's text: a client sends the same one for ever. */
const CACHE_ENTRIES_MAX = 256
const encodings = new Map<string, Encoding | undefined>()

/**
 * The encoding for values, lists and Status; undefined where none of ours is acceptable (406). No header
 * means JSON. A range with `as=` asks for another kind of object (a Table, a discovery list), which values
 * do not have: it is passed over for the next, as kube-apiserver does.
 */
export function encodingFor(accept: string | undefined): Encoding | undefined {
  if (accept === undefined || accept === '') return 'json'
  if (encodings.has(accept)) return encodings.get(accept)
  const encoding = choose(accept)
  if (encodings.size >= CACHE_ENTRIES_MAX) encodings.clear()
  encodings.set(accept, encoding)
  return encoding
}

function choose(accept: string): Encoding | undefined {
  for (const { type, parameters } of acceptedRanges(accept)) {
    if (parameters.has('as') || parameters.has('stream')) continue
    if (type === JSON_TYPE || type === '*/*' || type === 'application/*') return 'json'
    if (type === PROTOBUF_TYPE) return 'protobuf'
  }
  return undefined
}

/** The ranges of an `Accept` header (RFC 9110, 12.5.1), the most wanted first; `q=0` is left out. */
export function acceptedRanges(accept: string): AcceptedRange[] {
  return accept
    .split(',')
    .map(rangeOf)
    .filter(({ type, quality }) => type !== '' && quality > 0)
    .toSorted((a, b) => b.quality - a.quality)
}

function rangeOf(text: string): AcceptedRange {
  const [type = '', ...rest] = text.split(';')
  const parameters = new Map<string, string>()
  for (const parameter of rest) {
    const equals = parameter.indexOf('=')
    if (equals === -1) continue
    const name = parameter.slice(0, equals).trim().toLowerCase()
    parameters.set(name, parameter.slice(equals + 1).trim())
  }
  const quality = Number(parameters.get('q') ?? '1')
  return {
    type: type.trim().toLowerCase(),
    quality: Number.isNaN(quality) ? 0 : quality,
    parameters,
  }
}

export type DiscoveryVersion = 'v2' | 'v2beta1'

/** Which form of `/apis` is wanted: an aggregated version, the plain list, or none of ours. */
export function discoveryFormFor(
  accept: string | undefined,
): DiscoveryVersion | 'plain' | undefined {
  if (accept === undefined || accept === '') return 'plain'
  for (const { type, parameters } of acceptedRanges(accept)) {
    if (type !== JSON_TYPE && type !== '*/*' && type !== 'application/*') continue
    const as = parameters.get('as')
    if (as === undefined) return 'plain'
    const version = parameters.get('v')
    const ours = as === 'APIGroupDiscoveryList' && parameters.get('g') === 'apidiscovery.k8s.io'
    if (ours && (version === 'v2' || version === 'v2beta1')) return version
  }
  return undefined
}
