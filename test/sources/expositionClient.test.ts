import {
  Counter,
  Gauge,
  Histogram,
  openMetricsContentType,
  prometheusContentType,
  Registry,
  Summary,
} from 'prom-client'
import type { OpenMetricsContentType } from 'prom-client'
import { expect, test } from 'vitest'
import { formatOf } from '../../src/sources/exposition/format.ts'
import { ExpositionParser } from '../../src/sources/exposition/parser.ts'

/** What a widespread client library writes is read, in both of its formats. */
test.each([false, true])('OpenMetrics with exemplars: %s', async (enableExemplars) => {
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(
    (enableExemplars ? openMetricsContentType : prometheusContentType) as OpenMetricsContentType,
  )
  const registers = [registry]
  const requests = new Counter({
    name: 'requests',
    help: 'Requests.\nWith "quotes" \\ and lines.',
    labelNames: ['path', 'status'],
    registers,
    enableExemplars,
  })
  const queue = new Gauge({ name: 'queue', help: 'Queue', registers })
  const latency = new Histogram({
    name: 'latency_seconds',
    help: 'Latency',
    buckets: [0.1, 1],
    registers,
    enableExemplars,
  })
  const size = new Summary({ name: 'size_bytes', help: 'Size', percentiles: [0.5], registers })
  const path = 'a "quoted" \\ path\nin {two} lines, é'
  const labels = { path, status: '200' }
  if (enableExemplars) requests.inc({ labels, value: 3, exemplarLabels: { path: 'x}y' } })
  else requests.inc(labels, 3)
  queue.set(-2.5e-7)
  if (enableExemplars) latency.observe({ value: 0.5, labels: {}, exemplarLabels: { trace: '#1' } })
  else latency.observe(0.5)
  size.observe(10)

  const body = await registry.metrics()
  const format = formatOf(registry.contentType, body)
  const samples = new ExpositionParser({
    limits: { lines: 100, series: 100, labels: 5 },
    wants: () => true,
    labelsOf: (labels) => Object.fromEntries(labels),
    honorTimestamps: true,
  }).parse({ body, format, atMs: 5, framed: false })

  const counter = format === 'openmetrics' ? 'requests_total' : 'requests'
  expect(samples.map(({ metric, kind, value, labels }) => [metric, kind, value, labels])).toEqual([
    [counter, 'cumulative', 3, { path, status: '200' }],
    ['queue', 'gauge', -2.5e-7, {}],
    ['latency_seconds_bucket', 'cumulative', 0, { le: '0.1' }],
    ['latency_seconds_bucket', 'cumulative', 1, { le: '1' }],
    ['latency_seconds_bucket', 'cumulative', 1, { le: '+Inf' }],
    ['latency_seconds_sum', 'cumulative', 0.5, {}],
    ['latency_seconds_count', 'cumulative', 1, {}],
    ['size_bytes', 'gauge', 10, { quantile: '0.5' }],
    ['size_bytes_sum', 'cumulative', 10, {}],
    ['size_bytes_count', 'cumulative', 1, {}],
  ])
})
