/** The start-ups of pods that start alike, watched as long as a signal asks for them. */
import type { Clock, Component, Logger, PodSelection, PodStartUp, StartUpWatch } from '../ports.ts'
import { messageOf } from '../errors.ts'
import { StartUpHistory } from '../forecast/startUpHistory.ts'

export interface WorkloadsDeps {
  readonly clock: Clock
  readonly log: Logger
  /** Undefined without a cluster: nothing is ever seen then. */
  readonly watch: StartUpWatch | undefined
}

export interface Workloads extends Component {
  /** Begins to watch what is new and ends what is not asked for any more; the histories are in the same order. */
  setPods(all: readonly PodSelection[]): readonly StartUpHistory[]
  /** What was seen, by workload, as JSON can carry it. */
  remember(): Iterable<unknown>
  /** Takes what an earlier process told, for the pods that are set after this. */
  recall(entries: readonly unknown[]): void
}

interface Workload {
  readonly pods: PodSelection
  readonly history: StartUpHistory
  readonly stop: AbortController
}

/** What the state file has of one workload. */
interface Remembered {
  readonly startUpsOf: string
  readonly seen: readonly PodStartUp[]
}

const RETRY_MS = 5000

export function createWorkloads(deps: WorkloadsDeps): Workloads {
  const { clock, log, watch } = deps
  const workloads = new Map<string, Workload>()
  const running = new Set<Promise<void>>()
  let recalled = new Map<string, readonly PodStartUp[]>()
  let life: AbortSignal | undefined

  function begin(key: string, pods: PodSelection): Workload {
    const history = new StartUpHistory()
    for (const startUp of recalled.get(key) ?? []) history.add(startUp, clock.nowMs())
    recalled.delete(key)
    if (watch === undefined)
      log.warn('start-ups-not-watched', { ...pods, error: 'there is no cluster to watch pods in' })
    const workload = { pods, history, stop: new AbortController() }
    workloads.set(key, workload)
    start(workload)
    return workload
  }

  function start(workload: Workload): void {
    if (life === undefined || watch === undefined) return
    const signal = AbortSignal.any([life, workload.stop.signal])
    const done = follow(workload, watch, { clock, log, signal })
    running.add(done)
    void done.finally(() => running.delete(done))
  }

  return {
    setPods(all) {
      const keys = new Set(all.map(keyOf))
      for (const [key, { stop }] of workloads) {
        if (keys.has(key)) continue
        stop.abort()
        workloads.delete(key)
      }
      return all.map((pods) => {
        const key = keyOf(pods)
        return (workloads.get(key) ?? begin(key, pods)).history
      })
    },
    *remember() {
      for (const [startUpsOf, { history }] of workloads)
        if (history.all.length > 0)
          yield { startUpsOf, seen: [...history.all] } satisfies Remembered
    },
    recall(entries) {
      recalled = recalledOf(entries)
    },
    async run(signal) {
      life = signal
      for (const workload of workloads.values()) start(workload)
      await new Promise<void>((resolve) => {
        if (signal.aborted) return resolve()
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      await Promise.all(running)
      life = undefined
    },
  }
}

function keyOf({ namespace, labelSelector }: PodSelection): string {
  return JSON.stringify([namespace ?? null, labelSelector])
}

async function follow(
  { pods, history }: Workload,
  watch: StartUpWatch,
  { clock, log, signal }: Pick<WorkloadsDeps, 'clock' | 'log'> & { readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    try {
      const told = (startUp: PodStartUp) => void history.add(startUp, clock.nowMs())
      await watch.watchStartUps(pods, told, signal)
    } catch (thrown) {
      log.warn('start-ups-not-watched', { ...pods, error: messageOf(thrown) })
    }
    await clock.sleep(RETRY_MS, signal)
  }
}

/** By workload; what has not the shape is left out. */
function recalledOf(entries: readonly unknown[]): Map<string, readonly PodStartUp[]> {
  const byWorkload = new Map<string, readonly PodStartUp[]>()
  for (const entry of entries) {
    const { startUpsOf, seen } = (entry ?? {}) as Partial<Remembered>
    if (typeof startUpsOf === 'string' && Array.isArray(seen))
      byWorkload.set(startUpsOf, seen.filter(isStartUp))
  }
  return byWorkload
}

function isStartUp(value: unknown): value is PodStartUp {
  const { pod, ms, readyMs, witnessed } = (value ?? {}) as Partial<PodStartUp>
  const numbers = typeof ms === 'number' && typeof readyMs === 'number'
  return typeof pod === 'string' && numbers && typeof witnessed === 'boolean'
}
