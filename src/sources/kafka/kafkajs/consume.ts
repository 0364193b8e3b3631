import type Broker from 'kafkajs/src/broker/index.js'
import { TidelineError } from '../../../errors.ts'
import type { Clock } from '../../../ports.ts'
import { abortable } from '../../poll.ts'
import type { Consumption, TopicDescription } from '../client.ts'
import type { Brokers } from './brokers.ts'
import { KAFKA, KafkaCodeError, kafkaFailure, passes } from './failure.ts'
import type { FetchedPartition } from './fetch.ts'
import { fetchFrom } from './fetch.ts'
import type { Assignment } from './member.ts'
import { Member } from './member.ts'
import { readRecords } from './records.ts'

export interface ConsumeDeps {
  readonly clock: Clock
  readonly brokers: Brokers
  /** Topics with their partitions' leaders; a topic that does not exist is not in it. */
  leaders(topics: readonly string[]): Promise<ReadonlyMap<string, TopicLeaders>>
}

export interface TopicLeaders extends TopicDescription {
  readonly leaders: ReadonlyMap<number, number>
}

const PARTITION_BYTES = 1024 * 1024
/** How often it is looked whether partitions were added, or a topic made anew. */
const LOOK_MS = 3000
/** Faults that pass are borne for so long before the caller is told. */
const PATIENCE_MS = 3000
const AGAIN_MS = 200

/** The offsets are not those of the log, or of the caller, any more. */
class OutOfRange extends Error {}

interface Cursor {
  readonly topic: string
  readonly partition: number
  /** What the caller has not seen yet begins here. */
  next: number
  /** What the next fetch asks for, taking for granted that the caller goes on. */
  ahead: number
}

/** Reads as a member of a group until `signal` aborts. Rejects when it cannot go on. */
export async function consume(
  consumption: Consumption,
  deps: ConsumeDeps,
  signal: AbortSignal,
): Promise<void> {
  const { group, topics, sessionTimeoutMs } = consumption
  const { clock, brokers } = deps
  const known = async () => {
    const found = await deps.leaders(topics)
    for (const topic of topics)
      if (!found.has(topic)) throw new TidelineError('not-found', `topic ${topic} does not exist`)
    return found
  }
  const partitions = async () =>
    new Map([...(await known())].map(([topic, of]) => [topic, of.partitions]))
  const member = new Member({ group, topics, sessionTimeoutMs, clock, partitions }, brokers)
  try {
    while (!signal.aborted) {
      const shape = shapeOf(await known())
      const assignment = await member.join(signal)
      const generation = new Generation(consumption, deps, member, assignment)
      await generation.read(async () => shapeOf(await known()) === shape, signal)
    }
  } catch (thrown) {
    if (!signal.aborted) throw kafkaFailure(thrown, `group ${group}`, 'READ on the group')
  } finally {
    await member.leave().catch(() => undefined)
  }
}

/** What makes a new sharing out necessary when it changes. */
function shapeOf(topics: ReadonlyMap<string, TopicDescription>): string {
  return JSON.stringify([...topics].map(([name, { id, partitions }]) => [name, id, partitions]))
}

/** One sharing out of the partitions, from its beginning to the next. */
class Generation {
  readonly #consumption: Consumption
  readonly #deps: ConsumeDeps
  readonly #member: Member
  readonly #assignment: Assignment
  #cursors: Cursor[] = []
  #turn = 0
  /** When all went well last, by the clock that never steps. */
  #wellMs: number

  constructor(consumption: Consumption, deps: ConsumeDeps, member: Member, assignment: Assignment) {
    this.#consumption = consumption
    this.#deps = deps
    this.#member = member
    this.#assignment = assignment
    this.#wellMs = deps.clock.monotonicMs()
  }

  /** Settles when the group or the topics change. */
  async read(unchanged: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const inner = AbortSignal.any([signal, over.signal])
    const ends = [this.#member.beat(inner), this.#look(unchanged, inner), this.#readOn(inner)]
    try {
      await Promise.race(ends)
    } finally {
      over.abort()
      await Promise.allSettled(ends)
    }
  }

  /** Resolves when something has changed. */
  async #look(unchanged: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    for (;;) {
      await clock.sleep(LOOK_MS, signal)
      if (signal.aborted) return
      // What the reader finds out by itself need not be told twice.
      if (!(await unchanged().catch(() => true))) return
      if (this.#consumption.commits)
        await this.#member.commit(positionsOf(this.#cursors)).catch(() => undefined)
    }
  }

  async #readOn(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    await this.#assigned(signal)
    while (!signal.aborted) {
      try {
        await this.#fromLeaders(signal)
      } catch (thrown) {
        if (signal.aborted) return
        if (thrown instanceof OutOfRange) await this.#assigned(signal)
        else {
          const failure = kafkaFailure(thrown, this.#named(), 'READ on the topic')
          const sinceMs = clock.monotonicMs() - this.#wellMs
          if (!passes(failure) || sinceMs > PATIENCE_MS) throw failure
        }
        await clock.sleep(AGAIN_MS, signal)
      }
    }
  }

  #named(): string {
    return `topics ${this.#consumption.topics.join(', ')}`
  }

  async #assigned(signal: AbortSignal): Promise<void> {
    const offsets = await this.#consumption.assigned(this.#assignment, signal)
    this.#cursors = [...offsets].flatMap(([topic, partitions]) =>
      [...partitions].map(([partition, offset]) => ({
        topic,
        partition,
        next: offset,
        ahead: offset,
      })),
    )
    this.#wellMs = this.#deps.clock.monotonicMs()
  }

  /** One loop for each broker that leads some of the partitions, until one of them fails. */
  async #fromLeaders(signal: AbortSignal): Promise<void> {
    const { clock, brokers, leaders } = this.#deps
    if (this.#cursors.length === 0) return await clock.sleep(LOOK_MS, signal)
    const found = await leaders(this.#consumption.topics)
    const byLeader = Map.groupBy(
      this.#cursors,
      ({ topic, partition }) => found.get(topic)?.leaders.get(partition) ?? -1,
    )
    if (byLeader.has(-1)) throw new KafkaCodeError(KAFKA.noLeader, this.#named())
    const over = new AbortController()
    const inner = AbortSignal.any([signal, over.signal])
    const loops = [...byLeader].map(async ([nodeId, cursors]) => {
      const broker = await brokers.node(nodeId)
      try {
        await this.#loop(broker, cursors, inner)
      } catch (thrown) {
        // A connection on which an answer is missing is of no use any more.
        if (!(thrown instanceof OutOfRange) && !inner.aborted) brokers.drop(broker)
        throw thrown
      }
    })
    try {
      await Promise.all(loops)
    } finally {
      over.abort()
      await Promise.allSettled(loops)
    }
  }

  /** While one answer is handled, the next is under way. */
  async #loop(broker: Broker, cursors: readonly Cursor[], signal: AbortSignal): Promise<void> {
    const ask = () => {
      const asked = this.#fetch(broker, cursors)
      // Nobody may be waiting any more when it fails.
      asked.catch(() => undefined)
      return asked
    }
    if (signal.aborted) return
    // What was asked ahead when an earlier loop broke off was never handed to the caller.
    for (const cursor of cursors) cursor.ahead = cursor.next
    let coming = ask()
    while (!signal.aborted) {
      const { askedMs, answer } = await abortable(coming, signal)
      const pairs = paired(cursors, answer)
      const readings = await Promise.all(
        pairs.map(async ({ cursor, partition, from }) => {
          const read = await readRecords(partition.records, from, partition.aborted)
          if (cursor.next === from) cursor.ahead = read.nextOffset
          return { cursor, partition, from, read }
        }),
      )
      if (signal.aborted) return
      coming = ask()
      await Promise.all(
        readings.map(async ({ cursor, partition, from, read }) => {
          // Asked for before the caller wanted something else.
          if (cursor.next !== from) return
          const { topic, partition: number } = cursor
          const verdict = await this.#consumption.batch(
            {
              topic,
              partition: number,
              fetchedOffset: from,
              nextOffset: read.nextOffset,
              endOffset: partition.endOffset,
              askedMs,
              messages: read.messages,
            },
            signal,
          )
          if (verdict === 'assign') throw new OutOfRange()
          if (verdict === 'continue') cursor.next = read.nextOffset
          else cursor.next = cursor.ahead = verdict.from
        }),
      )
      this.#wellMs = this.#deps.clock.monotonicMs()
    }
  }

  async #fetch(broker: Broker, cursors: readonly Cursor[]) {
    const { isolation, maxWaitMs } = this.#consumption
    // A broker fills its answer in the order of the question: each partition is first in turn, so that none starves.
    const first = (this.#turn += 1) % cursors.length
    const inTurn = [...cursors.slice(first), ...cursors.slice(0, first)]
    const asked = inTurn.map(({ topic, partition, ahead }) => ({
      topic,
      partition,
      offset: ahead,
    }))
    const askedMs = this.#deps.clock.nowMs()
    const query = { isolation, maxWaitMs, partitionBytes: PARTITION_BYTES, partitions: asked }
    const fetched = await fetchFrom(broker, query)
    return { askedMs, answer: { asked, fetched } }
  }
}

interface FetchAnswer {
  readonly asked: readonly {
    readonly topic: string
    readonly partition: number
    readonly offset: number
  }[]
  readonly fetched: readonly FetchedPartition[]
}

/** Each partition of an answer with its cursor and the offset that was asked for. Throws its error. */
function paired(cursors: readonly Cursor[], { asked, fetched }: FetchAnswer) {
  const keyOf = (of: { readonly topic: string; readonly partition: number }) =>
    `${of.topic}/${of.partition}`
  const byKey = new Map(cursors.map((cursor) => [keyOf(cursor), cursor]))
  const offsets = new Map(asked.map((one) => [keyOf(one), one.offset]))
  return fetched.flatMap((partition) => {
    const cursor = byKey.get(keyOf(partition))
    const from = offsets.get(keyOf(partition))
    if (cursor === undefined || from === undefined) return []
    if (partition.error === KAFKA.offsetOutOfRange) {
      // One that was asked ahead of the caller's word says nothing.
      if (cursor.next === from) throw new OutOfRange()
      return []
    }
    if (partition.error !== 0) throw new KafkaCodeError(partition.error, `topic ${partition.topic}`)
    return [{ cursor, partition, from }]
  })
}

function positionsOf(cursors: readonly Cursor[]): Map<string, Map<number, number>> {
  const positions = new Map<string, Map<number, number>>()
  for (const { topic, partition, next } of cursors) {
    const of = positions.get(topic) ?? new Map<number, number>()
    positions.set(topic, of.set(partition, next))
  }
  return positions
}
