/** What one pod may cost: however it is packed, so much a second and no more. */
import { status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import type { Caller } from '../../adapter/push/caller.ts'
import { Paces } from '../../adapter/push/paces.ts'
import { Refusal } from '../../adapter/push/refusal.ts'
import { takeExport } from '../../adapter/push/otlp/export.ts'
import { loadEncodings, loadExportType, PARTS_MAX } from '../../adapter/push/otlp/messages.ts'
import type { ExportRequest } from '../../adapter/push/otlp/messages.ts'
import { unread } from '../../adapter/push/unread.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { report, startPush } from './pushClient.ts'

const POD: Caller = { name: 'v-0', namespaces: new Set(['vision']), pod: 'v-0' }

/** When the pod may send again, in milliseconds; 0: now. */
function waitMs(paces: Paces, nowMs: number, pod = 'vision/v-0'): number {
  try {
    paces.pass(pod, nowMs)
    return 0
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: status.RESOURCE_EXHAUSTED })
    return thrown instanceof Refusal ? (thrown.retryMs ?? NaN) : NaN
  }
}

describe('parts', () => {
  const begin = () => new Paces({ reportsPerSecond: 1e6, partsPerSecond: 1000 })

  test('that are more than was left are made up for, and others do not wait', () => {
    const paces = begin()
    expect(waitMs(paces, 0)).toBe(0)
    paces.spend('vision/v-0', 12_000, 0)
    expect(waitMs(paces, 0)).toBe(10_001)
    expect(waitMs(paces, 0, 'vision/v-1')).toBe(0)
    expect(waitMs(paces, 9000)).toBe(1001)
    expect(waitMs(paces, 10_001)).toBe(0)
  })

  test('that are left are no more than those of two seconds', () => {
    const paces = begin()
    paces.pass('vision/v-0', 0)
    paces.spend('vision/v-0', 2001, 3_600_000)
    expect(waitMs(paces, 3_600_000)).toBe(2)
  })

  test('of a caller that is no pod are not its own', () => {
    const paces = begin()
    const pace = paces.ofCaller({ ...POD, pod: undefined }, () => 0)
    pace.spend(1e9)
    expect(() => (pace.pass(), pace.check())).not.toThrow()
  })
})

const type = await loadExportType()
const encodings = await loadEncodings()
const START = 1_700_000_000_000

function nanoseconds(ms: number): string {
  return `${Math.round(ms)}000000`
}

function exportOf(metric: object): object {
  return { resourceMetrics: [{ scopeMetrics: [{ scope: {}, metrics: [metric] }] }] }
}

const gauges = (count: number) => ({
  name: 'depth',
  gauge: {
    dataPoints: Array.from({ length: count }, () => ({
      timeUnixNano: nanoseconds(START),
      asInt: '1',
    })),
  },
})
const delta = (seconds: number) => ({
  name: 'requests',
  sum: {
    ...{ isMonotonic: true, aggregationTemporality: 1 },
    dataPoints: [
      {
        startTimeUnixNano: nanoseconds(START - seconds * 1000),
        ...{ timeUnixNano: nanoseconds(START), asInt: '1' },
      },
    ],
  },
})
const histogram = (buckets: number) => ({
  name: 'latency',
  histogram: {
    aggregationTemporality: 2,
    dataPoints: [
      {
        ...{ timeUnixNano: nanoseconds(START), count: String(buckets) },
        bucketCounts: Array<string>(buckets).fill('1'),
        explicitBounds: Array.from({ length: buckets - 1 }, (_, index) => index),
      },
    ],
  },
})

/** What a message costs its pod, read as the port for gRPC reads it. */
async function costOf(message: object): Promise<number> {
  const clock = new ManualClock(START)
  const paces = new Paces({ reportsPerSecond: 1, partsPerSecond: 1 })
  const pace = paces.ofCaller(POD, () => clock.nowMs())
  const body = Buffer.from(type.encode(type.fromObject(message)).finish())
  const deps = {
    receiver: {
      report: () => ({ outcome: 'accepted' }) as const,
      measure: () => ({ outcome: 'taken', taken: 0, refused: new Map() }) as const,
    },
    ...{ clock, paces, log: new RecordingLogger(), proof: { kind: 'none' } as const },
    ...{ observe: () => undefined, observePoints: () => undefined },
  }
  pace.pass()
  const requestDeserialize = (bytes: Buffer) => encodings[0]?.read(bytes, () => undefined)
  const service = { Export: { requestDeserialize } } as never
  const method = unread(service, type, PARTS_MAX)['Export']
  const request = method?.requestDeserialize(body) as { read(spend: unknown): ExportRequest }
  takeExport(request.read(pace.spend), POD, deps)
  // One a second, from two that were left.
  return Math.round(waitMs(paces, clock.monotonicMs(), 'vision/v-0') / 1000) + 1
}

test.each([
  ['points', exportOf(gauges(5000)), 10_000, 13_000],
  ['the steps of a long interval', exportOf(delta(120)), 120, 140],
  ['what is no time', exportOf(delta(1e9)), 600, 620],
  ['buckets', exportOf(histogram(100)), 100, 150],
])('%s cost their number', async (_, message, least, most) => {
  const cost = await costOf(message)
  expect(cost).toBeGreaterThanOrEqual(least)
  expect(cost).toBeLessThanOrEqual(most)
})

test('a pod that sent too much is refused before what it sends is read, also where that is nonsense', async () => {
  const name = 'system:serviceaccount:vision:default'
  const extra = { 'authentication.kubernetes.io/pod-name': ['v-0'] }
  const told: unknown[] = []
  const push = await startPush({
    proof: { kind: 'token', review: () => ({ authenticated: true, user: { name, extra } }) },
    paces: new Paces({ reportsPerSecond: 1000, partsPerSecond: 10 }),
    receiver: {
      report: (one) => {
        told.push(one)
        return { outcome: 'accepted' }
      },
    },
  })
  try {
    const endUnixMs = Date.now()
    const long = report({ startUnixMs: endUnixMs - 100_000, endUnixMs })
    expect(await push.client.report(long, 'v-0')).toMatchObject({ outcome: 'ACCEPTED' })
    const refused = await push.client.report(report({ sequence: 2, pod: 'somebody-else' }), 'v-0')
    expect(refused).toMatch(/^RESOURCE_EXHAUSTED: vision\/v-0 may send 10 parts \(push\.parts/)
    expect(told).toHaveLength(1)
  } finally {
    await push.close()
  }
})
