import type { SignalReader } from '../../src/ports.ts'
import { discoveryOf, resourceListObject } from './discovery.ts'
import type { Discovery, ResourceList } from './discovery.ts'
import { resourceListProtobuf } from './encodeProtobuf.ts'
import {
  acceptedRanges,
  discoveryFormFor,
  encodingFor,
  JSON_TYPE,
  PROTOBUF_TYPE,
} from './negotiate.ts'
import { fixedDocument, openapiV2, openapiV3, openapiV3Index } from './openapi.ts'
import type { FixedDocument } from './openapi.ts'
import { CUSTOM_GROUP, DOCUMENT_PATHS, EXTERNAL_GROUP } from './paths.ts'
import type { DocumentName } from './paths.ts'

export interface DocumentAnswer {
  readonly contentType: string
  /** Protobuf: a byte in each character. */
  readonly body: string
  readonly etag?: string
}

/** Gives the documents; undefined: none of the accepted types is there (406, see `offered`). */
export type Documents = (
  name: Exclude<DocumentName, 'metrics' | 'readings'>,
  accept: string | undefined,
) => DocumentAnswer | undefined

/** What documents can be had as, for a 406. */
export const OFFERED_TYPES = [JSON_TYPE]

/**
 * Documents are made once per generation of the signals and kept as text: what they cost does not follow
 * how often an aggregator polls them.
 */
export function createDocuments(reader: SignalReader, productVersion: string): Documents {
  const fixed = fixedDocuments(productVersion)
  let generation = NaN
  let built: Built | undefined
  const current = (): Built => {
    if (built === undefined || generation !== reader.generation) {
      generation = reader.generation
      built = build(discoveryOf(reader))
    }
    return built
  }
  return (name, accept) => {
    switch (name) {
      case 'groups':
        return groups(current(), accept)
      case 'customV1beta1':
      case 'customV1beta2':
      case 'externalV1beta1':
        return resourceList(current().lists[name], accept)
      case 'customGroup':
      case 'externalGroup':
        return plain(current().texts[name], accept)
      case 'root':
      case 'version':
      case 'openapiV2':
      case 'openapiV3':
      case 'openapiCustomV1beta1':
      case 'openapiCustomV1beta2':
      case 'openapiExternalV1beta1':
        return plain(fixed[name], accept)
    }
  }
}

interface Built {
  readonly texts: Readonly<Record<'groups' | 'customGroup' | 'externalGroup', FixedDocument>>
  readonly aggregated: Readonly<Record<'v2' | 'v2beta1', FixedDocument>>
  readonly lists: Readonly<Record<'customV1beta1' | 'customV1beta2' | 'externalV1beta1', BuiltList>>
}

interface BuiltList {
  readonly list: ResourceList
  readonly json: FixedDocument
}

function build(discovery: Discovery): Built {
  const list = (one: ResourceList): BuiltList => ({
    list: one,
    json: fixedDocument(resourceListObject(one)),
  })
  return {
    texts: {
      groups: fixedDocument(discovery.groups),
      customGroup: fixedDocument(discovery.customGroup),
      externalGroup: fixedDocument(discovery.externalGroup),
    },
    aggregated: {
      v2: fixedDocument(discovery.aggregated.v2),
      v2beta1: fixedDocument(discovery.aggregated.v2beta1),
    },
    lists: {
      customV1beta1: list(discovery.customV1beta1),
      customV1beta2: list(discovery.customV1beta2),
      externalV1beta1: list(discovery.externalV1beta1),
    },
  }
}

type FixedName =
  | 'root'
  | 'version'
  | 'openapiV2'
  | 'openapiV3'
  | 'openapiCustomV1beta1'
  | 'openapiCustomV1beta2'
  | 'openapiExternalV1beta1'

function fixedDocuments(productVersion: string): Readonly<Record<FixedName, FixedDocument>> {
  const [major = '0', minor = '0'] = productVersion.split('.')
  const v3 = (group: string, version: string): FixedDocument =>
    openapiV3(group, version, productVersion) ?? fixedDocument({})
  return {
    root: fixedDocument({ paths: DOCUMENT_PATHS }),
    version: fixedDocument({
      major,
      minor,
      gitVersion: `v${productVersion}`,
      gitCommit: '',
      gitTreeState: '',
      buildDate: '1970-01-01T00:00:00Z',
      goVersion: '',
      compiler: 'node',
      platform: `${process.platform}/${process.arch}`,
    }),
    openapiV2: openapiV2(productVersion),
    openapiV3: openapiV3Index(productVersion),
    openapiCustomV1beta1: v3(CUSTOM_GROUP, 'v1beta1'),
    openapiCustomV1beta2: v3(CUSTOM_GROUP, 'v1beta2'),
    openapiExternalV1beta1: v3(EXTERNAL_GROUP, 'v1beta1'),
  }
}

function groups(built: Built, accept: string | undefined): DocumentAnswer | undefined {
  const form = discoveryFormFor(accept)
  if (form === undefined) return undefined
  if (form === 'plain')
    return { contentType: JSON_TYPE, body: built.texts.groups.text, etag: built.texts.groups.etag }
  const { text, etag } = built.aggregated[form]
  return {
    contentType: `${JSON_TYPE};g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`,
    body: text,
    etag,
  }
}

function resourceList(built: BuiltList, accept: string | undefined): DocumentAnswer | undefined {
  switch (encodingFor(accept)) {
    case 'protobuf':
      return {
        contentType: PROTOBUF_TYPE,
        body: resourceListProtobuf(built.list.groupVersion, built.list.resources),
      }
    case 'json':
      return { contentType: JSON_TYPE, body: built.json.text, etag: built.json.etag }
    case undefined:
      return undefined
  }
}

function plain(document: FixedDocument, accept: string | undefined): DocumentAnswer | undefined {
  if (!acceptsJson(accept)) return undefined
  return { contentType: JSON_TYPE, body: document.text, etag: document.etag }
}

function acceptsJson(accept: string | undefined): boolean {
  if (accept === undefined || accept === '') return true
  return acceptedRanges(accept).some(
    ({ type, parameters }) =>
      !parameters.has('as') && (type === JSON_TYPE || type === '*/*' || type === 'application/*'),
  )
}
