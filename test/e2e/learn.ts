/** What an adapter would have learned of a load, had it run for days. */
import { createSeriesStore } from '../../src/series/store.ts'
import { readConfigFiles } from '../../src/config/files.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Clock } from '../../src/ports.ts'
import { createBoard } from '../../src/signal/board.ts'
import { createEvaluator } from '../../src/signal/evaluator.ts'
import { openState } from '../../src/store/stateFile.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'

const STEP_MS = 5000

export interface Past {
  readonly fromMs: number
  /** Asked again at each step: the past ends where the present begins. */
  toMs(): number
  /** Length of the queue. */
  load(ms: number): number
}

/**
 * Runs the engine as it is configured in `folder` over the past, with a clock that waits for nothing, and lets it write
 * the state file that the configuration names, as at a stop.
 */
export async function learn(folder: string, past: Past): Promise<void> {
  const loaded = loadConfig(await readConfigFiles([folder]))
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { adapter, signals } = loaded.config
  let nowMs = past.fromMs
  const stopping = new AbortController()
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: () => Promise.resolve(stopping.abort()),
  }
  const log = new RecordingLogger()
  const { series, pointsPerSeries, history } = adapter.limits
  const store = createSeriesStore(
    {
      seriesMax: series,
      pointsPerSeriesMax: pointsPerSeries,
      historyMs: history,
      futureToleranceMs: STEP_MS,
      labelsMax: 8,
      labelLengthMax: 100,
    },
    clock,
  )
  const board = createBoard()
  const intervalMs = adapter.evaluation.interval
  const evaluator = createEvaluator({ clock, view: store, board, log, intervalMs })
  const [stateFile] = await openState(adapter.state, evaluator, { clock, log })
  if (stateFile === undefined) throw new Error('the configuration names no state file')
  evaluator.setSignals(signals)
  for (; nowMs < past.toMs(); nowMs += STEP_MS) {
    const sample = {
      ...{ metric: 'redis_list_length', labels: { key: 'vision:frames' }, kind: 'gauge' as const },
      ...{ value: past.load(nowMs), timestampMs: nowMs },
    }
    const { refused } = store.write({
      ...{ source: 'vision-queues', origin: 'vision:frames', atMs: nowMs, complete: true },
      samples: [sample],
    })
    if (refused.size > 0) throw new Error(`refused: ${[...refused.keys()].join()}`)
    evaluator.tick(nowMs)
  }
  await stateFile.run(stopping.signal)
}
