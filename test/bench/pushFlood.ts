/**
 * What one pod can cost the adapter that sends the largest exports as often as it may, with and without a bound of the
 * parts in them. Run alone: `node test/bench/pushFlood.ts`.
 */
import { createInlet } from '../../adapter/push/inlet.ts'
import { Paces } from '../../adapter/push/paces.ts'
import { Refusal } from '../../adapter/push/refusal.ts'
import { takeExport } from '../../adapter/push/otlp/export.ts'
import { loadExportType, loadMetricsService, PARTS_MAX } from '../../adapter/push/otlp/messages.ts'
import type { ExportRequest } from '../../adapter/push/otlp/messages.ts'
import type { Unread } from '../../adapter/push/unread.ts'
import { unread } from '../../adapter/push/unread.ts'
import { systemClock } from '../../src/clock.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { pushSource } from '../../src/sources/push/push.ts'
import { ManualClock } from '../kit/manualClock.ts'
import type { BenchRow } from './evaluate.ts'

const BEGIN_MS = 1_700_000_000_000
const EXPORTS_PER_SECOND = 20
const POINTS = 20_000
const SERIES = 500
const POD = { name: 'v-0', namespaces: new Set(['vision']), pod: 'v-0' }
const LOG = { debug() {}, info() {}, warn() {}, error() {} }

export async function benchPushFlood(): Promise<BenchRow[]> {
  const bodies = await largestExports(EXPORTS_PER_SECOND)
  const what = `push: CPU of a pod with ${EXPORTS_PER_SECOND} exports/s of ${POINTS} points`
  const unit = 'ms/s'
  return [
    { what: `${what}, no bound`, value: await cost(bodies, 1e12, 1), unit },
    { what: `${what}, 20,000 parts/s`, value: await cost(bodies, 20_000, 60), unit },
  ]
}

/** Time that is spent in each second, over so many of them. */
async function cost(bodies: readonly Buffer[], partsPerSecond: number, seconds: number) {
  const clock = new ManualClock(BEGIN_MS)
  const inlet = createInlet()
  const limits = { seriesMax: 10_000, pointsPerSeriesMax: 1000, historyMs: 3_600_000 }
  const text = { futureToleranceMs: 5000, labelsMax: 64, labelLengthMax: 1024 }
  const stop = new AbortController()
  const secrets = { read: () => Promise.reject(new Error('no secrets here')) }
  const sink = createSeriesStore({ ...limits, ...text }, clock)
  const config = pushSource.schema.parse({ seriesPerPod: SERIES })
  const deps = { name: 'push', clock, sink, pushed: inlet, log: LOG, secrets }
  void pushSource.create(config, deps).run(stop.signal)
  const paces = new Paces({ reportsPerSecond: EXPORTS_PER_SECOND, partsPerSecond })
  const service = unread(await loadMetricsService(), await loadExportType(), PARTS_MAX)
  const read = service['Export']?.requestDeserialize as (body: Buffer) => Unread<ExportRequest>
  const edge = { receiver: inlet, clock, paces, log: LOG, proof: { kind: 'none' } as const }
  const counted = { observe: () => undefined, observePoints: () => undefined }
  let taken = 0
  let spentMs = 0
  for (let sent = 0; sent < seconds * EXPORTS_PER_SECOND; sent += 1) {
    const body = bodies[taken % bodies.length] ?? Buffer.alloc(0)
    const beganMs = systemClock.monotonicMs()
    try {
      const pace = paces.ofCaller(POD, () => clock.monotonicMs())
      pace.pass()
      takeExport(read(body).read(pace.spend), POD, { ...edge, ...counted })
      taken += 1
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown
    }
    spentMs += systemClock.monotonicMs() - beganMs
    await clock.advance(1000 / EXPORTS_PER_SECOND)
  }
  stop.abort()
  return spentMs / seconds
}

/** Each of other times, so that no point is a repetition. */
async function largestExports(count: number): Promise<Buffer[]> {
  const type = await loadExportType()
  return Array.from({ length: count }, (_, at) => {
    const dataPoints = Array.from({ length: POINTS }, (_unused, index) => {
      const ms = BEGIN_MS + at * 50 + index / SERIES
      const timeUnixNano = String(BigInt(Math.floor(ms * 1000)) * 1000n)
      const attributes = [{ key: 'a', value: { stringValue: String(index % SERIES) } }]
      return { timeUnixNano, asInt: '1', attributes }
    })
    const metrics = [{ name: 'depth', gauge: { dataPoints } }]
    const message = { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }
    return Buffer.from(type.encode(type.fromObject(message)).finish())
  })
}

if (import.meta.main)
  for (const { what, value, unit } of await benchPushFlood())
    console.log(`${what.padEnd(76)} ${value.toFixed(0)} ${unit}`)
