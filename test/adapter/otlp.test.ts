/** The whole adapter as its own process: what OpenTelemetry's own exporters send becomes signals' values. */
import { credentials } from '@grpc/grpc-js'
import { OTLPMetricExporter as GrpcExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtobufExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics'
import { Agent, request } from 'node:https'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PushAdapter } from '../push/pushAdapter.ts'
import { startPushAdapter } from '../push/pushAdapter.ts'
import { authority, client as clientOf } from '../security/certificates.ts'
import { eventually } from '../setup/running.ts'

const NOW_MS = Date.now()
const signal = (name: string, metric: string, window: string, labels = '') => `
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: ${name}, namespace: vision}
spec:
  source: services
  select: {metric: ${metric}, labels: {service: detector${labels}}}
  window: {function: ${window}}
  combine: {function: sum}
  freshFor: 20s
  expose: {external: {name: ${name}}}
---`
const SIGNALS = [
  signal('depth', 'queue_depth', 'last'),
  signal('in-flight', 'in_flight', 'last'),
  signal('requests', 'inference_requests_total', 'increase, duration: 1m'),
  signal('requests-grpc', 'inference_requests_total', 'increase, duration: 1m', ', pod: v-1'),
  signal('requests-http', 'inference_requests_total', 'increase, duration: 1m', ', pod: v-3'),
  signal('calls', 'inference_duration_seconds_count', 'increase, duration: 1m', ', pod: v-1'),
  signal('seconds', 'inference_duration_seconds_sum', 'increase, duration: 1m', ', pod: v-3'),
].join('')

let started: PushAdapter
beforeAll(async () => {
  started = await startPushAdapter('{bucket: 100ms}', SIGNALS, NOW_MS, 'http: {port: 0}')
})
afterAll(() => started?.stop())

const value = async (name: string) => {
  const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/${name}`
  const { items } = (await started.adapter.get(path)).json as { items?: { value: string }[] }
  return items?.[0]?.value ?? 'none'
}

const { CUMULATIVE, DELTA } = AggregationTemporality

/** Each way to send, with the certificate of `detector`. */
function exporters(): PushMetricExporter[] {
  const { serverCa, podsCa, reportPort, httpPort } = started
  const { cert, key } = clientOf(podsCa, NOW_MS, { commonName: 'detector' })
  const url = `https://localhost:${httpPort}/v1/metrics`
  const agent = () => new Agent({ ca: serverCa.cert, cert, key })
  const tls = [serverCa.cert, key, cert].map((text) => Buffer.from(text)) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  return [
    new GrpcExporter({
      url: `https://localhost:${reportPort}`,
      credentials: credentials.createSsl(...tls),
      temporalityPreference: CUMULATIVE,
    }),
    new GrpcExporter({
      url: `https://localhost:${reportPort}`,
      credentials: credentials.createSsl(...tls),
      temporalityPreference: DELTA,
    }),
    new ProtobufExporter({ url, httpAgentOptions: agent, temporalityPreference: CUMULATIVE }),
    new JsonExporter({ url, httpAgentOptions: agent, temporalityPreference: DELTA }),
  ]
}

function service(exporter: PushMetricExporter, index: number) {
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 })
  const provider = new MeterProvider({
    readers: [reader],
    resource: resourceFromAttributes({
      'service.name': 'detector',
      'service.instance.id': `life-${index}`,
      'k8s.namespace.name': 'vision',
      'k8s.pod.name': `v-${index}`,
    }),
  })
  const meter = provider.getMeter('detector', '1.0')
  const requests = meter.createCounter('inference.requests', { unit: '{request}' })
  const advice = { explicitBucketBoundaries: [0.1, 0.5] }
  const duration = meter.createHistogram('inference.duration', { unit: 's', advice })
  const inFlight = meter.createUpDownCounter('in.flight')
  meter.createObservableGauge('queue.depth').addCallback((result) => result.observe(7))
  return {
    provider,
    serve(calls: number) {
      for (let call = 0; call < calls; call += 1) {
        requests.add(1, { model: 'yolo' })
        duration.record(0.25, { model: 'yolo' })
      }
      inFlight.add(2)
    },
  }
}

test('four services, each by another way: every signal is the sum of all', async () => {
  const services = exporters().map(service)
  try {
    for (let round = 0; round < 3; round += 1) {
      for (const { serve } of services) serve(4)
      await Promise.all(services.map(({ provider }) => provider.forceFlush()))
    }
    const values = async (...names: string[]) => Promise.all(names.map(value))
    await eventually('levels of all four', async () =>
      expect(await values('depth', 'in-flight')).toEqual(['28', '24']),
    )
    await eventually('what deltas count', async () =>
      expect(await values('requests-grpc', 'requests-http', 'calls', 'seconds')).toEqual([
        '12',
        '12',
        '12',
        '3',
      ]),
    )
    // A counter is counted from its first point on, as everywhere: 8 of 12, and what that says of the time before.
    const all = Number(await value('requests'))
    expect(all).toBeGreaterThanOrEqual(24 + 16)
    expect(all).toBeLessThanOrEqual(24 + 24)
  } finally {
    await Promise.allSettled(services.map(({ provider }) => provider.shutdown()))
  }
})

test('over HTTP nobody is taken for whom a certificate of another CA, or none, speaks', async () => {
  const { serverCa, podsCa, httpPort } = started
  const url = `https://localhost:${httpPort}/v1/metrics`
  const statusOf = (shown: object) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      const asked = request(
        url,
        { method: 'POST', ca: serverCa.cert, agent: false, headers, ...shown },
        (answer) => {
          answer.resume()
          resolve(answer.statusCode)
        },
      )
      asked.once('error', reject)
      asked.end('{}')
    })
  const foreign = authority('another-ca', NOW_MS)
  expect(await statusOf({})).toBe(401)
  expect(await statusOf(clientOf(foreign, NOW_MS, { commonName: 'detector' }))).toBe(401)
  expect(await statusOf(clientOf(podsCa, NOW_MS, { commonName: 'stranger' }))).toBe(403)
  expect(await statusOf(clientOf(podsCa, NOW_MS, { commonName: 'detector' }))).toBe(200)
})
