/** OTLP's data model as it must be understood; requests are written in its JSON, which one reads most easily. */
import { expect, test } from 'vitest'
import type { Caller } from '../../../adapter/push/caller.ts'
import { takeExport } from '../../../adapter/push/otlp/export.ts'
import { loadEncodings } from '../../../adapter/push/otlp/messages.ts'
import { systemClock } from '../../../src/clock.ts'
import type { MeasurementsOutcome, PushMeasurements } from '../../../src/ports.ts'
import { RecordingLogger } from '../../kit/recordingLogger.ts'
import { pacesOf } from '../pushClient.ts'

const [, json] = await loadEncodings()
const AT = '1700000000123456789'
const POD = { 'k8s.namespace.name': 'vision', 'k8s.pod.name': 'v-0', 'service.name': 'detector' }
const ANYBODY: Caller = { name: 'anybody', namespaces: undefined, pod: undefined }

function attributes(of: Readonly<Record<string, string>>) {
  return Object.entries(of).map(([key, stringValue]) => ({ key, value: { stringValue } }))
}

function resource(metrics: readonly object[], of: Readonly<Record<string, string>> = POD) {
  return { resource: { attributes: attributes(of) }, scopeMetrics: [{ metrics }] }
}

/** What the receiver is told, and what is answered. */
function taken(resourceMetrics: readonly object[], caller = ANYBODY, answer?: MeasurementsOutcome) {
  const told: PushMeasurements[] = []
  const counted = new Map<string, number>()
  const request = json?.read(Buffer.from(JSON.stringify({ resourceMetrics })), () => undefined)
  if (request === undefined) throw new Error('no JSON')
  const response = takeExport(request, caller, {
    receiver: {
      report: () => ({ outcome: 'accepted' }),
      measure(measurements) {
        told.push(measurements)
        const all = { taken: measurements.points.length, refused: new Map<string, number>() }
        return answer ?? { outcome: 'taken', ...all }
      },
    },
    ...{ clock: systemClock, log: new RecordingLogger(), proof: { kind: 'none' } },
    paces: pacesOf({ reportsPerSecond: 100 }),
    observe: () => undefined,
    observePoints: (outcome, count) => counted.set(outcome, count),
  })
  return { told, points: told.flatMap(({ points }) => points), response, counted }
}

const gauge = (point: object, name = 'queue.depth') => ({
  name,
  gauge: { dataPoints: [{ timeUnixNano: AT, asInt: '7', ...point }] },
})

test('the resource says whose it is; attributes are labels', () => {
  const point = { attributes: attributes({ 'gpu.id': '0', empty: '' }) }
  const { told, response, counted } = taken([
    resource([gauge(point)], { ...POD, 'service.instance.id': 'abc', 'host.name': 'n1' }),
  ])
  expect(told).toEqual([
    {
      ...{ namespace: 'vision', pod: 'v-0', process: 'detector/abc' },
      points: [
        {
          ...{ metric: 'queue_depth', stream: 'queue.depth ()', kind: 'gauge', value: 7 },
          labels: { gpu_id: '0', service: 'detector' },
          endMs: 1_700_000_000_123.456,
        },
      ],
    },
  ])
  expect(response).toEqual({})
  expect(Object.fromEntries(counted)).toEqual({ accepted: 1, refused: 0 })
})

const number = { timeUnixNano: AT, startTimeUnixNano: '1700000000000000000' }
const sum = (of: object, point: object = { asDouble: 2.5 }) => ({
  ...{ name: 'requests', unit: '{request}' },
  sum: {
    aggregationTemporality: 2,
    isMonotonic: true,
    dataPoints: [{ ...number, ...point }],
    ...of,
  },
})
const histogram = (point: object, of: object = {}) => ({
  ...{ name: 'latency', unit: 's' },
  histogram: { aggregationTemporality: 1, dataPoints: [{ ...number, ...point }], ...of },
})
const BUCKETS = { count: '9', bucketCounts: ['5', '3', '1'], explicitBounds: [0.1, 1] }

test.each<[string, object, object]>([
  ['a gauge of zero', gauge({ asInt: '0' }), { metric: 'queue_depth', kind: 'gauge', value: 0 }],
  ['a gauge of no value', gauge({ flags: 1 }), { value: 'none' }],
  ['a gauge of NaN', gauge({ asInt: undefined, asDouble: 'NaN' }), { value: NaN }],
  ['a counter', sum({}), { metric: 'requests_total', kind: 'cumulative', value: 2.5 }],
  ['what was counted since', sum({ aggregationTemporality: 1 }), { kind: 'delta', value: 2.5 }],
  ['a sum that may fall', sum({ isMonotonic: false }), { metric: 'requests', kind: 'gauge' }],
  [
    'a histogram without a sum',
    histogram(BUCKETS),
    { metric: 'latency_seconds', kind: 'delta', value: { bounds: [0.1, 1], counts: [5, 3, 1] } },
  ],
  [
    'a histogram with a sum',
    histogram({ ...BUCKETS, sum: 0 }, { aggregationTemporality: 2 }),
    { kind: 'cumulative', value: { bounds: [0.1, 1], counts: [5, 3, 1], sum: 0 } },
  ],
  [
    'a histogram without buckets',
    histogram({ count: '4', sum: 2 }),
    { value: { bounds: [], counts: [4], sum: 2 } },
  ],
  [
    'a label that is ours',
    gauge({ attributes: attributes({ pod: 'x' }) }),
    { labels: { service: 'detector', exported_pod: 'x' } },
  ],
  [
    'attributes of other kinds',
    gauge({
      attributes: [
        { key: 'batch', value: { intValue: '8' } },
        { key: 'warm', value: { boolValue: false } },
        { key: 'share', value: { doubleValue: 0.5 } },
        { key: 'none' },
      ],
    }),
    { labels: { service: 'detector', batch: '8', warm: 'false', share: '0.5' } },
  ],
])('%s', (_, metric, expected) => {
  const { points, response } = taken([resource([metric])])
  expect(points).toMatchObject([expected])
  expect(points[0]?.labels ?? {}).toEqual(
    'labels' in expected ? expected.labels : { service: 'detector' },
  )
  if ('value' in expected) expect(points[0]?.value).toEqual(expected.value)
  expect(response).toEqual({})
})

test.each<[string, object, RegExp]>([
  ['no temporality', sum({ aggregationTemporality: 0 }), /requests: its temporality is not told/],
  ['a temporality to come', sum({ aggregationTemporality: 9 }), /temporality is not told/],
  [
    'the change of what may fall',
    sum({ isMonotonic: false, aggregationTemporality: 1 }),
    /may fall is taken as cumulative only/,
  ],
  ['no value', gauge({ asInt: undefined }), /queue.depth: a point without a value/],
  ['no time', gauge({ timeUnixNano: '0' }), /time_unix_nano is missing/],
  ['no name', gauge({}, ''), /a metric without a name/],
  ['no name that is one', gauge({}, '/_/'), /a metric without a name/],
  [
    'an attribute of no name',
    gauge({ attributes: [{ key: '', value: { stringValue: 'a' } }] }),
    /an attribute without a name/,
  ],
  ['too few buckets', histogram({ ...BUCKETS, explicitBounds: [1] }), /1 bounds have 3 buckets/],
  ['buckets of another count', histogram({ ...BUCKETS, count: '8' }), /do not add up to its count/],
  [
    'exponential buckets',
    { name: 'x', exponentialHistogram: { dataPoints: [{ timeUnixNano: AT, scale: 3 }] } },
    /x: kind exponentialHistogram is not taken: use explicit buckets/,
  ],
  ['a summary', { name: 'x', summary: { dataPoints: [{}] } }, /kind summary is not taken/],
  [
    'a list',
    gauge({ attributes: [{ key: 'ids', value: { arrayValue: { values: [] } } }] }),
    /attribute "ids" is no text, number or boolean/,
  ],
  [
    'two names of one label',
    gauge({ attributes: attributes({ 'a.b': '1', a_b: '2' }) }),
    /two attributes are the label a_b/,
  ],
  ['a long name', gauge({}, 'n'.repeat(400)), /^n{318}: its name and unit have more than 318/],
  [
    'a long attribute',
    gauge({ attributes: attributes({ a: 'x'.repeat(1025) }) }),
    /attribute "a" has more than 1024 characters/,
  ],
  [
    'more attributes than labels can be',
    gauge({
      attributes: attributes(
        Object.fromEntries(Array.from({ length: 59 }, (_, index) => [`a${index}`, 'x'])),
      ),
    }),
    /more than 58 attributes/,
  ],
  [
    'a label of histograms',
    gauge({ attributes: attributes({ le: '1' }) }),
    /belongs to histograms/,
  ],
])('%s is refused with the reason, and the others are taken', (_, metric, why) => {
  const { told, response, counted } = taken([resource([metric, gauge({}, 'other')])])
  expect(told).toMatchObject([
    { points: [{ metric: 'other' }], unreadable: expect.stringMatching(why) },
  ])
  expect(response.partialSuccess?.rejectedDataPoints).toBe('1')
  expect(response.partialSuccess?.errorMessage).toMatch(why)
  expect(Object.fromEntries(counted)).toEqual({ accepted: 1, refused: 1 })
})

test('libraries that name a metric alike stay apart', () => {
  const metrics = [gauge({})]
  const scopes = ['a', 'b'].map((name) => ({ scope: { name, version: '1' }, metrics }))
  const { points } = taken([{ ...resource([]), scopeMetrics: scopes }])
  expect(points.map(({ labels }) => labels['otel_scope_name'])).toEqual(['a', 'b'])
})

test('resources of one process are told as one, those of another by themselves', () => {
  const other = { ...POD, 'service.instance.id': 'b' }
  const { told } = taken([
    resource([gauge({}, 'x')]),
    resource([gauge({}, 'y')]),
    resource([gauge({}, 'z')], other),
  ])
  expect(told.map(({ points }) => points.map(({ metric }) => metric))).toEqual([['x', 'y'], ['z']])
})

test('processes are told apart by service and instance, of whatever kind the instance is', () => {
  const of = (service: string, value?: object) => ({
    ...resource([gauge({})]),
    resource: {
      attributes: [
        ...attributes({ ...POD, 'service.name': service }),
        ...(value === undefined ? [] : [{ key: 'service.instance.id', value }]),
      ],
    },
  })
  const { told } = taken([
    of('a', { intValue: '7' }),
    of('a', { intValue: '8' }),
    of('a'),
    of('b', { intValue: '7' }),
    of(''),
  ])
  expect(told.map(({ process }) => process)).toEqual(['a/7', 'a/8', 'a', 'b/7', ''])
})

test('and, where they say so, by container and number: workers of a server may have one id', () => {
  const of = (more: readonly object[]) => ({
    ...resource([gauge({})]),
    resource: { attributes: [...attributes(POD), ...more] },
  })
  const pid = (intValue: string) => ({ key: 'process.pid', value: { intValue } })
  const [container] = attributes({ 'k8s.container.name': 'main' })
  const [instance] = attributes({ 'service.instance.id': '7' })
  const { told } = taken(
    [[pid('7')], [pid('8')], [container], [container, pid('7')], [instance]].map((more) =>
      of(more.filter((one) => one !== undefined)),
    ),
  )
  expect(told.map(({ process }) => process)).toEqual([
    'detector/pid 7',
    'detector/pid 8',
    'detector/container main',
    'detector/container main/pid 7',
    'detector/7',
  ])
})

test('one resource of another pod, and nothing is taken', () => {
  const caller = { name: 'v-0', namespaces: new Set(['vision']), pod: 'v-0' }
  const foreign = resource([gauge({})], { ...POD, 'k8s.pod.name': 'v-1' })
  expect(() => taken([resource([gauge({})]), foreign], caller)).toThrow(
    'the report is for vision/v-1, and v-0 may report for vision/v-0',
  )
  expect(taken([resource([gauge({})], {})], caller).told).toMatchObject([
    { namespace: 'vision', pod: 'v-0' },
  ])
})

test('a service of a long name is refused, for each of its points would carry it', () => {
  const { points, response } = taken([
    resource([gauge({})], { ...POD, 'service.name': 's'.repeat(257) }),
  ])
  expect(points).toEqual([])
  expect(response.partialSuccess?.errorMessage).toMatch(/a name of more than 256 characters/)
})

test.each([
  ['timeUnixNano', 'soon'],
  ['timeUnixNano', 1.5],
  ['timeUnixNano', -1],
  ['asInt', 'many'],
  ['asInt', true],
  ['asInt', []],
  ['asInt', 1e300],
  ['asInt', '9223372036854775808'],
  ['asInt', '-9223372036854775809'],
  ['timeUnixNano', '18446744073709551616'],
  ['flags', 4_294_967_296],
  ['asDouble', ''],
  ['asDouble', '0x10'],
  ['flags', {}],
  ['attributes', [{ key: 5 }]],
  ['attributes', [{ key: 'a', value: { boolValue: 'no' } }]],
  ['attributes', [null]],
  ['attributes', {}],
])('%s of %j is no number, and no JSON of ours', (field, value) => {
  const point = { timeUnixNano: AT, [field]: value }
  expect(() => taken([resource([gauge({ asInt: undefined, ...point })])])).toThrow(TypeError)
})

test('a value that is told twice is none', () => {
  expect(() => taken([resource([gauge({ asInt: '1', asDouble: 1 })])])).toThrow(
    /dataPoints.asDouble,asInt must be one/,
  )
  expect(taken([resource([gauge({ asInt: '1', asDouble: null })])]).points).toMatchObject([
    { value: 1 },
  ])
})

test('nothing to take is taken', () => {
  expect(taken([]).response).toEqual({})
  expect(taken([resource([])]).response).toEqual({})
})

test('what no source takes now is refused as a whole, to be sent again', () => {
  const nobody = { outcome: 'refused', reason: 'unavailable', message: 'no source' } as const
  expect(() => taken([resource([gauge({})])], ANYBODY, nobody)).toThrow(
    expect.objectContaining({ message: 'no source', retryMs: 1000 }),
  )
})

test('an export beyond the limits is refused as a whole', () => {
  const many = Array.from({ length: 20_001 }, () => ({ timeUnixNano: AT, asInt: '1' }))
  expect(() => taken([resource([{ name: 'x', gauge: { dataPoints: many } }])])).toThrow(
    '20001 points in one export, at most 20000: send smaller batches',
  )
})
