import { systemClock } from '../../../src/clock.ts'
import { createSeriesStore } from '../../../src/series/store.ts'
import type { Component, WindowStore } from '../../../src/ports.ts'
import { kafkaEventsSource } from '../../../src/sources/kafka/events/events.ts'
import { memoryWindows } from '../../../src/store/memoryWindows.ts'
import { RecordingLogger } from '../../kit/recordingLogger.ts'
import { secretsFrom } from '../../kit/trial.ts'

export const CLASSES = ['person', 'car', 'bicycle'] as const

/** The source as it runs in the adapter, and what it told. */
export class EventsRun {
  readonly store = createSeriesStore(
    {
      seriesMax: 1000,
      pointsPerSeriesMax: 20_000,
      historyMs: 3_600_000,
      futureToleranceMs: 5000,
      labelsMax: 64,
      labelLengthMax: 1024,
    },
    systemClock,
  )
  readonly log = new RecordingLogger()
  readonly #component: Component
  #stop = new AbortController()
  #running = Promise.resolve()

  constructor(
    config: Readonly<Record<string, unknown>>,
    windows: WindowStore = memoryWindows(),
    secrets: Readonly<Record<string, string>> = {},
  ) {
    const deps = {
      name: 'events',
      clock: systemClock,
      sink: this.store,
      log: this.log,
      secrets: secretsFrom(secrets),
      windows,
    }
    this.#component = kafkaEventsSource.create(eventsConfig(config), deps)
    this.start()
  }

  start(): void {
    this.#stop = new AbortController()
    this.#running = this.#component.run(this.#stop.signal)
  }

  /** All that is in the series, by class. */
  counts(metric = 'detections'): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const series of this.#series(metric)) {
      let sum = 0
      for (let index = 0; index < series.length; index += 1) sum += series.valueAt(index)
      counts[series.labels['class'] ?? ''] = sum
    }
    return counts
  }

  /** Newest time of a count. */
  headMs(): number {
    const all = this.#series('detections').map(({ lastMs }) => lastMs)
    return all.length === 0 ? 0 : Math.min(...all)
  }

  counter(metric: string, reason?: string): number | undefined {
    const found = this.#series(metric).find(({ labels }) => labels['reason'] === reason)
    return found?.valueAt(found.length - 1)
  }

  failure(): string {
    const health = this.store.origins('events').values().next().value
    return health?.state === 'failing' ? `${health.code}: ${health.message}` : ''
  }

  #series(metric: string) {
    return this.store.select({ source: 'events', metric, matchers: [] })
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }
}

export function eventsConfig(config: Readonly<Record<string, unknown>>) {
  return kafkaEventsSource.schema.parse({
    metric: 'detections',
    labels: { class: { field: 'class' } },
    time: { field: 'ts' },
    window: '1m',
    ...config,
  })
}

/** Events of now, and how many of each class they are. */
export class Truth {
  readonly counts: Record<string, number> = {}
  #made = 0

  events(count: number, atMs = systemClock.nowMs()) {
    return Array.from({ length: count }, () => {
      const label = CLASSES[(this.#made += 1) % CLASSES.length] ?? ''
      this.counts[label] = (this.counts[label] ?? 0) + 1
      const confidence = (this.#made % 100) / 100
      return { value: JSON.stringify({ ts: atMs, class: label, confidence, camera: 'dock-4' }) }
    })
  }
}
