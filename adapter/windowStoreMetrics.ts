/** Metrics of the window store that replicas share. */
import type { Registry } from 'prom-client'
import { Counter } from 'prom-client'

/** By source and kind of call. */
export type WindowStoreCalls = () => ReadonlyMap<string, Readonly<Record<string, StoreCalls>>>

interface StoreCalls {
  readonly done: number
  readonly conflicts: number
  readonly failed: number
  readonly seconds: number
  readonly readBytes: number
}

export function windowStoreMetrics(registry: Registry, windowStore: WindowStoreCalls): void {
  const registers = [registry]
  const labelNames = ['source', 'operation']
  /** A source that asks nothing of it shows nothing. */
  const calls = () =>
    [...windowStore()]
      .filter(([, of]) => Object.values(of).some((one) => one.done + one.failed > 0))
      .flatMap(([source, of]) =>
        Object.entries(of).map(([operation, one]) => ({ labels: { source, operation }, ...one })),
      )
  new Counter({
    name: 'tideline_window_store_calls_total',
    help: 'Calls of the shared window store: done, conflict (a commit that found another position), failed.',
    labelNames: [...labelNames, 'result'],
    registers,
    collect() {
      this.reset()
      for (const { labels, done, conflicts, failed } of calls()) {
        this.inc({ ...labels, result: 'done' }, done)
        this.inc({ ...labels, result: 'failed' }, failed)
        if (labels.operation === 'commit') this.inc({ ...labels, result: 'conflict' }, conflicts)
      }
    },
  })
  new Counter({
    name: 'tideline_window_store_seconds_total',
    help: 'Time that calls of the shared window store took.',
    labelNames,
    registers,
    collect() {
      this.reset()
      for (const { labels, seconds } of calls()) this.inc(labels, seconds)
    },
  })
  new Counter({
    name: 'tideline_window_store_read_bytes_total',
    help: 'Contents of buckets read from the shared window store.',
    labelNames: ['source'],
    registers,
    collect() {
      this.reset()
      for (const { labels, readBytes } of calls()) this.inc({ source: labels.source }, readBytes)
    },
  })
}
