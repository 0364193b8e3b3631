import { createHash } from 'node:crypto'
import { CUSTOM_GROUP, EXTERNAL_GROUP } from './paths.ts'

/** A JSON document that does not change, with its strong ETag. */
export interface FixedDocument {
  readonly text: string
  readonly etag: string
}

export function fixedDocument(content: object): FixedDocument {
  const text = JSON.stringify(content)
  const hash = createHash('sha256').update(text).digest('hex').toUpperCase()
  return { text, etag: `"${hash}"` }
}

interface ServedVersion {
  readonly group: string
  readonly version: string
  readonly kind: string
  /** Name prefix of the schemas, as k8s.io/metrics names its packages. */
  readonly prefix: string
}

const SERVED: readonly ServedVersion[] = [
  served(CUSTOM_GROUP, 'v1beta1', 'MetricValueList', 'custom_metrics'),
  served(CUSTOM_GROUP, 'v1beta2', 'MetricValueList', 'custom_metrics'),
  served(EXTERNAL_GROUP, 'v1beta1', 'ExternalMetricValueList', 'external_metrics'),
]

function served(group: string, version: string, kind: string, folder: string): ServedVersion {
  return { group, version, kind, prefix: `io.k8s.metrics.pkg.apis.${folder}.${version}` }
}

/** Swagger 2.0 for `/openapi/v2`: kube-apiserver merges it into its own. */
export function openapiV2(productVersion: string): FixedDocument {
  const point = (name: string): string => `#/definitions/${name}`
  return fixedDocument({
    swagger: '2.0',
    info: info(productVersion),
    paths: Object.assign({}, ...SERVED.map((one) => pathsV2(one, point))) as object,
    definitions: Object.assign({}, ...SERVED.map((one) => schemas(one, point))) as object,
  })
}

/** OpenAPI 3.0 for one group and version; undefined for one that is not served. */
export function openapiV3(
  group: string,
  version: string,
  productVersion: string,
): FixedDocument | undefined {
  const one = SERVED.find((known) => known.group === group && known.version === version)
  if (one === undefined) return undefined
  const point = (name: string): string => `#/components/schemas/${name}`
  return fixedDocument({
    openapi: '3.0.0',
    info: info(productVersion),
    paths: pathsV3(one, point),
    components: { schemas: schemas(one, point) },
  })
}

/** `/openapi/v3`: where the documents are; the hash in the address lets clients keep them for ever. */
export function openapiV3Index(productVersion: string): FixedDocument {
  const paths = SERVED.map(({ group, version }) => {
    const hash = openapiV3(group, version, productVersion)?.etag.replaceAll('"', '') ?? ''
    const path = `apis/${group}/${version}`
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }]
  })
  return fixedDocument({ paths: Object.fromEntries(paths) as object })
}

type Pointer = (name: string) => string

function info(version: string): object {
  return { title: 'Tideline', version }
}

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly description: string
}

function parametersOf(path: string): Parameter[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']): Parameter => ({
    name,
    in: 'path',
    description: PARAMETERS[name] ?? name,
  }))
  const selectors = path.includes('/{name}/')
    ? ['labelSelector', 'metricLabelSelector']
    : path.endsWith('/metrics/{metric}')
      ? ['metricLabelSelector']
      : ['labelSelector']
  return [
    ...inPath,
    ...selectors.map((name): Parameter => ({
      name,
      in: 'query',
      description: PARAMETERS[name] ?? name,
    })),
  ]
}

const PARAMETERS: Readonly<Record<string, string>> = {
  namespace: 'namespace of the signal',
  resource:
    'plural of the described objects with their API group, such as pods or deployments.apps',
  name: 'name of the object, or * for all that labelSelector selects',
  metric: 'name of the metric',
  labelSelector: 'for pods: which of them; for external metrics: which label groups',
  metricLabelSelector: 'which label groups of the metric',
}

function pathsOf({ group, version }: ServedVersion): string[] {
  const base = `/apis/${group}/${version}`
  if (group === EXTERNAL_GROUP) return [`${base}/namespaces/{namespace}/{metric}`]
  return [
    `${base}/namespaces/{namespace}/{resource}/{name}/{metric}`,
    `${base}/namespaces/{namespace}/metrics/{metric}`,
    `${base}/{resource}/{name}/{metric}`,
  ]
}

function operation(one: ServedVersion, path: string, index: number): object {
  return {
    operationId: `get${one.group === EXTERNAL_GROUP ? 'External' : 'Custom'}Metric${one.version}${index}`,
    description: `read the present values of a metric: ${path}`,
    tags: [`${one.group}_${one.version}`],
    'x-kubernetes-action': 'get',
    'x-kubernetes-group-version-kind': kindOf(one),
  }
}

function kindOf({ group, version, kind }: ServedVersion): object {
  return { group, version, kind }
}

function pathsV2(one: ServedVersion, point: Pointer): object {
  const entries = pathsOf(one).map((path, index) => [
    path,
    {
      get: {
        ...operation(one, path, index),
        produces: ['application/json', 'application/vnd.kubernetes.protobuf'],
        parameters: parametersOf(path).map((parameter) => ({
          ...parameter,
          type: 'string',
          required: parameter.in === 'path',
          uniqueItems: true,
        })),
        responses: {
          200: { description: 'OK', schema: { $ref: point(`${one.prefix}.${one.kind}`) } },
        },
      },
    },
  ])
  return Object.fromEntries(entries) as object
}

function pathsV3(one: ServedVersion, point: Pointer): object {
  const schema = { $ref: point(`${one.prefix}.${one.kind}`) }
  const entries = pathsOf(one).map((path, index) => [
    path,
    {
      get: {
        ...operation(one, path, index),
        parameters: parametersOf(path).map((parameter) => ({
          ...parameter,
          required: parameter.in === 'path',
          schema: { type: 'string' },
        })),
        responses: {
          200: {
            description: 'OK',
            content: {
              'application/json': { schema },
              'application/vnd.kubernetes.protobuf': { schema },
            },
          },
        },
      },
    },
  ])
  return Object.fromEntries(entries) as object
}

const STRING = { type: 'string' }
const TIME = { type: 'string', format: 'date-time', description: 'when the data was true' }
const WINDOW = {
  type: 'integer',
  format: 'int64',
  description: 'seconds over which the value was computed; left out for an instant',
}
const QUANTITY = { type: 'string', description: 'a Kubernetes quantity, such as 1500m' }
const LIST_META = { type: 'object', properties: { resourceVersion: STRING } }
const SELECTOR = {
  type: 'object',
  nullable: true,
  description: 'the metric selector that was asked for',
  properties: {
    matchLabels: { type: 'object', additionalProperties: STRING },
    matchExpressions: {
      type: 'array',
      items: {
        type: 'object',
        required: ['key', 'operator'],
        properties: { key: STRING, operator: STRING, values: { type: 'array', items: STRING } },
      },
    },
  },
}
const REFERENCE = {
  type: 'object',
  description: 'the object that the value is of',
  properties: { kind: STRING, namespace: STRING, name: STRING, apiVersion: STRING },
}

function schemas(one: ServedVersion, point: Pointer): object {
  const item = one.kind.replace('List', '')
  return {
    [`${one.prefix}.${item}`]: itemSchema(one),
    [`${one.prefix}.${one.kind}`]: {
      type: 'object',
      description: `the present values of one metric`,
      required: ['items'],
      properties: {
        apiVersion: STRING,
        kind: STRING,
        metadata: LIST_META,
        items: { type: 'array', items: { $ref: point(`${one.prefix}.${item}`) } },
      },
      'x-kubernetes-group-version-kind': [kindOf(one)],
    },
  }
}

function itemSchema({ group, version }: ServedVersion): object {
  if (group === EXTERNAL_GROUP)
    return {
      type: 'object',
      required: ['metricName', 'metricLabels', 'timestamp', 'value'],
      properties: {
        metricName: STRING,
        metricLabels: { type: 'object', additionalProperties: STRING },
        timestamp: TIME,
        window: WINDOW,
        value: QUANTITY,
      },
    }
  if (version === 'v1beta1')
    return {
      type: 'object',
      required: ['describedObject', 'metricName', 'timestamp', 'value'],
      properties: {
        describedObject: REFERENCE,
        metricName: STRING,
        timestamp: TIME,
        window: WINDOW,
        value: QUANTITY,
        selector: SELECTOR,
      },
    }
  return {
    type: 'object',
    required: ['describedObject', 'metric', 'timestamp', 'value'],
    properties: {
      describedObject: REFERENCE,
      metric: {
        type: 'object',
        required: ['name'],
        properties: { name: STRING, selector: SELECTOR },
      },
      timestamp: TIME,
      windowSeconds: WINDOW,
      value: QUANTITY,
    },
  }
}
