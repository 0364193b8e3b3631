import { TidelineError } from '../../../errors.ts'
import type { Batch, Labels, Sample } from '../../../model.ts'
import type { Clock } from '../../../ports.ts'
import type { Outcome } from '../../outcomes.ts'
import type { KafkaClient } from '../client.ts'
import type { Found } from './ask.ts'
import { Drain } from './drain.ts'
import type { Subject } from './groupConfig.ts'
import { PartitionMemory } from './partition.ts'
import { ProduceTimes } from './produceTimes.ts'
import type { Next } from './produceTimes.ts'
import { numbers, RebalanceDamping, scalingLag } from './scaling.ts'
import type { Part } from './scaling.ts'

type Note = NonNullable<Batch['notes']>[number]

interface Place {
  readonly labels: Labels
  readonly memory: PartitionMemory
}

/** When a poll asked: by the wall clock, and by one that does not step. */
export interface Asked {
  readonly atMs: number
  readonly monotonicMs: number
}

/** One topic of one group: what is kept of it from poll to poll, and what each poll says of it. */
export class GroupTopic {
  readonly subject: Subject
  readonly #labels: Labels
  readonly #places = new Map<number, Place>()
  readonly #times: ProduceTimes
  readonly #drain = new Drain()
  readonly #damping: RebalanceDamping
  #id: string | undefined

  constructor(subject: Subject, client: KafkaClient, clock: Clock) {
    this.subject = subject
    this.#labels = Object.freeze({ topic: subject.topic, group: subject.group })
    this.#times = new ProduceTimes(subject, client, clock)
    this.#damping = new RebalanceDamping(subject.policy.rebalanceHold)
  }

  /** The samples of a poll and what is to be known of them. */
  async report(found: Found, asked: Asked, deadline: AbortSignal): Promise<Outcome> {
    const { atMs } = asked
    const remade = this.#id !== undefined && found.id !== undefined && this.#id !== found.id
    this.#id = found.id ?? this.#id
    this.#times.noteEnds(found.end, atMs, remade)
    const parts = this.#observe(found, atMs, remade)
    const lateness =
      this.subject.policy.lagSeconds === 'off'
        ? undefined
        : await this.#times.lateness(behind(parts), atMs, deadline)
    const notes: Note[] = []
    const samples: Sample[] = []
    for (const part of parts) this.#samplesOf(part, atMs, lateness?.seconds, samples)
    for (const text of lateness?.notes ?? [])
      notes.push({ metric: 'kafka_group_lag_seconds', text })
    this.#ofGroup(found, parts, asked, { samples, notes })
    return { samples, notes }
  }

  #observe(found: Found, atMs: number, remade: boolean): readonly Part[] {
    const { policy } = this.subject
    for (const partition of this.#places.keys())
      if (!found.partitions.includes(partition)) this.#places.delete(partition)
    const state = found.group instanceof TidelineError ? 'unknown' : found.group.state
    const consuming = state !== 'empty' && state !== 'rebalancing'
    return found.partitions.map((partition) => {
      const { memory } = this.#place(partition, atMs)
      const offsets = {
        earliest: found.earliest.get(partition) ?? NaN,
        end: found.end.get(partition) ?? NaN,
        committed: found.committed.get(partition),
      }
      const observed = memory.observe(offsets, policy, { remade, consuming })
      return { partition, ...observed, stuck: memory.unmoved >= policy.stuckAfter }
    })
  }

  #place(partition: number, atMs: number): Place {
    const known = this.#places.get(partition)
    if (known !== undefined) return known
    const labels = Object.freeze({ ...this.#labels, partition: String(partition) })
    const made = { labels, memory: new PartitionMemory(atMs) }
    this.#places.set(partition, made)
    return made
  }

  #samplesOf(
    part: Part,
    atMs: number,
    seconds: ReadonlyMap<number, number> | undefined,
    samples: Sample[],
  ): void {
    const { labels, memory } = this.#place(part.partition, atMs)
    const gauge = (metric: string, value: number | undefined) => {
      if (value !== undefined)
        samples.push({ metric, labels, kind: 'gauge', value, timestampMs: atMs })
    }
    const counter = (metric: string, value: number) => {
      const startMs = memory.sinceMs
      samples.push({ metric, labels, kind: 'cumulative', value, timestampMs: atMs, startMs })
    }
    gauge('kafka_group_lag', part.lag)
    if (seconds !== undefined)
      gauge('kafka_group_lag_seconds', part.lag === 0 ? 0 : seconds.get(part.partition))
    counter('kafka_topic_produced', memory.produced)
    counter('kafka_group_consumed', memory.consumed)
  }

  #ofGroup(
    found: Found,
    parts: readonly Part[],
    { atMs, monotonicMs }: Asked,
    told: { readonly samples: Sample[]; readonly notes: Note[] },
  ): void {
    const labels = this.#labels
    const gauge = (metric: string, value: number | undefined) => {
      if (value !== undefined)
        told.samples.push({ metric, labels, kind: 'gauge', value, timestampMs: atMs })
    }
    const note = (metric: string, text: string) => told.notes.push({ metric, text })
    const { group } = found
    const state = group instanceof TidelineError ? 'unknown' : group.state
    const scaling = this.#damping.step(scalingLag(this.subject.policy, parts), state, monotonicMs)
    gauge('kafka_group_scaling_lag', scaling.value)
    for (const text of scaling.notes) note('kafka_group_scaling_lag', text)
    gauge('kafka_group_drain_seconds', this.#drained(parts, monotonicMs))
    gauge('kafka_group_partitions', parts.length)
    const stuck = parts.filter((part) => part.stuck)
    gauge('kafka_group_stuck_partitions', stuck.length)
    if (stuck.length > 0) note('kafka_group_stuck_partitions', `partitions ${numbers(stuck)}`)
    if (group instanceof TidelineError)
      note(
        'kafka_group_scaling_lag',
        `not damped: the state of the group is not told: ${group.message}`,
      )
    else if (group.state === 'unknown')
      note(
        'kafka_group_scaling_lag',
        'not damped: the group is of the new protocol, or there is none',
      )
    else {
      gauge('kafka_group_rebalancing', group.state === 'rebalancing' ? 1 : 0)
      gauge('kafka_group_members', group.members)
    }
    for (const text of uncommitted(parts, this.subject.policy.noCommit)) {
      note('kafka_group_lag', text)
      note('kafka_group_scaling_lag', text)
    }
  }

  /** Not known where the lag of a partition is not. */
  #drained(parts: readonly Part[], atMs: number): number | undefined {
    let lag = 0
    let produced = 0
    let consumed = 0
    for (const { memory } of this.#places.values()) {
      produced += memory.produced
      consumed += memory.consumed
    }
    this.#drain.observe({ atMs, produced, consumed })
    for (const part of parts) {
      if (part.lag === undefined) return undefined
      lag += part.lag
    }
    return this.#drain.secondsFor(lag)
  }
}

function behind(parts: readonly Part[]): readonly Next[] {
  return parts.flatMap(({ partition, next, lag = 0 }) =>
    next === undefined || lag === 0 ? [] : [{ partition, offset: next }],
  )
}

function uncommitted(parts: readonly Part[], noCommit: string): readonly string[] {
  const texts: string[] = []
  const without = parts.filter((part) => part.basis === 'no-commit')
  if (without.length > 0)
    texts.push(
      `${without.length} of ${parts.length} partitions have no committed offset: noCommit ${noCommit}`,
    )
  const beyond = parts.filter((part) => part.basis === 'beyond-end')
  if (beyond.length > 0)
    texts.push(
      `the group committed offsets beyond the end of partitions ${numbers(beyond)}, which were cut or made anew: noCommit ${noCommit}`,
    )
  return texts
}
