import { expect, test } from 'vitest'
import type { SelfMetricsSources } from '../../adapter/selfMetrics.ts'
import { createSelfMetrics } from '../../adapter/selfMetrics.ts'
import { createBoard } from '../../src/signal/board.ts'

const sources: SelfMetricsSources = {
  reader: createBoard(),
  nowMs: () => 0,
  store: () => ({ series: 0, points: 0, samplesTaken: 0, refusals: [] }),
  evaluator: () => ({ missedTicks: 0, lastDurationMs: 0 }),
  config: () => ({ generation: 1, problems: [] }),
  sources: () => [],
  windowStore: () => new Map(),
  behavior: () => undefined,
  certificateNotAfterMs: () => 0,
}

test('calls of the window store, by source, kind and result; none of a source that made none', async () => {
  const none = { done: 0, conflicts: 0, failed: 0, seconds: 0, readBytes: 0 }
  const calls = {
    load: { ...none, done: 2, seconds: 0.5, readBytes: 100 },
    commit: { ...none, done: 3, conflicts: 1, failed: 4, seconds: 1.5 },
    changes: { ...none, readBytes: 11 },
  }
  const idle = { load: none, commit: none, changes: none }
  const windowStore = () => new Map(Object.entries({ events: calls, queues: idle }))
  const text = await createSelfMetrics({ ...sources, windowStore }).text()
  const lines = text.split('\n').filter((line) => line.startsWith('tideline_window_store'))
  const total = (of: string, labels: string, value: number) =>
    `tideline_window_store_${of}_total{source="events"${labels}} ${value}`
  expect(lines.toSorted()).toEqual(
    [
      total('calls', ',operation="load",result="done"', 2),
      total('calls', ',operation="load",result="failed"', 0),
      total('calls', ',operation="commit",result="done"', 3),
      total('calls', ',operation="commit",result="failed"', 4),
      total('calls', ',operation="commit",result="conflict"', 1),
      total('calls', ',operation="changes",result="done"', 0),
      total('calls', ',operation="changes",result="failed"', 0),
      total('seconds', ',operation="load"', 0.5),
      total('seconds', ',operation="commit"', 1.5),
      total('seconds', ',operation="changes"', 0),
      total('read_bytes', '', 111),
    ].toSorted(),
  )
})
