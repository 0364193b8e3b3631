import type { StartUpHistory } from '../forecast/startUpHistory.ts'
import type { Signal, StartUp } from '../model.ts'
import type { Component } from '../ports.ts'
import { boundedStartUp, configuredStartUp } from './startUpText.ts'
import type { WorkloadsDeps } from './workloads.ts'
import { createWorkloads } from './workloads.ts'

export interface StartUps extends Component {
  setSignals(signals: readonly Signal[]): void
  /** Undefined where nothing looks ahead. */
  of(signal: Signal, nowMs: number): StartUp | undefined
  remember(): Iterable<unknown>
  recall(entries: readonly unknown[]): void
}

/** A signal that looks ahead, and what was told of it last. */
interface Following {
  readonly policy: Extract<Signal['stabilize'], { policy: 'predictive' }>
  readonly history: StartUpHistory | undefined
  startUp: StartUp
  version: number
  untilMs: number
}

/** How long the pods behind each signal take to start: measured where the signal says which pods these are. */
export function createStartUps(deps: WorkloadsDeps): StartUps {
  const workloads = createWorkloads(deps)
  let following = new Map<string, Following>()

  function measure(id: string, one: Following, nowMs: number): void {
    const { policy, history } = one
    const measured = history?.measured(policy.startUp?.quantile ?? 1, nowMs)
    const before = one.startUp.of
    one.startUp =
      measured === undefined ? configuredStartUp(policy) : boundedStartUp(measured, policy)
    one.version = history?.version ?? 0
    one.untilMs = history?.changesMs ?? Infinity
    const { of, reason } = one.startUp
    if (of !== before) deps.log.info('start-up-known', { signal: id, of, reason })
  }

  return {
    setSignals(signals) {
      const before = following
      following = new Map()
      const measuring = signals.flatMap(({ id, namespace, stabilize }) =>
        stabilize?.policy === 'predictive' && stabilize.startUp !== undefined
          ? [{ id, pods: { namespace, labelSelector: stabilize.startUp.labelSelector } }]
          : [],
      )
      const histories = workloads.setPods(measuring.map(({ pods }) => pods))
      const bySignal = new Map(measuring.map(({ id }, i) => [id, histories[i]]))
      for (const { id, stabilize: policy } of signals) {
        if (policy?.policy !== 'predictive') continue
        const startUp = before.get(id)?.startUp ?? configuredStartUp(policy)
        const history = bySignal.get(id)
        following.set(id, { policy, history, startUp, version: -1, untilMs: -Infinity })
      }
    },
    of({ id }, nowMs) {
      const one = following.get(id)
      if (one === undefined) return undefined
      const version = one.history?.version ?? 0
      if (version !== one.version || nowMs >= one.untilMs) measure(id, one, nowMs)
      return one.startUp
    },
    remember: () => workloads.remember(),
    recall: (entries) => workloads.recall(entries),
    run: (signal) => workloads.run(signal),
  }
}
