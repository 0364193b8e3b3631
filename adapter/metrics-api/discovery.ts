import type { SignalReader } from '../../src/ports.ts'
import type { ApiResource } from './encodeProtobuf.ts'
import type { DiscoveryVersion } from './negotiate.ts'
import { CUSTOM_GROUP, EXTERNAL_GROUP } from './paths.ts'

export interface ResourceList {
  readonly groupVersion: string
  readonly resources: readonly ApiResource[]
}

/** All discovery documents of one generation of signals, as plain objects. */
export interface Discovery {
  readonly groups: object
  readonly customGroup: object
  readonly externalGroup: object
  readonly customV1beta1: ResourceList
  readonly customV1beta2: ResourceList
  readonly externalV1beta1: ResourceList
  readonly aggregated: Readonly<Record<DiscoveryVersion, object>>
}

/**
 * What `/apis…` says of the signals. Depends on what is declared alone, never on readings or an upstream:
 * the aggregator judges our availability by it. The lists are never empty, because clients take an empty
 * one for a broken server, and offer no verb but `get`, so that namespace deletion and garbage collection
 * do not walk them.
 */
export function discoveryOf(reader: SignalReader): Discovery {
  const custom = customResources(reader)
  const external = externalResources(reader)
  const customGroup = group(CUSTOM_GROUP, ['v1beta2', 'v1beta1'])
  const externalGroup = group(EXTERNAL_GROUP, ['v1beta1'])
  return {
    groups: {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: [customGroup, externalGroup],
    },
    customGroup: { kind: 'APIGroup', apiVersion: 'v1', ...customGroup },
    externalGroup: { kind: 'APIGroup', apiVersion: 'v1', ...externalGroup },
    customV1beta1: { groupVersion: `${CUSTOM_GROUP}/v1beta1`, resources: custom },
    customV1beta2: { groupVersion: `${CUSTOM_GROUP}/v1beta2`, resources: custom },
    externalV1beta1: { groupVersion: `${EXTERNAL_GROUP}/v1beta1`, resources: external },
    aggregated: {
      v2: aggregated('v2', custom, external),
      v2beta1: aggregated('v2beta1', custom, external),
    },
  }
}

export function resourceListObject({ groupVersion, resources }: ResourceList): object {
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources }
}

function group(name: string, versions: readonly [string, ...string[]]): object {
  const listed = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions: listed, preferredVersion: listed[0] }
}

/** Resources in one list; a cluster with more signals than this has other worries than discovery. */
const RESOURCES_MAX = 10_000

function externalResources(reader: SignalReader): ApiResource[] {
  const names = new Set<string>()
  for (const { signal } of reader.all()) {
    if (names.size >= RESOURCES_MAX) break
    if (signal.expose.external !== undefined) names.add(signal.expose.external.name)
  }
  if (names.size === 0) names.add('externalmetrics')
  return [...names].toSorted().map((name) => ({
    name,
    singularName: '',
    namespaced: true,
    kind: 'ExternalMetricValueList',
    verbs: ['get'],
  }))
}

/**
 * `{resource}/{metric}`. A parent that is listed once with a namespace and once without makes clients drop
 * the whole version, so the first scope seen is the parent's.
 */
function customResources(reader: SignalReader): ApiResource[] {
  const scopes = new Map<string, boolean>()
  const names = new Map<string, boolean>()
  for (const { signal } of reader.all()) {
    if (names.size >= RESOURCES_MAX) break
    const custom = signal.expose.custom
    if (custom === undefined) continue
    const { resource } = custom.on
    const namespaced = scopes.get(resource) ?? custom.on.namespaced
    scopes.set(resource, namespaced)
    names.set(`${resource}/${custom.name}`, namespaced)
  }
  if (names.size === 0) names.set('custommetrics', true)
  return [...names]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, namespaced]) => ({
      name,
      singularName: '',
      namespaced,
      kind: 'MetricValueList',
      verbs: ['get'],
    }))
}

function aggregated(
  version: DiscoveryVersion,
  custom: readonly ApiResource[],
  external: readonly ApiResource[],
): object {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: [
      {
        metadata: { name: CUSTOM_GROUP, creationTimestamp: null },
        versions: ['v1beta2', 'v1beta1'].map((one) => ({
          version: one,
          resources: nested(custom, CUSTOM_GROUP, one),
          freshness: 'Current',
        })),
      },
      {
        metadata: { name: EXTERNAL_GROUP, creationTimestamp: null },
        versions: [
          {
            version: 'v1beta1',
            resources: nested(external, EXTERNAL_GROUP, 'v1beta1'),
            freshness: 'Current',
          },
        ],
      },
    ],
  }
}

/**
 * `pods/rps` becomes the subresource `rps` of `pods`. A parent has no kind of its own here, and so does not
 * appear as a resource; a subresource must have one, or clients drop it.
 */
function nested(resources: readonly ApiResource[], groupName: string, version: string): object[] {
  const plain: object[] = []
  const parents = new Map<string, { scope: string; subresources: object[] }>()
  for (const { name, namespaced, kind, verbs } of resources) {
    const slash = name.indexOf('/')
    const scope = namespaced ? 'Namespaced' : 'Cluster'
    const responseKind = { group: groupName, version, kind }
    if (slash === -1) {
      plain.push({ resource: name, responseKind, scope, singularResource: '', verbs })
      continue
    }
    const resource = name.slice(0, slash)
    const parent = parents.get(resource) ?? { scope, subresources: [] }
    parent.subresources.push({ subresource: name.slice(slash + 1), responseKind, verbs })
    parents.set(resource, parent)
  }
  for (const [resource, { scope, subresources }] of parents)
    plain.push({ resource, scope, singularResource: '', verbs: [], subresources })
  return plain
}
