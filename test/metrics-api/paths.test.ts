import fc from 'fast-check'
import { expect, test } from 'vitest'
import { attributesOf, parsePath } from '../../adapter/metrics-api/paths.ts'

const EXTERNAL = '/apis/external.metrics.k8s.io/v1beta1'
const CUSTOM = '/apis/custom.metrics.k8s.io/v1beta2'

test.each([
  [
    `${EXTERNAL}/namespaces/default/queue`,
    { kind: 'external', namespace: 'default', metric: 'queue' },
  ],
  [`${EXTERNAL}/namespaces/default/s0-a%7Cb:c`, { kind: 'external', metric: 's0-a|b:c' }],
  [
    `${CUSTOM}/namespaces/default/pods/%2A/vllm:num_requests_waiting%7Cx`,
    { kind: 'custom', resource: 'pods', name: '*', metric: 'vllm:num_requests_waiting|x' },
  ],
  [
    `${CUSTOM}/namespaces/a/metrics/load`,
    { kind: 'custom', namespace: 'a', resource: 'namespaces', name: 'a', metric: 'load' },
  ],
  [
    `${CUSTOM}/namespaces/a/metrics/b/c`,
    { kind: 'custom', namespace: 'a', resource: 'metrics', name: 'b', metric: 'c' },
  ],
  [`${CUSTOM}/nodes/n/load`, { kind: 'custom', namespace: '', resource: 'nodes', name: 'n' }],
  ['/apis', { kind: 'document', document: 'groups', path: '/apis' }],
  ['/apis/', { kind: 'document', document: 'groups', path: '/apis' }],
  [`${EXTERNAL}/`, { kind: 'document', document: 'externalV1beta1' }],
  ['/', { kind: 'document', document: 'root', path: '/' }],
  ['/healthz', { kind: 'health' }],
  ['/readyz', { kind: 'ready' }],
  [`${CUSTOM}/namespaces/a/load`, { kind: 'unknown' }],
  [`${CUSTOM}/namespaces/a`, { kind: 'unknown' }],
  [`${CUSTOM}/a/b`, { kind: 'unknown' }],
  [`${CUSTOM}/a/b/c/d`, { kind: 'unknown' }],
  [`${CUSTOM}/namespaces/a/b/c/d/e`, { kind: 'unknown' }],
  [`${EXTERNAL}/namespaces/a`, { kind: 'unknown' }],
  [`${EXTERNAL}/pods/a/b`, { kind: 'unknown' }],
  ['/apis/external.metrics.k8s.io/v9/namespaces/a/b', { kind: 'unknown' }],
  ['/apis/external.metrics.k8s.io%2Fv1beta1/namespaces/a/b', { kind: 'unknown' }],
  ['/apis//external.metrics.k8s.io/v1beta1/namespaces/a/b', { kind: 'unknown' }],
  ['/healthz/../metrics', { kind: 'unknown' }],
  ['/%6detrics', { kind: 'unknown' }],
  ['http://elsewhere/metrics', { kind: 'unknown' }],
  ['*', { kind: 'unknown' }],
])('%s', (path, route) => {
  expect(parsePath(path)).toMatchObject(route)
})

test.each([
  ['a slash in disguise', 'a%2Fb'],
  ['a percent sign', 'a%25b'],
  ['twice encoded', 'a%252Fb'],
  ['half a byte', 'a%2'],
  ['no hex', '%zz'],
  ['not UTF-8', '%ff%fe'],
  ['an overlong slash', '%c0%af'],
  ['NUL', 'a%00'],
  ['a line break', 'a%0d%0ab'],
  ['DEL', '%7f'],
  ['here', '.'],
  ['up', '..'],
  ['up, encoded', '%2e%2e'],
  ['too long', 'x'.repeat(1025)],
])('%s is no name', (_, segment) => {
  expect(parsePath(`${EXTERNAL}/namespaces/default/${segment}`).kind).toBe('malformed')
  expect(parsePath(`${EXTERNAL}/namespaces/${segment}/m`).kind).toBe('malformed')
  expect(parsePath(`${CUSTOM}/namespaces/default/pods/${segment}/m`).kind).toBe('malformed')
})

test('an empty segment is no name', () => {
  expect(parsePath(`${EXTERNAL}/namespaces//m`).kind).toBe('malformed')
  expect(parsePath(`${EXTERNAL}/namespaces/default/m/`).kind).toBe('malformed')
})

test('what is authorized is what is answered', () => {
  const segment = fc.string({ minLength: 1, maxLength: 20, unit: 'binary' })
  fc.assert(
    fc.property(segment, segment, (namespace, metric) => {
      const path = `${EXTERNAL}/namespaces/${encodeURIComponent(namespace)}/${encodeURIComponent(metric)}`
      const route = parsePath(path)
      if (route.kind !== 'external') {
        expect(route.kind).toBe('malformed')
        return
      }
      expect(attributesOf(route, 'GET')).toMatchObject({
        kind: 'resource',
        verb: 'list',
        namespace,
        resource: metric,
      })
      expect(route).toMatchObject({ namespace, metric })
    }),
  )
})

test.each([
  [
    `${CUSTOM}/namespaces/default/pods/%2A/rps`,
    { verb: 'get', namespace: 'default', resource: 'pods', subresource: 'rps', name: '*' },
  ],
  [
    `${CUSTOM}/namespaces/default/metrics/load`,
    { verb: 'get', namespace: 'default', resource: 'metrics', name: 'load' },
  ],
  [`${CUSTOM}/nodes/n/load`, { verb: 'get', resource: 'nodes', subresource: 'load', name: 'n' }],
  ['/openapi/v2', { kind: 'nonResource', verb: 'get', path: '/openapi/v2' }],
  ['/nowhere', { kind: 'nonResource', verb: 'get', path: '/nowhere' }],
])('%s asks for these rights', (path, attributes) => {
  const asked = attributesOf(parsePath(path), 'GET')
  expect(asked).toMatchObject(attributes)
  if (path.includes('/nodes/')) expect(asked).not.toHaveProperty('namespace')
})
