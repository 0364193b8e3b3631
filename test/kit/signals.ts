/** A signal for tests: sensible everywhere, with what the test is about changed. */
import type { Signal } from '../../src/model.ts'

export function signalOf(changes: Partial<Signal> = {}): Signal {
  return {
    id: 'vision/queue',
    namespace: 'vision',
    name: 'queue',
    selection: { source: 's', metric: 'm', matchers: [] },
    window: { function: 'last', durationMs: 60_000, quantile: 0 },
    combine: { function: 'sum', by: [], minCoverage: 0.9 },
    freshForMs: 30_000,
    whenStale: { answer: 'error' },
    whenAbsent: { answer: 'error' },
    expose: { external: { name: 'queue' } },
    ...changes,
  }
}

/** Values told of pods, named by the label `pod`. */
export const PODS_EXPOSURE: Signal['expose'] = {
  custom: {
    name: 'm',
    on: { resource: 'pods', kind: 'Pod', apiVersion: 'v1', namespaced: true, nameLabel: 'pod' },
  },
}
