import type { Component, SourceDeps, SourceType } from '../../../ports.ts'
import type { TidelineError } from '../../../errors.ts'
import { outcomes } from '../../outcomes.ts'
import { poll, withDeadline } from '../../poll.ts'
import type { KafkaClient } from '../client.ts'
import { kafkajsClient } from '../kafkajs/client.ts'
import { Poll } from './ask.ts'
import { kafkaLagConfigSchema } from './config.ts'
import type { KafkaLagConfig } from './config.ts'
import { subjectsOf } from './groupConfig.ts'
import { GroupTopic } from './groupTopic.ts'

/**
 * Polls the lag of consumer groups: messages, seconds, rates and what is to be scaled on. Metrics, policies and the
 * rights that are needed are in `docs/kafka.md`. Each topic of each group is an origin, `TOPIC@GROUP`.
 *
 * A poll is a Metadata request for all topics, then at one time ListOffsets (twice) for each topic and OffsetFetch
 * and DescribeGroups for each group.
 */
export const kafkaLagSource: SourceType<KafkaLagConfig> = {
  type: 'kafkaLag',
  summary: 'Reads the lag of Kafka consumer groups, in messages and in seconds.',
  schema: kafkaLagConfigSchema,
  create: (config, deps) =>
    pollLag(
      config,
      { offsets: kafkajsClient(config, deps), times: kafkajsClient(config, deps) },
      deps,
    ),
}

/** Apart, since a fetch that waits holds up whatever is asked over the same connection. */
interface LagClients {
  readonly offsets: KafkaClient
  /** Looks up when messages were produced; connects when that is asked for. */
  readonly times: KafkaClient
}

/** Polls the lag of groups; each topic of each group is an origin. */
export function pollLag(
  config: Pick<KafkaLagConfig, 'interval' | 'timeout' | 'groups'>,
  clients: LagClients,
  deps: SourceDeps,
): Component {
  const { name, clock, log } = deps
  const { interval: intervalMs, timeout: timeoutMs = intervalMs } = config
  const subjects = subjectsOf(config.groups)
  const known = subjects.map((subject) => new GroupTopic(subject, clients.times, clock))
  const tell = outcomes(deps)
  /** Of the poll that is going on: the origins that are not told yet. */
  const open = new Set<GroupTopic>()

  async function collect(signal: AbortSignal): Promise<void> {
    // A value was true at some time between question and answer: the earlier one makes nothing look fresher.
    const asked = { atMs: clock.nowMs(), monotonicMs: clock.monotonicMs() }
    for (const one of known) open.add(one)
    const questions = new Poll(clients.offsets, subjects, signal)
    const one = async (origin: GroupTopic, deadline: AbortSignal) => {
      const found = await questions.find(origin.subject)
      const outcome = found instanceof Error ? found : await origin.report(found, asked, deadline)
      if (!signal.aborted && open.delete(origin)) tell(origin.subject.origin, outcome, asked.atMs)
    }
    // Look-ups of times get half of what there is, so that the lag itself never waits too long for them.
    const done = await withDeadline(clock, timeoutMs / 2, signal, (deadline) =>
      Promise.allSettled(known.map((origin) => one(origin, deadline))),
    )
    signal.throwIfAborted()
    for (const each of done) if (each.status === 'rejected') throw each.reason
  }

  function failed(failure: TidelineError): void {
    const atMs = clock.nowMs()
    for (const origin of open) tell(origin.subject.origin, failure, atMs)
    open.clear()
  }

  return {
    async run(signal) {
      const missed = (slots: number) => log.debug('collects-missed', { source: name, slots })
      try {
        await poll({ clock, intervalMs, timeoutMs, key: name, failed, missed }, collect, signal)
      } finally {
        await Promise.all([clients.offsets.close(), clients.times.close()])
      }
    },
  }
}
