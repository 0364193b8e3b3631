import { afterEach } from 'vitest'
import { createInlet } from '../../adapter/push/inlet.ts'
import type { PushMeasurements, PushPoint, TargetDiscovery } from '../../src/ports.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { pushSource } from '../../src/sources/push/push.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'

const stops: AbortController[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort()
})

const LIMITS = {
  seriesMax: 1000,
  pointsPerSeriesMax: 1000,
  historyMs: 3_600_000,
  futureToleranceMs: 5000,
  labelsMax: 64,
  labelLengthMax: 1024,
}

/** A source of pushes and its store; what is sent is a counter of one process, unless told otherwise. */
export function begin(config: object = {}, limits: Partial<typeof LIMITS> = {}) {
  const clock = new ManualClock()
  const store = createSeriesStore({ ...LIMITS, ...limits }, clock)
  const inlet = createInlet()
  const log = new RecordingLogger()
  const watch: { publish?: Publish } = {}
  const discovery: TargetDiscovery = {
    async watch(_query, publish, signal) {
      watch.publish = publish
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  }
  const stop = new AbortController()
  stops.push(stop)
  const run = (with_: object = config, name = 'push') => {
    const source = pushSource.create(pushSource.schema.parse(with_), {
      ...{ name, clock, sink: store, pushed: inlet, log },
      discovery,
      secrets: { read: () => Promise.reject(new Error('no secrets here')) },
    })
    void source.run(stop.signal)
  }
  run()
  const send = (points: readonly Told[], from: Partial<PushMeasurements> = {}) =>
    inlet.measure({
      ...{ namespace: 'vision', pod: 'v-0', process: 'a', ...from },
      points: points.map((one) => ({ ...COUNTER, endMs: clock.nowMs(), ...one })),
    })
  const series = (metric: string) => store.select({ source: 'push', metric, matchers: [] })
  const values = (metric: string) =>
    series(metric).map((one) => Array.from({ length: one.length }, (_, at) => one.valueAt(at)))
  const health = (origin = 'vision/v-0/a') => store.origins('push').get(origin)
  /** The pods that there are. */
  const present = (...ids: readonly string[]) =>
    watch.publish?.(ids.map((id) => ({ id, url: 'http://192.0.2.1/', labels: {} })))
  return { clock, store, log, inlet, send, series, values, health, run, present }
}

type Publish = Parameters<TargetDiscovery['watch']>[1]
export type Told = Partial<PushPoint>
const COUNTER = {
  metric: 'requests_total',
  labels: { model: 'yolo' },
  stream: 'requests',
  kind: 'cumulative',
  value: 1,
} as const
export const TAKEN = { outcome: 'taken', taken: 1, refused: new Map() }

/** Why the points were refused. */
export function reasons(outcome: ReturnType<ReturnType<typeof begin>['send']>): string {
  return outcome.outcome === 'taken' ? [...outcome.refused.keys()].join('; ') : outcome.message
}
