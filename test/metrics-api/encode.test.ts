import { describe, expect, test } from 'vitest'
import type { CustomAnswer, ExternalAnswer } from '../../adapter/metrics-api/answerShape.ts'
import { customJson, externalJson, statusJson } from '../../adapter/metrics-api/encodeJson.ts'
import {
  customProtobuf,
  externalProtobuf,
  resourceListProtobuf,
  statusProtobuf,
} from '../../adapter/metrics-api/encodeProtobuf.ts'
import { EVERYTHING, parseSelector } from '../../adapter/metrics-api/selector.ts'
import { badRequest, notFound } from '../../adapter/metrics-api/status.ts'
import { DATA_MS } from './fakes.ts'

/*
 * The vectors are answers recorded from the Go library that most adapters are built on, for k8s 1.36. It
 * writes a pod's apiVersion as "/v1" (a group that is empty, joined all the same); here the vectors pass
 * that text in, while the served answer says "v1".
 */
const EXTERNAL: ExternalAnswer = {
  kind: 'external',
  metric: 'my-external-metric',
  items: [{ labels: { foo: 'bar' }, value: 42, dataMs: DATA_MS, windowMs: 0 }],
}

function podsAnswer(version: CustomAnswer['version']): CustomAnswer {
  const item = { value: 1.5, dataMs: DATA_MS, windowMs: 0 }
  return {
    kind: 'custom',
    version,
    metric: 'requests_per_second',
    selector: EVERYTHING,
    object: { kind: 'Pod', apiVersion: '/v1' },
    namespace: 'default',
    items: [
      { ...item, name: 'web-6b6b955858-424xt' },
      { ...item, name: 'web-6b6b955858-txd6p' },
    ],
  }
}

const OBJECT: CustomAnswer = {
  kind: 'custom',
  version: 'v1beta2',
  metric: 'deploy_load',
  selector: parseSelector('zone=a'),
  object: { kind: 'Deployment', apiVersion: 'apps/v1' },
  namespace: 'default',
  items: [{ name: 'web', value: 300, dataMs: DATA_MS, windowMs: 0 }],
}

describe('protobuf equals the recorded bytes', () => {
  test.each([
    [
      'external',
      externalProtobuf(EXTERNAL),
      '6b3873000a3a0a1f65787465726e616c2e6d6574726963732e6b38732e696f2f76316265746131121745787465726e616c4d657472696356616c75654c697374123a0a060a0012001a0012300a126d792d65787465726e616c2d6d6574726963120a0a03666f6f12036261721a0808d89e84d80610002a040a0234321a002200',
    ],
    [
      'external, empty',
      externalProtobuf({ ...EXTERNAL, items: [] }),
      '6b3873000a3a0a1f65787465726e616c2e6d6574726963732e6b38732e696f2f76316265746131121745787465726e616c4d657472696356616c75654c69737412080a060a0012001a001a002200',
    ],
    [
      'pods v1beta2',
      customProtobuf(podsAnswer('v1beta2')),
      '6b3873000a300a1d637573746f6d2e6d6574726963732e6b38732e696f2f76316265746132120f4d657472696356616c75654c69737412c2010a060a0012001a00125b0a2f0a03506f64120764656661756c741a147765622d366236623935353835382d343234787422002a032f763132003a0012150a1372657175657374735f7065725f7365636f6e641a0808d89e84d80610002a070a05313530306d125b0a2f0a03506f64120764656661756c741a147765622d366236623935353835382d747864367022002a032f763132003a0012150a1372657175657374735f7065725f7365636f6e641a0808d89e84d80610002a070a05313530306d1a002200',
    ],
    [
      'pods v1beta1',
      customProtobuf(podsAnswer('v1beta1')),
      '6b3873000a300a1d637573746f6d2e6d6574726963732e6b38732e696f2f76316265746131120f4d657472696356616c75654c69737412be010a060a0012001a0012590a2f0a03506f64120764656661756c741a147765622d366236623935353835382d343234787422002a032f763132003a00121372657175657374735f7065725f7365636f6e641a0808d89e84d80610002a070a05313530306d12590a2f0a03506f64120764656661756c741a147765622d366236623935353835382d747864367022002a032f763132003a00121372657175657374735f7065725f7365636f6e641a0808d89e84d80610002a070a05313530306d1a002200',
    ],
    [
      'object with selector',
      customProtobuf(OBJECT),
      '6b3873000a300a1d637573746f6d2e6d6574726963732e6b38732e696f2f76316265746132120f4d657472696356616c75654c69737412620a060a0012001a0012580a290a0a4465706c6f796d656e74120764656661756c741a0377656222002a07617070732f763132003a00121a0a0b6465706c6f795f6c6f6164120b0a090a047a6f6e651201611a0808d89e84d80610002a050a033330301a002200',
    ],
    [
      'status 400',
      statusProtobuf(badRequest(`found '==', expected: !, identifier, or 'end of string'`)),
      '6b3873000a0c0a027631120653746174757312590a060a0012001a0012074661696c7572651a37666f756e6420273d3d272c2065787065637465643a20212c206964656e7469666965722c206f722027656e64206f6620737472696e6727220a426164526571756573743090031a002200',
    ],
    [
      'status 404',
      statusProtobuf(
        notFound('the server could not find the metric requests_per_second for pods nosuch'),
      ),
      '6b3873000a0c0a027631120653746174757312680a060a0012001a0012074661696c7572651a487468652073657276657220636f756c64206e6f742066696e6420746865206d65747269632072657175657374735f7065725f7365636f6e6420666f7220706f6473206e6f7375636822084e6f74466f756e643094031a002200',
    ],
    [
      'resource list',
      resourceListProtobuf('external.metrics.k8s.io/v1beta1', [
        {
          name: 'externalmetrics',
          singularName: '',
          namespaced: true,
          kind: 'ExternalMetricValueList',
          verbs: ['get'],
        },
      ]),
      '6b3873000a150a027631120f4150495265736f757263654c697374125e0a1f65787465726e616c2e6d6574726963732e6b38732e696f2f76316265746131123b0a0f65787465726e616c6d65747269637310011a1745787465726e616c4d657472696356616c75654c69737422050a03676574320042004a0052001a002200',
    ],
  ])('%s', (_, bytes, hex) => {
    expect(Buffer.from(bytes, 'latin1').toString('hex')).toBe(hex)
  })
})

test('an external list is the recorded JSON', () => {
  expect(externalJson(EXTERNAL)).toBe(
    '{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[{"metricName":"my-external-metric","metricLabels":{"foo":"bar"},"timestamp":"2026-11-21T03:26:16Z","value":"42"}]}',
  )
})

test('a custom list of each version is the recorded JSON', () => {
  expect(
    customJson({ ...podsAnswer('v1beta1'), items: podsAnswer('v1beta1').items.slice(0, 1) }),
  ).toBe(
    '{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta1","metadata":{},"items":[{"describedObject":{"kind":"Pod","namespace":"default","name":"web-6b6b955858-424xt","apiVersion":"/v1"},"metricName":"requests_per_second","timestamp":"2026-11-21T03:26:16Z","value":"1500m","selector":null}]}',
  )
  expect(customJson(OBJECT)).toBe(
    '{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[{"describedObject":{"kind":"Deployment","namespace":"default","name":"web","apiVersion":"apps/v1"},"metric":{"name":"deploy_load","selector":{"matchLabels":{"zone":"a"}}},"timestamp":"2026-11-21T03:26:16Z","value":"300"}]}',
  )
})

test('each version names the window its own way, in whole seconds', () => {
  const windowed = (version: CustomAnswer['version'], windowMs: number) => ({
    ...OBJECT,
    version,
    items: [{ name: 'web', value: 1, dataMs: DATA_MS, windowMs }],
  })
  const item = (text: string) => (JSON.parse(text) as { items: object[] }).items[0]
  expect(item(customJson(windowed('v1beta1', 300_000)))).toHaveProperty('window', 300)
  expect(item(customJson(windowed('v1beta2', 300_000)))).toHaveProperty('windowSeconds', 300)
  expect(item(customJson(windowed('v1beta2', 200)))).toHaveProperty('windowSeconds', 1)
  expect(item(customJson(windowed('v1beta2', 0)))).not.toHaveProperty('windowSeconds')
  const span = { ...EXTERNAL, items: EXTERNAL.items.map((one) => ({ ...one, windowMs: 60_000 })) }
  expect(item(externalJson(span))).toHaveProperty('window', 60)
  expect(Buffer.from(externalProtobuf(span), 'latin1').toString('hex')).toContain(
    '1000203c2a040a023432',
  )
})

test('names and labels that need escaping stay one JSON string', () => {
  const odd = 'a"b\\c\u0001\u2028é<😀>\ud800'
  const text = externalJson({
    kind: 'external',
    metric: odd,
    items: [{ labels: { [odd]: odd, constructor: '1' }, value: 1, dataMs: 0, windowMs: 0 }],
  })
  expect(JSON.parse(text)).toMatchObject({
    items: [{ metricName: odd, metricLabels: { [odd]: odd, constructor: '1' } }],
  })
})

test('every operator that has an object form is echoed in it', () => {
  const selector = parseSelector('a=1,b in (x,y),c notin (z),d,!e,f!=g')
  const text = customJson({ ...OBJECT, selector })
  expect(JSON.parse(text)).toMatchObject({
    items: [
      {
        metric: {
          selector: {
            matchLabels: { a: '1' },
            matchExpressions: [
              { key: 'b', operator: 'In', values: ['x', 'y'] },
              { key: 'c', operator: 'NotIn', values: ['z'] },
              { key: 'd', operator: 'Exists' },
              { key: 'e', operator: 'DoesNotExist' },
              { key: 'f', operator: 'NotIn', values: ['g'] },
            ],
          },
        },
      },
    ],
  })
  expect(customJson({ ...OBJECT, selector: parseSelector('a>1') })).toContain('"selector":null')
})

test('a message longer than one length byte keeps its frame', () => {
  const long = 'x'.repeat(20_000)
  const bytes = externalProtobuf({
    kind: 'external',
    metric: long,
    items: [{ labels: { a: long }, value: 1, dataMs: DATA_MS, windowMs: 0 }],
  })
  expect(bytes.length).toBeGreaterThan(40_000)
  expect(Buffer.from(bytes.slice(-4), 'latin1').toString('hex')).toBe('1a002200')
})

test('text that is not ASCII is written as UTF-8', () => {
  const bytes = Buffer.from(statusProtobuf(notFound('größer als 2 €')), 'latin1')
  expect(bytes.includes(Buffer.from('größer als 2 €', 'utf8'))).toBe(true)
})

test('a Status has the recorded members', () => {
  expect(JSON.parse(statusJson(notFound('gone')))).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'gone',
    reason: 'NotFound',
    code: 404,
  })
})
