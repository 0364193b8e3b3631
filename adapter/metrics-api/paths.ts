import type { Attributes } from './ports.ts'

export const CUSTOM_GROUP = 'custom.metrics.k8s.io'
export const EXTERNAL_GROUP = 'external.metrics.k8s.io'
export type CustomVersion = 'v1beta1' | 'v1beta2'

/** A value is asked for. `namespace` is '' for an object of the whole cluster. */
export interface CustomRoute {
  readonly kind: 'custom'
  readonly version: CustomVersion
  readonly namespace: string
  /** Plural with its group: `pods`, `deployments.apps`, `namespaces`. */
  readonly resource: string
  /** The object's name; `*` for all objects. */
  readonly name: string
  readonly metric: string
}

export interface ExternalRoute {
  readonly kind: 'external'
  readonly namespace: string
  readonly metric: string
}

export type DocumentName =
  | 'root'
  | 'groups'
  | 'customGroup'
  | 'externalGroup'
  | 'customV1beta1'
  | 'customV1beta2'
  | 'externalV1beta1'
  | 'openapiV2'
  | 'openapiV3'
  | 'openapiCustomV1beta1'
  | 'openapiCustomV1beta2'
  | 'openapiExternalV1beta1'
  | 'version'
  | 'metrics'
  | 'readings'

export type Route =
  | CustomRoute
  | ExternalRoute
  | { readonly kind: 'document'; readonly document: DocumentName; readonly path: string }
  | { readonly kind: 'health' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'unknown'; readonly path: string }
  /** The path cannot be read; `message` is for the one who asked. */
  | { readonly kind: 'malformed'; readonly message: string }

const DOCUMENTS: ReadonlyMap<string, DocumentName> = new Map([
  ['', 'root'],
  ['/apis', 'groups'],
  [`/apis/${CUSTOM_GROUP}`, 'customGroup'],
  [`/apis/${EXTERNAL_GROUP}`, 'externalGroup'],
  [`/apis/${CUSTOM_GROUP}/v1beta1`, 'customV1beta1'],
  [`/apis/${CUSTOM_GROUP}/v1beta2`, 'customV1beta2'],
  [`/apis/${EXTERNAL_GROUP}/v1beta1`, 'externalV1beta1'],
  ['/openapi/v2', 'openapiV2'],
  ['/openapi/v3', 'openapiV3'],
  [`/openapi/v3/apis/${CUSTOM_GROUP}/v1beta1`, 'openapiCustomV1beta1'],
  [`/openapi/v3/apis/${CUSTOM_GROUP}/v1beta2`, 'openapiCustomV1beta2'],
  [`/openapi/v3/apis/${EXTERNAL_GROUP}/v1beta1`, 'openapiExternalV1beta1'],
  ['/version', 'version'],
  ['/metrics', 'metrics'],
  ['/readings', 'readings'],
])

/** All paths with a document, as `/` lists them. */
export const DOCUMENT_PATHS: readonly string[] = [
  ...[...DOCUMENTS.keys()].filter((path) => path !== ''),
  '/healthz',
  '/livez',
  '/readyz',
].toSorted()

const CUSTOM_V1BETA1 = `/apis/${CUSTOM_GROUP}/v1beta1/`
const CUSTOM_V1BETA2 = `/apis/${CUSTOM_GROUP}/v1beta2/`
const EXTERNAL_V1BETA1 = `/apis/${EXTERNAL_GROUP}/v1beta1/`

/**
 * Reads a request path (without its query). One reading serves both authorization and the answer, so that
 * the two cannot disagree; prefixes are compared undecoded, so that an encoded one is simply unknown.
 *
 *     custom     namespaces/{ns}/{resource}/{name}/{metric}    an object, or `*`
 *                namespaces/{ns}/metrics/{metric}              the namespace itself
 *                {resource}/{name}/{metric}                    an object of the whole cluster
 *     external   namespaces/{ns}/{metric}
 */
export function parsePath(path: string): Route {
  if (path.startsWith(EXTERNAL_V1BETA1) && path.length > EXTERNAL_V1BETA1.length)
    return values(path, EXTERNAL_V1BETA1, externalRoute)
  if (path.startsWith(CUSTOM_V1BETA2) && path.length > CUSTOM_V1BETA2.length)
    return values(path, CUSTOM_V1BETA2, (segments) => customRoute('v1beta2', segments))
  if (path.startsWith(CUSTOM_V1BETA1) && path.length > CUSTOM_V1BETA1.length)
    return values(path, CUSTOM_V1BETA1, (segments) => customRoute('v1beta1', segments))
  const plain = path.endsWith('/') ? path.slice(0, -1) : path
  const document = DOCUMENTS.get(plain)
  if (document !== undefined)
    return { kind: 'document', document, path: plain === '' ? '/' : plain }
  if (plain === '/healthz' || plain === '/livez') return { kind: 'health' }
  if (plain === '/readyz') return { kind: 'ready' }
  return { kind: 'unknown', path }
}

function values(
  path: string,
  prefix: string,
  routeOf: (segments: readonly string[]) => Route | undefined,
): Route {
  const segments = path.slice(prefix.length).split('/', SEGMENTS_MAX + 1)
  for (let at = 0; at < segments.length; at += 1) {
    const raw = segments[at] ?? ''
    const decoded = raw.includes('%') ? decode(raw) : raw
    if (decoded === undefined || !isSegmentName(decoded))
      return {
        kind: 'malformed',
        message: `the path segment ${JSON.stringify(raw.slice(0, SHOWN_CHARACTERS_MAX))} is not a name: it must be valid percent-encoded UTF-8 of 1 to ${SEGMENT_CHARACTERS_MAX} characters, not "." or "..", without "/", "%" and control characters`,
      }
    segments[at] = decoded
  }
  return routeOf(segments) ?? { kind: 'unknown', path }
}

const SEGMENTS_MAX = 5
const SEGMENT_CHARACTERS_MAX = 1024
const SHOWN_CHARACTERS_MAX = 100

function externalRoute(segments: readonly string[]): Route | undefined {
  const [namespaces, namespace, metric] = segments
  if (segments.length !== 3 || namespaces !== 'namespaces') return undefined
  if (namespace === undefined || metric === undefined) return undefined
  return { kind: 'external', namespace, metric }
}

function customRoute(version: CustomVersion, segments: readonly string[]): Route | undefined {
  const [a, b, c, d, e] = segments
  if (a === undefined || b === undefined || c === undefined) return undefined
  const base = { kind: 'custom', version } as const
  if (a !== 'namespaces')
    return segments.length === 3
      ? { ...base, namespace: '', resource: a, name: b, metric: c }
      : undefined
  if (segments.length === 4 && c === 'metrics' && d !== undefined)
    return { ...base, namespace: b, resource: 'namespaces', name: b, metric: d }
  if (segments.length === 5 && d !== undefined && e !== undefined)
    return { ...base, namespace: b, resource: c, name: d, metric: e }
  return undefined
}

function decode(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw)
  } catch {
    return undefined
  }
}

/** What Kubernetes takes as a path segment name, without control characters and of bounded length. */
function isSegmentName(segment: string): boolean {
  return (
    segment !== '' &&
    segment.length <= SEGMENT_CHARACTERS_MAX &&
    segment !== '.' &&
    segment !== '..' &&
    // eslint-disable-next-line no-control-regex
    !/[/%\u0000-\u001f\u007f]/.test(segment)
  )
}

/**
 * What is authorized for a route, as kube-apiserver itself would read the path: a custom metric is `get` on
 * the subresource `{metric}` of an object, a namespace's metric `get` on `metrics`, an external one `list`.
 */
export function attributesOf(route: Route, method: string): Attributes {
  switch (route.kind) {
    case 'external':
      return {
        kind: 'resource',
        verb: 'list',
        group: EXTERNAL_GROUP,
        version: 'v1beta1',
        namespace: route.namespace,
        resource: route.metric,
      }
    case 'custom': {
      const { version, namespace, resource, name, metric } = route
      const base = { kind: 'resource', verb: 'get', group: CUSTOM_GROUP, version } as const
      if (namespace === '') return { ...base, resource, name, subresource: metric }
      if (resource === 'namespaces')
        return { ...base, namespace, resource: 'metrics', name: metric }
      return { ...base, namespace, resource, name, subresource: metric }
    }
    case 'document':
    case 'unknown':
      return { kind: 'nonResource', verb: method.toLowerCase(), path: route.path }
    case 'health':
    case 'ready':
    case 'malformed':
      return { kind: 'nonResource', verb: method.toLowerCase(), path: '/' }
  }
}
