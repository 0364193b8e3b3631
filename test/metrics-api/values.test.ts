import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DescribedKind } from '../../src/model.ts'
import {
  absent,
  custom,
  external,
  fresh,
  NODE,
  NOW_MS,
  POD,
  podsOf,
  readerOf,
  serve,
  stale,
} from './fakes.ts'
import type { Got, Served } from './fakes.ts'

const EXTERNAL = '/apis/external.metrics.k8s.io/v1beta1/namespaces/default'
const V1 = '/apis/custom.metrics.k8s.io/v1beta1'
const V2 = '/apis/custom.metrics.k8s.io/v1beta2'
const PODS = `${V2}/namespaces/default/pods/%2A`

const DEPLOYMENT: DescribedKind = {
  resource: 'deployments.apps',
  kind: 'Deployment',
  apiVersion: 'apps/v1',
  namespaced: true,
  nameLabel: 'deployment',
}
const NAMESPACE: DescribedKind = {
  resource: 'namespaces',
  kind: 'Namespace',
  apiVersion: 'v1',
  namespaced: true,
}
const FIXED: DescribedKind = {
  resource: 'ingresses.networking.k8s.io',
  kind: 'Ingress',
  apiVersion: 'networking.k8s.io/v1',
  namespaced: true,
  name: 'front',
}

const web = (name: string) => ({ namespace: 'default', name, labels: { app: 'web' } })
const pods = podsOf([
  web('web-1'),
  web('web-2'),
  { namespace: 'default', name: 'api-1', labels: { app: 'api' } },
  { namespace: 'default', name: 'idle-1', labels: { app: 'idle' } },
  { namespace: 'other', name: 'web-9', labels: { app: 'web' } },
])

const reader = readerOf([
  external('queue', ['foo'], fresh({ foo: 'bar' }, 42), fresh({ foo: 'baz' }, 43, 60_000)),
  external('total', [], fresh({}, 0)),
  external('mixed', ['q'], fresh({ q: 'a' }, 1), stale({ q: 'b' }, 'redis refused the connection')),
  external(
    'warm',
    ['q'],
    fresh({ q: 'a' }, 1),
    absent({ q: 'b' }, 'warming-up', 'one point so far'),
  ),
  external('old', [], stale({}, 'redis refused the connection')),
  external('down', [], absent({}, 'source-failing', 'redis: timeout')),
  external('nothing', ['q'], absent({}, 'no-series', 'no series matches')),
  { ...external('late', [], fresh({}, 1)), evaluatedMs: NOW_MS - 31_000 },
  external('vllm:waiting|x ü', [], fresh({}, 7)),
  custom(
    'rps',
    POD,
    ['pod'],
    fresh({ pod: 'web-1' }, 1.5, 300_000),
    stale({ pod: 'web-2' }, 'scrape timed out'),
    fresh({ pod: 'api-1' }, 100),
  ),
  custom('cold', POD, ['pod'], stale({ pod: 'web-1' }, 'scrape timed out')),
  custom('unseen', POD, ['pod'], absent({}, 'no-series', 'no series matches')),
  custom(
    'detections',
    POD,
    ['pod', 'class'],
    fresh({ pod: 'web-1', class: 'car' }, 3),
    fresh({ pod: 'web-1', class: 'dog' }, 4),
    fresh({ pod: 'web-2', class: 'car' }, 5),
  ),
  custom('deploy_load', DEPLOYMENT, ['deployment'], fresh({ deployment: 'web' }, 300)),
  custom('ns_load', NAMESPACE, [], fresh({}, 12)),
  custom('node_load', NODE, ['node'], fresh({ node: 'fake-0' }, 7)),
  custom('requests', FIXED, [], fresh({}, 0.1)),
])

let served: Served
beforeAll(async () => {
  served = await serve({ reader, pods })
})
afterAll(() => served.close())

interface List {
  readonly kind: string
  readonly apiVersion: string
  readonly items: readonly Record<string, unknown>[]
}

const values = (got: Got): unknown[] => (got.json() as List).items.map((item) => item['value'])
const names = (got: Got): unknown[] =>
  (got.json() as List).items.map((item) => (item['describedObject'] as { name: string }).name)

describe('external metrics', () => {
  test('all groups, or those the selector picks', async () => {
    const all = await served.get(`${EXTERNAL}/queue`)
    expect(all.status).toBe(200)
    expect(all.type).toBe('application/json')
    expect(all.headers['cache-control']).toBe('no-cache, private')
    expect(all.headers['x-powered-by']).toBeUndefined()
    expect(all.headers['etag']).toBeUndefined()
    expect(all.json()).toEqual({
      kind: 'ExternalMetricValueList',
      apiVersion: 'external.metrics.k8s.io/v1beta1',
      metadata: {},
      items: [
        {
          metricName: 'queue',
          metricLabels: { foo: 'bar' },
          timestamp: '2026-11-21T03:26:16Z',
          value: '42',
        },
        {
          metricName: 'queue',
          metricLabels: { foo: 'baz' },
          timestamp: '2026-11-21T03:26:16Z',
          window: 60,
          value: '43',
        },
      ],
    })
    expect(values(await served.get(`${EXTERNAL}/queue?labelSelector=foo%3Dbar`))).toEqual(['42'])
    const set = 'labelSelector=foo+in+%28bar%2Cbaz%29'
    expect(values(await served.get(`${EXTERNAL}/queue?${set}`))).toEqual(['42', '43'])
  })

  test('zero is a value', async () => {
    expect(values(await served.get(`${EXTERNAL}/total`))).toEqual(['0'])
  })

  test('a selector narrows away a stale part', async () => {
    expect(values(await served.get(`${EXTERNAL}/mixed?labelSelector=q%3Da`))).toEqual(['1'])
  })

  test.each([
    [
      'a stale part spoils the sum',
      'mixed',
      503,
      /\{q=b\} its data ends at 2026-11-21T03:24:50Z: redis refused/,
    ],
    ['a part that is warming up too', 'warm', 503, /\{q=b\} warming-up: one point so far/],
    [
      'all stale',
      'old',
      503,
      /no fresh value: its data ends at 2026-11-21T03:24:50Z: redis refused/,
    ],
    ['the source fails', 'down', 503, /source-failing: redis: timeout/],
    ['no series', 'nothing', 404, /no-series: no series matches/],
    ['no series, with a selector', 'nothing?labelSelector=q%3Da', 404, /no-series/],
    ['no such group', 'queue?labelSelector=foo%3Dx', 404, /its groups are foo=bar; foo=baz/],
    ['misspelt', 'queu', 404, /did you mean queue\?/],
    ['unknown', 'zzzzzzzzzzzzzz', 404, /served there: queue, total, .* and more/],
    ['the evaluator stands', 'late', 503, /last evaluated at 2026-11-21T/],
    [
      'bad selector',
      'queue?labelSelector=%3D%3Dbad',
      400,
      /^labelSelector "==bad": found '==', expected: !, identifier/,
    ],
    ['bad encoding of the query', 'queue?labelSelector=%zz', 400, /percent-encoded/],
    ['watch', 'queue?watch=true', 405, /^watch is not supported on resources of kind "\*\.ext/],
  ])('%s', async (_, path, code, message) => {
    const got = await served.get(`${EXTERNAL}/${path}`)
    expect(got.status).toBe(code)
    expect(got.json()).toMatchObject({ kind: 'Status', status: 'Failure', code })
    expect((got.json() as { message: string }).message).toMatch(message)
    expect(got.text).not.toContain('999')
  })

  test('an odd name arrives whole', async () => {
    const name = encodeURIComponent('vllm:waiting|x ü')
    expect(values(await served.get(`${EXTERNAL}/${name}`))).toEqual(['7'])
    expect(values(await served.get(`${EXTERNAL}/vllm:waiting%7Cx%20%C3%BC`))).toEqual(['7'])
  })

  test('another namespace has other metrics', async () => {
    const got = await served.get('/apis/external.metrics.k8s.io/v1beta1/namespaces/other/queue')
    expect(got.status).toBe(404)
    expect(got.text).toContain('no signal is served there')
  })
})

describe('pods', () => {
  test('only pods that match and are fresh', async () => {
    const got = await served.get(`${PODS}/rps?labelSelector=app%3Dweb`)
    expect(got.json()).toEqual({
      kind: 'MetricValueList',
      apiVersion: 'custom.metrics.k8s.io/v1beta2',
      metadata: {},
      items: [
        {
          describedObject: { kind: 'Pod', namespace: 'default', name: 'web-1', apiVersion: 'v1' },
          metric: { name: 'rps', selector: null },
          timestamp: '2026-11-21T03:26:16Z',
          windowSeconds: 300,
          value: '1500m',
        },
      ],
    })
    expect(names(await served.get(`${V2}/namespaces/default/pods/*/rps`))).toEqual([
      'web-1',
      'api-1',
    ])
  })

  test('v1beta1 has its own shape', async () => {
    const got = await served.get(
      `${V1}/namespaces/default/pods/%2A/rps?labelSelector=app%3Dapi&metricLabelSelector=pod`,
    )
    expect((got.json() as List).items).toEqual([
      {
        describedObject: { kind: 'Pod', namespace: 'default', name: 'api-1', apiVersion: 'v1' },
        metricName: 'rps',
        timestamp: '2026-11-21T03:26:16Z',
        value: '100',
        selector: { matchExpressions: [{ key: 'pod', operator: 'Exists' }] },
      },
    ])
  })

  test('the metric selector picks one group of each pod', async () => {
    const got = await served.get(
      `${PODS}/detections?labelSelector=app%3Dweb&metricLabelSelector=class%3Dcar`,
    )
    expect(values(got)).toEqual(['3', '5'])
  })

  test('one pod', async () => {
    expect(values(await served.get(`${V2}/namespaces/default/pods/web-1/rps`))).toEqual(['1500m'])
  })

  test.each([
    ['two values for a pod', '%2A/detections?labelSelector=app%3Dweb', 400, /web-1: .* on class/],
    [
      'none fresh',
      '%2A/cold?labelSelector=app%3Dweb',
      503,
      /\{pod=web-1\} its data ends at 2026-11-21T03:24:50Z/,
    ],
    ['never any', '%2A/unseen?labelSelector=app%3Dweb', 404, /no-series: no series matches/],
    [
      'pods without readings',
      '%2A/rps?labelSelector=app%3Didle',
      404,
      /1 pods that match "app=idle" \(idle-1\); there are readings for web-1; web-2; api-1/,
    ],
    ['no pod matches', '%2A/rps?labelSelector=app%3Dnone', 404, /no pod in namespace default/],
    ['no such metric', '%2A/rpz?labelSelector=app%3Dweb', 404, /did you mean rps/],
    ['a stale pod', 'web-2/rps', 503, /scrape timed out/],
    ['an unknown pod', 'nosuch/rps', 404, /the metric rps for pods nosuch; there are readings/],
    [
      'a metric selector that picks none',
      '%2A/rps?metricLabelSelector=a%3Db',
      404,
      /with metricLabelSelector "a=b"/,
    ],
    ['a bad metric selector', '%2A/rps?metricLabelSelector=%3D%3Dbad', 400, /found '=='/],
    ['a bad pod selector', '%2A/rps?labelSelector=a+in+b', 400, /^labelSelector .*expected: '\('/],
    [
      'a bad metric selector',
      '%2A/rps?metricLabelSelector=a+in+b',
      400,
      /^metricLabelSelector "a in b": /,
    ],
    ['watch', '%2A/rps?watch=1', 405, /watch is not supported/],
  ])('%s', async (_, path, code, message) => {
    const got = await served.get(`${V2}/namespaces/default/pods/${path}`)
    expect((got.json() as { message: string }).message).toMatch(message)
    expect(got.status).toBe(code)
    expect(got.text).not.toContain('999')
  })

  test('while the pods are not known, selecting them is refused and the rest served', async () => {
    pods.state = 'the watch has not listed the pods yet'
    try {
      const got = await served.get(`${PODS}/rps?labelSelector=app%3Dweb`)
      expect(got.status).toBe(503)
      expect(got.text).toContain('the watch has not listed the pods yet')
      expect((await served.get(`${V2}/namespaces/default/pods/web-1/rps`)).status).toBe(200)
    } finally {
      pods.state = undefined
    }
  })
})

describe('other objects', () => {
  test.each([
    ['deployments.apps/web/deploy_load', 'Deployment', 'web', '300'],
    ['metrics/ns_load', 'Namespace', 'default', '12'],
    ['ingresses.networking.k8s.io/front/requests', 'Ingress', 'front', '100m'],
    ['deployments.apps/%2A/deploy_load', 'Deployment', 'web', '300'],
  ])('%s', async (path, kind, name, value) => {
    const got = await served.get(`${V2}/namespaces/default/${path}`)
    expect(got.json()).toMatchObject({ items: [{ describedObject: { kind, name }, value }] })
    expect((got.json() as List).items).toHaveLength(1)
  })

  test('an object of the whole cluster has no namespace', async () => {
    const got = await served.get(`${V2}/nodes/fake-0/node_load`)
    expect((got.json() as List).items[0]?.['describedObject']).toEqual({
      kind: 'Node',
      name: 'fake-0',
      apiVersion: 'v1',
    })
  })

  test('a label selector on objects whose labels are not known is refused', async () => {
    const got = await served.get(
      `${V2}/namespaces/default/deployments.apps/*/deploy_load?labelSelector=app%3Dweb`,
    )
    expect(got.status).toBe(400)
    expect(got.text).toContain('pods only')
  })
})

describe('representations', () => {
  test('what the HPA controller accepts gives protobuf, errors included', async () => {
    const accept = 'application/vnd.kubernetes.protobuf, */*'
    for (const [path, status] of [
      [`${EXTERNAL}/queue`, 200],
      [`${PODS}/rps?labelSelector=app%3Dweb`, 200],
      [`${EXTERNAL}/old`, 503],
    ] as const) {
      const got = await served.get(path, accept)
      expect(got.status).toBe(status)
      expect(got.type).toBe('application/vnd.kubernetes.protobuf')
      expect(got.bytes.subarray(0, 4).toString('hex')).toBe('6b387300')
    }
  })

  test.each([
    [undefined, 200],
    ['*/*', 200],
    ['application/json, */*', 200],
    ['application/*', 200],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 200],
    ['text/html;q=0.9, application/json;q=0.1', 200],
    ['application/json;as=Table;v=v1;g=meta.k8s.io', 406],
    ['application/yaml', 406],
    ['application/cbor', 406],
    ['text/xml', 406],
    ['application/json;q=0', 406],
  ])('Accept %s', async (accept, status) => {
    const got = await served.get(`${EXTERNAL}/queue`, accept)
    expect(got.status).toBe(status)
    expect(got.type).toBe('application/json')
    if (status === 406) expect(got.text).toContain('application/vnd.kubernetes.protobuf')
  })

  test('pretty is for people', async () => {
    const got = await served.get(`${EXTERNAL}/queue?pretty=true&labelSelector=foo%3Dbar`)
    expect(got.text.split('\n')[1]).toBe('  "kind": "ExternalMetricValueList",')
  })
})
