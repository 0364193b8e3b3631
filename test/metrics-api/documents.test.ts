import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { SignalReadings } from '../../src/model.ts'
import { absent, custom, external, fresh, NODE, POD, readerOf, serve } from './fakes.ts'
import type { Served } from './fakes.ts'

const V2 =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList'

const all: SignalReadings[] = []
const reader = readerOf(all)
let served: Served
beforeAll(async () => {
  served = await serve({ reader })
})
afterAll(() => served.close())
beforeEach(() => {
  all.length = 0
  reader.generation += 1
})

function declare(): void {
  all.push(
    external('queue', [], fresh({}, 1)),
    external('down', [], absent({}, 'source-failing', 'refused')),
    custom('rps', POD, ['pod'], absent({}, 'no-series', 'none')),
    custom('load', NODE, ['node'], fresh({ node: 'a' }, 1)),
    // The same parent in the other scope: clients would drop the whole version.
    custom('odd', { ...NODE, namespaced: true }, ['node'], fresh({ node: 'a' }, 1)),
  )
}

test('the group list and the groups name their versions, the preferred first', async () => {
  const customGroup = {
    name: 'custom.metrics.k8s.io',
    versions: [
      { groupVersion: 'custom.metrics.k8s.io/v1beta2', version: 'v1beta2' },
      { groupVersion: 'custom.metrics.k8s.io/v1beta1', version: 'v1beta1' },
    ],
    preferredVersion: { groupVersion: 'custom.metrics.k8s.io/v1beta2', version: 'v1beta2' },
  }
  const only = { groupVersion: 'external.metrics.k8s.io/v1beta1', version: 'v1beta1' }
  const externalGroup = {
    name: 'external.metrics.k8s.io',
    versions: [only],
    preferredVersion: only,
  }
  expect((await served.get('/apis', 'application/json')).json()).toEqual({
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: [customGroup, externalGroup],
  })
  expect((await served.get('/apis/custom.metrics.k8s.io')).json()).toEqual({
    kind: 'APIGroup',
    apiVersion: 'v1',
    ...customGroup,
  })
  expect((await served.get('/apis/external.metrics.k8s.io')).json()).toEqual({
    kind: 'APIGroup',
    apiVersion: 'v1',
    ...externalGroup,
  })
})

describe('resource lists', () => {
  test('list what is declared, whatever its readings are', async () => {
    declare()
    const metric = { singularName: '', verbs: ['get'] }
    for (const version of ['v1beta1', 'v1beta2'])
      expect((await served.get(`/apis/custom.metrics.k8s.io/${version}`)).json()).toEqual({
        kind: 'APIResourceList',
        apiVersion: 'v1',
        groupVersion: `custom.metrics.k8s.io/${version}`,
        resources: [
          { ...metric, name: 'nodes/load', namespaced: false, kind: 'MetricValueList' },
          { ...metric, name: 'nodes/odd', namespaced: false, kind: 'MetricValueList' },
          { ...metric, name: 'pods/rps', namespaced: true, kind: 'MetricValueList' },
        ],
      })
    const got = await served.get('/apis/external.metrics.k8s.io/v1beta1')
    expect(got.json()).toMatchObject({
      resources: [
        { name: 'down', namespaced: true, kind: 'ExternalMetricValueList', verbs: ['get'] },
        { name: 'queue', namespaced: true, kind: 'ExternalMetricValueList', verbs: ['get'] },
      ],
    })
  })

  test('are never empty', async () => {
    expect((await served.get('/apis/external.metrics.k8s.io/v1beta1')).json()).toMatchObject({
      resources: [{ name: 'externalmetrics', verbs: ['get'] }],
    })
    expect((await served.get('/apis/custom.metrics.k8s.io/v1beta2')).json()).toMatchObject({
      resources: [{ name: 'custommetrics', verbs: ['get'] }],
    })
    for (const { versions } of await aggregated())
      for (const { resources } of versions) expect(resources).toHaveLength(1)
  })

  test('come as protobuf as well', async () => {
    const got = await served.get(
      '/apis/external.metrics.k8s.io/v1beta1',
      'application/vnd.kubernetes.protobuf, */*',
    )
    expect(got.type).toBe('application/vnd.kubernetes.protobuf')
    expect(got.bytes.toString('latin1')).toContain('externalmetrics')
  })
})

interface Group {
  readonly metadata: { readonly name: string }
  readonly versions: readonly {
    readonly version: string
    readonly freshness: string
    readonly resources: readonly object[]
  }[]
}

async function aggregated(): Promise<readonly Group[]> {
  return ((await served.get('/apis', V2)).json() as { items: readonly Group[] }).items
}

describe('aggregated discovery', () => {
  test('nests metrics under their parent, each with a kind', async () => {
    declare()
    const got = await served.get('/apis', V2)
    expect(got.type).toBe('application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList')
    const [customGroup, externalGroup] = await aggregated()
    expect(customGroup?.metadata.name).toBe('custom.metrics.k8s.io')
    expect(customGroup?.versions.map(({ version }) => version)).toEqual(['v1beta2', 'v1beta1'])
    const responseKind = {
      group: 'custom.metrics.k8s.io',
      version: 'v1beta2',
      kind: 'MetricValueList',
    }
    expect(customGroup?.versions[0]?.resources).toEqual([
      {
        resource: 'nodes',
        scope: 'Cluster',
        singularResource: '',
        verbs: [],
        subresources: [
          { subresource: 'load', responseKind, verbs: ['get'] },
          { subresource: 'odd', responseKind, verbs: ['get'] },
        ],
      },
      {
        resource: 'pods',
        scope: 'Namespaced',
        singularResource: '',
        verbs: [],
        subresources: [{ subresource: 'rps', responseKind, verbs: ['get'] }],
      },
    ])
    expect(externalGroup?.versions[0]).toMatchObject({
      freshness: 'Current',
      resources: [
        {
          resource: 'down',
          scope: 'Namespaced',
          responseKind: { version: 'v1beta1', kind: 'ExternalMetricValueList' },
        },
        { resource: 'queue' },
      ],
    })
  })

  test.each([
    [V2, 'v=v2;'],
    ['application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList', 'v=v2beta1;'],
  ])('%s', async (accept, version) => {
    const got = await served.get('/apis', accept)
    expect(got.status).toBe(200)
    expect(got.type).toContain(version)
  })

  test('a form that is not known is refused', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList'
    expect((await served.get('/apis', accept)).status).toBe(406)
    expect((await served.get('/apis', `${accept},application/json`)).json()).toMatchObject({
      kind: 'APIGroupList',
    })
  })

  test('is not sent again while the signals stay', async () => {
    const first = await served.get('/apis', V2)
    const etag = first.headers.etag ?? ''
    expect(etag).toMatch(/^"[0-9A-F]{64}"$/)
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`]) {
      const again = await served.get('/apis', V2, { headers: { 'if-none-match': tag } })
      expect([again.status, again.text, again.headers.etag]).toEqual([304, '', etag])
    }
    declare()
    reader.generation += 1
    const changed = await served.get('/apis', V2, { headers: { 'if-none-match': etag } })
    expect(changed.status).toBe(200)
    expect(changed.headers.etag).not.toBe(etag)
    const plain = await served.get('/apis', 'application/json')
    expect(plain.headers.etag).not.toBe(changed.headers.etag)
  })
})

describe('OpenAPI', () => {
  test('v2 is a Swagger document whose references lead somewhere', async () => {
    const got = await served.get('/openapi/v2', 'application/json')
    const document = got.json() as { swagger: string; definitions: Record<string, object> }
    expect(document.swagger).toBe('2.0')
    expectReferences(got.text, '#/definitions/', document.definitions)
    const etag = got.headers.etag ?? ''
    const again = await served.get('/openapi/v2', 'application/json', {
      headers: { 'if-none-match': etag },
    })
    expect(again.status).toBe(304)
  })

  test('v3 lists a document for each version, whose references lead somewhere', async () => {
    const index = (await served.get('/openapi/v3')).json() as {
      paths: Record<string, { serverRelativeURL: string }>
    }
    expect(Object.keys(index.paths)).toEqual([
      'apis/custom.metrics.k8s.io/v1beta1',
      'apis/custom.metrics.k8s.io/v1beta2',
      'apis/external.metrics.k8s.io/v1beta1',
    ])
    for (const { serverRelativeURL } of Object.values(index.paths)) {
      const got = await served.get(serverRelativeURL)
      expect(got.status).toBe(200)
      const document = got.json() as { components: { schemas: Record<string, object> } }
      expectReferences(got.text, '#/components/schemas/', document.components.schemas)
      expect(serverRelativeURL).toContain((got.headers.etag ?? '?').replaceAll('"', ''))
    }
  })

  test('is true: an answer has the members of its schema', async () => {
    declare()
    const document = (
      await served.get('/openapi/v3/apis/external.metrics.k8s.io/v1beta1')
    ).json() as { components: { schemas: Record<string, { properties: object }> } }
    const schema =
      document.components.schemas[
        'io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValue'
      ]
    const answer = (
      await served.get('/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue')
    ).json() as { items: object[] }
    for (const member of Object.keys(answer.items[0] ?? {}))
      expect(Object.keys(schema?.properties ?? {})).toContain(member)
  })
})

function expectReferences(text: string, prefix: string, there: Record<string, object>): void {
  const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, target = '']) => target)
  expect(references.length).toBeGreaterThan(0)
  for (const target of references) {
    expect(target.startsWith(prefix)).toBe(true)
    expect(Object.keys(there)).toContain(target.slice(prefix.length))
  }
}

test('the rest', async () => {
  const version = (await served.get('/version')).json()
  expect(version).toMatchObject({ major: '0', minor: '1', gitVersion: 'v0.1.0' })
  expect((await served.get('/')).json()).toMatchObject({
    paths: expect.arrayContaining(['/apis', '/healthz', '/openapi/v3']) as unknown,
  })
  const metrics = await served.get('/metrics')
  expect(metrics.text).toBe('up 1\n')
  expect(metrics.type).toBe('text/plain; version=0.0.4; charset=utf-8')
  const readings = await served.get('/readings?signal=vision%2Fqueue')
  expect(readings.json()).toEqual({ signal: 'vision/queue' })
  expect(readings.type).toBe('application/json')
})
