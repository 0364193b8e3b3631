import { createInlet } from '../../adapter/push/inlet.ts'
import { systemClock } from '../../src/clock.ts'
import type { Target } from '../../src/model.ts'
import type { PushReceiver, SourceType, TargetDiscovery } from '../../src/ports.ts'
import { pushSource } from '../../src/sources/push/push.ts'
import { sourceContract } from '../kit/sourceContract.ts'
import type { Harness } from '../kit/sourceContract.ts'
import { depthOf, startOtlp } from '../push/otlp/otlpClient.ts'
import { report, startPush } from '../push/pushClient.ts'

const POD: Target = {
  id: 'vision/v-0',
  url: 'http://192.0.2.1/',
  labels: { namespace: 'vision', pod: 'v-0' },
}
const REPORT_EVERY_MS = 40

interface Sender {
  send(value: number): Promise<unknown>
  close(): unknown
  /** What the source makes of a value. */
  expected(value: number): ReturnType<Harness['expected']>
}

/** Counts of calls, by `push.proto`. */
async function reporter(receiver: PushReceiver): Promise<Sender> {
  const push = await startPush({ receiver })
  let sequence = 0
  return {
    async send(requests) {
      sequence += 1
      const counts = [{ model: 'yolo', version: '8', requests, errors: 0, latency: null }]
      await push.client.report(report({ sequence, counts }))
    },
    close: push.close,
    expected: (value) => ({
      metric: 'inference_requests',
      labels: { namespace: 'vision', pod: 'v-0', service: 'detector', model: 'yolo', version: '8' },
      kind: 'delta',
      value,
    }),
  }
}

/** A gauge, by OTLP. */
async function instrument(receiver: PushReceiver): Promise<Sender> {
  const { post, close } = await startOtlp({ receiver })
  return {
    send: (value) => post(depthOf(value, Date.now())),
    close,
    expected: (value) => ({
      metric: 'depth',
      labels: { namespace: 'vision', pod: 'v-0' },
      kind: 'gauge',
      value,
    }),
  }
}

/** One pod that sends the shown value over and over, through the real port. */
async function harness(open: (receiver: PushReceiver) => Promise<Sender>): Promise<Harness> {
  const inlet = createInlet()
  const sender = await open(inlet)
  // Nobody takes it yet. From then on its connection is there, and is not one that a source left open.
  await sender.send(0)
  const over = new AbortController()
  let shown: number | undefined
  let sent = 0
  let publish: (targets: readonly Target[]) => void = () => undefined
  const discovery: TargetDiscovery = {
    async watch(_query, tell, signal) {
      publish = tell
      tell([POD])
      await systemClock.sleep(1e8, signal)
    },
  }
  async function reporting(): Promise<void> {
    while (!over.signal.aborted) {
      if (shown !== undefined) {
        sent += 1
        await sender.send(shown)
      }
      await systemClock.sleep(REPORT_EVERY_MS, over.signal)
    }
  }
  const done = reporting()
  const asksNobody = 'nothing is asked of anybody: the upstream is the one that asks'
  return {
    type: pushSource as SourceType<unknown>,
    config: (overrides = {}) => ({
      bucket: '100ms',
      goneAfter: '200ms',
      pods: { labelSelector: 'app=vision' },
      ...overrides,
    }),
    discovery,
    pushed: inlet,
    async show(value) {
      shown = value
    },
    expected: sender.expected,
    misbehave: () => Promise.reject(new Error(asksNobody)),
    behave: () => Promise.resolve(),
    async vanish() {
      shown = undefined
      publish([])
    },
    requests: () => ({ count: sent, maxConcurrent: 1 }),
    async close() {
      over.abort()
      await done
      await sender.close()
    },
    skip: ['3.1', '3.2', '3.3', '3.4', '3.5', '4.1', '5.2', '5.3'].map((clause) => ({
      clause,
      reason: asksNobody,
    })),
  }
}

sourceContract('push', () => harness(reporter))
sourceContract('push, by OTLP', () => harness(instrument))
