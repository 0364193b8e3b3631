/** Which time the deltas of OpenTelemetry's own SDK tell of, when some of its exports are lost. */
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { begin } from '../../sources/pushedMeasurements.ts'
import { startOtlp } from './otlpClient.ts'

const EVERY_MS = 5000
// The SDK asks the machine what time it is.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
afterEach(() => void vi.useRealTimers())

async function start(hasLevel: boolean) {
  const { clock, inlet, series } = begin()
  await clock.advance(121_000)
  vi.setSystemTime(clock.nowMs())
  const port = await startOtlp({ receiver: inlet })
  const real = new OTLPMetricExporter({
    url: `${port.url}/v1/metrics`,
    temporalityPreference: AggregationTemporality.DELTA,
  })
  let isAway = false
  const exporter: PushMetricExporter = {
    export: (metrics, done) => (isAway ? done({ code: 1 }) : real.export(metrics, done)),
    selectAggregationTemporality: (kind) => real.selectAggregationTemporality(kind),
    forceFlush: () => real.forceFlush(),
    shutdown: () => real.shutdown(),
  }
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const resource = resourceFromAttributes({
    'k8s.namespace.name': 'vision',
    'k8s.pod.name': 'v-0',
  })
  const meter = new MeterProvider({ resource, readers: [reader] }).getMeter('test')
  const requests = meter.createCounter('requests')
  if (hasLevel) meter.createObservableGauge('depth').addCallback((one) => one.observe(3))
  const began = clock.nowMs()
  return {
    /** Counts in the middle of the next 5 s, and exports at their end. */
    async collect(count: number, away = false) {
      await clock.advance(EVERY_MS / 2)
      vi.setSystemTime(clock.nowMs())
      if (count > 0) requests.add(count)
      await clock.advance(EVERY_MS / 2)
      vi.setSystemTime(clock.nowMs())
      isAway = away
      await reader.forceFlush().catch(() => undefined)
    },
    /** Since the start, in exports. */
    covered() {
      const { fromMs = NaN, untilMs = NaN } = series('requests_total')[0]?.covered ?? {}
      return [(fromMs - began) / EVERY_MS, (untilMs - began) / EVERY_MS]
    },
    async close() {
      await reader.shutdown().catch(() => undefined)
      port.close()
    },
  }
}

test('an export that was lost is not known', async () => {
  const { collect, covered, close } = await start(false)
  for (const count of [1, 2, 3]) await collect(count)
  expect(covered()).toEqual([-Infinity, 3])
  await collect(4, true)
  expect(covered()).toEqual([-Infinity, 3])
  await collect(5)
  expect(covered()).toEqual([4, 5])
  await collect(6)
  expect(covered()).toEqual([4, 6])
  await close()
})

test('a counter that counted nothing for a while is known to be zero, where a level was exported', async () => {
  const { collect, covered, close } = await start(true)
  for (const count of [1, 2, 3, 4, 0, 0, 5]) await collect(count)
  expect(covered()).toEqual([-Infinity, 7])
  await collect(6, true)
  await collect(7)
  expect(covered()).toEqual([8, 9])
  await close()
})

test('where nothing at all was exported meanwhile it is not', async () => {
  const { collect, covered, close } = await start(false)
  for (const count of [1, 2, 3, 4, 0, 0, 5]) await collect(count)
  expect(covered()).toEqual([6.5, 7])
  await collect(6)
  expect(covered()).toEqual([6.5, 8])
  await close()
})
