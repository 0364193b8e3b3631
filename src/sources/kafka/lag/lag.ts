import type { Component, SourceDeps } from '../../../ports.ts'
import type { TidelineError } from '../../../errors.ts'
import { outcomes } from '../../outcomes.ts'
import { poll } from '../../poll.ts'
import type { KafkaClient } from '../client.ts'
import { Poll } from './ask.ts'
import { subjectsOf } from './groupConfig.ts'
import type { LagGroupConfig } from './groupConfig.ts'
import { GroupTopic } from './groupTopic.ts'

export interface LagPolling {
  readonly interval: number
  /** Of one poll; at most `interval`. */
  readonly timeout: number
  readonly groups: readonly LagGroupConfig[]
}

/** Polls the lag of groups through a client; each topic of each group is an origin. */
export function pollLag(config: LagPolling, client: KafkaClient, deps: SourceDeps): Component {
  const { name, clock, log } = deps
  const subjects = subjectsOf(config.groups)
  const known = subjects.map((subject) => new GroupTopic(subject, client, clock))
  const tell = outcomes(deps)
  /** Of the poll that is going on: the origins that are not told yet. */
  const open = new Set<GroupTopic>()

  async function collect(signal: AbortSignal): Promise<void> {
    // A value was true at some time between question and answer: the earlier one makes nothing look fresher.
    const asked = { atMs: clock.nowMs(), monotonicMs: clock.monotonicMs() }
    for (const one of known) open.add(one)
    const questions = new Poll(client, subjects, signal)
    const over = new AbortController()
    // Look-ups of times get half of what there is, so that the lag itself never waits too long for them.
    const late = new AbortController()
    const timer = clock.sleep(config.timeout / 2, over.signal).then(() => late.abort())
    const deadline = AbortSignal.any([signal, late.signal])
    const one = async (origin: GroupTopic) => {
      const found = await questions.find(origin.subject)
      const outcome = found instanceof Error ? found : await origin.report(found, asked, deadline)
      if (!signal.aborted && open.delete(origin)) tell(origin.subject.origin, outcome, asked.atMs)
    }
    try {
      const done = await Promise.allSettled(known.map(one))
      signal.throwIfAborted()
      for (const each of done) if (each.status === 'rejected') throw each.reason
    } finally {
      over.abort()
      await timer
    }
  }

  function failed(failure: TidelineError): void {
    const atMs = clock.nowMs()
    for (const origin of open) tell(origin.subject.origin, failure, atMs)
    open.clear()
  }

  return {
    async run(signal) {
      const missed = (slots: number) => log.debug('collects-missed', { source: name, slots })
      const { interval: intervalMs, timeout: timeoutMs } = config
      try {
        await poll({ clock, intervalMs, timeoutMs, key: name, failed, missed }, collect, signal)
      } finally {
        await client.close()
      }
    },
  }
}
