/** Tideline's metrics about itself. Every number is read when it is asked for, from who owns it. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { OriginHealth } from '../src/model.ts'
import type { SignalReader } from '../src/ports.ts'
import type { WindowStoreCalls } from './windowStoreMetrics.ts'
import { windowStoreMetrics } from './windowStoreMetrics.ts'
import { signalMetricsText } from './signalMetrics.ts'

export interface SelfMetricsSources {
  readonly reader: SignalReader
  nowMs(): number
  store(): {
    readonly series: number
    readonly points: number
    readonly samplesTaken: number
    readonly refusals: readonly { source: string; reason: string; count: number }[]
  }
  evaluator(): { readonly missedTicks: number; readonly lastDurationMs: number }
  config(): { readonly generation: number; readonly problems: readonly string[] }
  sources(): readonly { name: string; origins: ReadonlyMap<string, OriginHealth> }[]
  /** Calls of the window store that replicas share, by source and kind of call. */
  windowStore: WindowStoreCalls
  /** Of what is written to HPAs; undefined where that is off. */
  behavior():
    | {
        readonly leader: boolean
        readonly windows: readonly {
          namespace: string
          kind: string
          name: string
          seconds: number
        }[]
        readonly writes: ReadonlyMap<string, number>
      }
    | undefined
  /** When the serving certificate expires, ms since 1970. */
  certificateNotAfterMs(): number
}

export interface SelfMetrics {
  text(): Promise<string>
  observeRequest(route: string, status: number, seconds: number): void
  /** A call or stream of the external scaler that is over, by the name of its gRPC status. */
  observeCall(method: string, code: string): void
  /** A pushed report by what became of it: accepted, duplicate, or why it was refused. */
  observeReport(outcome: string): void
  /** Points of OTLP exports that were taken or not. */
  observePoints(outcome: 'accepted' | 'refused', count: number): void
}

export function createSelfMetrics(from: SelfMetricsSources): SelfMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  engineMetrics(registry, from)
  sourceMetrics(registry, from)
  behaviorMetrics(registry, from)
  windowStoreMetrics(registry, from.windowStore)
  const requests = new Histogram({
    name: 'tideline_request_duration_seconds',
    help: 'Time to answer a request of the metrics API.',
    labelNames: ['route', 'code'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5],
    registers: [registry],
  })
  const calls = new Counter({
    name: 'tideline_external_scaler_calls_total',
    help: 'Calls and streams of the external scaler that are over, by gRPC status.',
    labelNames: ['method', 'code'],
    registers: [registry],
  })
  const reports = new Counter({
    name: 'tideline_push_reports_total',
    help: 'Reports of services by outcome: accepted, duplicate, or why they were refused.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  const points = new Counter({
    name: 'tideline_push_points_total',
    help: 'Points of OTLP exports by outcome: accepted or refused.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  return {
    observePoints: (outcome, count) => points.inc({ outcome }, count),
    observeReport: (outcome) => reports.inc({ outcome }),
    async text() {
      const own = await registry.metrics()
      return `${own}\n${await signalMetricsText(from.reader, from.nowMs())}`
    },
    observeCall: (method, code) => calls.inc({ method, code }),
    observeRequest(route, status, seconds) {
      requests.observe({ route, code: status }, seconds)
    },
  }
}

type Read = () => number

function engineMetrics(registry: Registry, from: SelfMetricsSources): void {
  const gauges: [name: string, help: string, read: Read][] = [
    ['series', 'Series kept.', () => from.store().series],
    ['points', 'Points kept, over all series.', () => from.store().points],
    [
      'evaluation_duration_seconds',
      'Time the last evaluation of all signals took.',
      () => from.evaluator().lastDurationMs / 1000,
    ],
    [
      'config_generation',
      'Configurations applied since the start.',
      () => from.config().generation,
    ],
    [
      'config_refused',
      '1 while the files hold a configuration that was refused; the last good one runs.',
      () => (from.config().problems.length > 0 ? 1 : 0),
    ],
    [
      'certificate_not_after_seconds',
      'When the serving certificate expires, seconds since 1970.',
      () => from.certificateNotAfterMs() / 1000,
    ],
  ]
  for (const [name, help, read] of gauges) {
    new Gauge({
      name: `tideline_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  }
  const totals: [name: string, help: string, read: Read][] = [
    ['samples', 'Samples taken.', () => from.store().samplesTaken],
    [
      'evaluations_missed',
      'Ticks left out because one took too long.',
      () => from.evaluator().missedTicks,
    ],
  ]
  for (const [name, help, read] of totals) {
    new Counter({
      name: `tideline_${name}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }
}

function sourceMetrics(registry: Registry, from: SelfMetricsSources): void {
  new Counter({
    name: 'tideline_samples_refused_total',
    help: 'Samples not taken, by source and reason.',
    labelNames: ['source', 'reason'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { source, reason, count } of from.store().refusals)
        this.inc({ source, reason }, count)
    },
  })
  new Gauge({
    name: 'tideline_source_origins',
    help: 'Origins of a source by how their collects go: ok, or the code of the failure.',
    labelNames: ['source', 'state'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { name, origins } of from.sources())
        for (const health of origins.values())
          this.inc({ source: name, state: health.state === 'ok' ? 'ok' : health.code })
    },
  })
}

function behaviorMetrics(registry: Registry, from: SelfMetricsSources): void {
  const registers = [registry]
  if (from.behavior() === undefined) return
  new Gauge({
    name: 'tideline_behavior_window_seconds',
    help: "Scale-down window that the adapter wrote to an HPA or ScaledObject; no series where it is not the adapter's.",
    labelNames: ['namespace', 'kind', 'name'],
    registers,
    collect() {
      this.reset()
      for (const { seconds, ...labels } of from.behavior()?.windows ?? []) this.set(labels, seconds)
    },
  })
  new Counter({
    name: 'tideline_behavior_writes_total',
    help: 'Attempts to write a behaviour: written, restored, conflict (another owns the field), failed.',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset()
      for (const [result, count] of from.behavior()?.writes ?? []) this.inc({ result }, count)
    },
  })
  new Gauge({
    name: 'tideline_behavior_leader',
    help: '1 where this replica is the one that writes behaviours.',
    registers,
    collect() {
      this.set(from.behavior()?.leader === true ? 1 : 0)
    },
  })
}
