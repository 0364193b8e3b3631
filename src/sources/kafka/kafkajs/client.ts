import type Broker from 'kafkajs/src/broker/index.js'
import { TidelineError } from '../../../errors.ts'
import type { Clock } from '../../../ports.ts'
import { abortable } from '../../poll.ts'
import type {
  Consumption,
  FoundOffset,
  GroupDescription,
  KafkaClient,
  OffsetQuery,
  TopicDescription,
} from '../client.ts'
import type { KafkaConnection } from '../connection.ts'
import type { BrokersDeps } from './brokers.ts'
import { Brokers } from './brokers.ts'
import type { TopicLeaders } from './consume.ts'
import { consume } from './consume.ts'
import { KAFKA, KafkaCodeError, kafkaFailure, passes } from './failure.ts'
import { fetchFrom, ISOLATION } from './fetch.ts'
import { readRecords } from './records.ts'

export interface KafkaClientDeps extends BrokersDeps {
  readonly clock: Clock
}

/** The port over kafkajs. Connects when first asked, and anew, with credentials read anew, after a failure. */
export function kafkajsClient(connection: KafkaConnection, deps: KafkaClientDeps): KafkaClient {
  return new KafkajsClient(connection, deps)
}

const TIMES = { earliest: -2, latest: -1 } as const
/** A message is larger at times; then one partition more is asked for by itself. */
const MESSAGE_BYTES = 64 * 1024
const MESSAGE_WAIT_MS = 100
/** A group that is left shares out its partitions at once; a broker that hangs is not waited for. */
const LEAVE_MS = 700

class KafkajsClient implements KafkaClient {
  readonly #connection: KafkaConnection
  readonly #deps: KafkaClientDeps
  #brokers: Brokers | undefined
  /** Leaders as they were told last. */
  #leaders: ReadonlyMap<string, TopicLeaders> = new Map()

  constructor(connection: KafkaConnection, deps: KafkaClientDeps) {
    this.#connection = connection
    this.#deps = deps
  }

  topics(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, TopicDescription>> {
    const about = `topics ${names.join(', ')}`
    return this.#call({ about, needs: 'DESCRIBE on the topic' }, signal, (brokers) =>
      this.#describe(brokers, names),
    )
  }

  listOffsets(
    query: OffsetQuery,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, FoundOffset | undefined>> {
    const { topic, partitions, at, isolation } = query
    const timestamp = typeof at === 'object' ? at.timestampMs : TIMES[at]
    const call = { about: `topic ${topic}`, needs: `DESCRIBE on topic ${topic}` }
    return this.#call(call, signal, async (brokers) => {
      const byLeader = await this.#byLeader(brokers, topic, partitions)
      const answers = await Promise.all(
        [...byLeader].map(async ([broker, own]) => {
          const { responses } = await broker.listOffsets({
            isolationLevel: ISOLATION[isolation],
            topics: [{ topic, partitions: own.map((partition) => ({ partition, timestamp })) }],
          })
          return responses.flatMap((response) => response.partitions)
        }),
      )
      return new Map(
        answers
          .flat()
          .map(({ partition, ...found }) => [partition, foundOffset(found, timestamp >= 0)]),
      )
    })
  }

  committed(
    group: string,
    topics: ReadonlyMap<string, readonly number[]>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>> {
    return this.#call(groupCall(group), signal, async (brokers) => {
      const coordinator = await brokers.coordinator(group)
      const { responses } = await coordinator.offsetFetch({
        groupId: group,
        topics: [...topics].map(([topic, partitions]) => ({
          topic,
          partitions: partitions.map((partition) => ({ partition })),
        })),
      })
      return new Map(
        responses.map(({ topic, partitions }) => [
          topic,
          new Map(
            partitions
              .map(({ partition, offset }) => [partition, Number(offset)] as const)
              .filter(([, offset]) => offset >= 0),
          ),
        ]),
      )
    })
  }

  group(group: string, signal: AbortSignal): Promise<GroupDescription> {
    return this.#call(groupCall(group), signal, async (brokers) => {
      const coordinator = await brokers.coordinator(group)
      const { groups } = await coordinator.describeGroups({ groupIds: [group] })
      const [found] = groups
      return { state: STATES[found?.state ?? ''] ?? 'unknown', members: found?.members.length ?? 0 }
    })
  }

  messageTimes(
    topic: string,
    offsets: ReadonlyMap<number, number>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, number>> {
    const call = { about: `topic ${topic}`, needs: `READ on topic ${topic}` }
    return this.#call(call, signal, async (brokers) => {
      const times = new Map<number, number>()
      const byLeader = await this.#byLeader(brokers, topic, [...offsets.keys()])
      await Promise.all(
        [...byLeader].map(async ([broker, own]) => {
          for (let rest: readonly number[] = own; rest.length > 0 && !signal.aborted;)
            rest = await firstTimes(broker, { topic, rest, offsets, times })
        }),
      )
      return times
    })
  }

  async consume(consumption: Consumption, signal: AbortSignal): Promise<void> {
    const { secrets, log, clock } = this.#deps
    // Connections of its own: a fetch that waits must not hold up what is asked beside it.
    const brokers = new Brokers(this.#connection, { secrets, log })
    const leaders = (topics: readonly string[]) => this.#describe(brokers, topics)
    const running = consume(consumption, { clock, brokers, leaders }, signal)
    const over = new AbortController()
    const late = new AbortController()
    const abort = () => void clock.sleep(LEAVE_MS, over.signal).then(() => late.abort())
    signal.addEventListener('abort', abort, { once: true })
    try {
      await abortable(running, late.signal)
    } catch (thrown) {
      if (!signal.aborted) throw thrown
    } finally {
      signal.removeEventListener('abort', abort)
      over.abort()
      brokers.close()
    }
  }

  close(): Promise<void> {
    this.#brokers?.close()
    this.#brokers = undefined
    return Promise.resolve()
  }

  /** With the connections there are; after a failure that may be theirs the next call gets others. */
  async #call<T>(
    { about, needs }: { readonly about: string; readonly needs: string },
    signal: AbortSignal,
    ask: (brokers: Brokers) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    const { secrets, log } = this.#deps
    const brokers = (this.#brokers ??= new Brokers(this.#connection, { secrets, log }))
    try {
      return await abortable(ask(brokers), signal)
    } catch (thrown) {
      const failure = kafkaFailure(thrown, about, needs)
      this.#leaders = new Map()
      if (signal.aborted || passes(failure) || failure.code === 'unauthorized') {
        brokers.close()
        if (this.#brokers === brokers) this.#brokers = undefined
      }
      throw failure
    }
  }

  async #describe(
    brokers: Brokers,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, TopicLeaders>> {
    const { topics } = await brokers.metadata(names)
    const found = new Map<string, TopicLeaders>()
    for (const { error, name, id, leaders } of topics) {
      if (error === KAFKA.unknownTopic) continue
      if (error === KAFKA.topicUnauthorized)
        throw new TidelineError(
          'unauthorized',
          `topic ${name}: the user has no DESCRIBE on topic ${name}`,
        )
      // A leader that is missing shows in its partition.
      if (leaders.size === 0) throw new KafkaCodeError(error, `topic ${name}`)
      found.set(name, { id, leaders, partitions: [...leaders.keys()].toSorted((a, b) => a - b) })
    }
    this.#leaders = found
    return found
  }

  async #byLeader(
    brokers: Brokers,
    topic: string,
    partitions: readonly number[],
  ): Promise<ReadonlyMap<Broker, readonly number[]>> {
    const known = this.#leaders.get(topic) ?? (await this.#describe(brokers, [topic])).get(topic)
    if (known === undefined) throw new KafkaCodeError(KAFKA.unknownTopic, `topic ${topic}`)
    const byNode = Map.groupBy(partitions, (partition) => known.leaders.get(partition) ?? -1)
    if (byNode.has(-1)) throw new KafkaCodeError(5, `topic ${topic}`)
    const pairs = [...byNode].map(
      async ([nodeId, own]) => [await brokers.node(nodeId), own] as const,
    )
    return new Map(await Promise.all(pairs))
  }
}

function groupCall(group: string): { readonly about: string; readonly needs: string } {
  return { about: `group ${group}`, needs: `DESCRIBE on group ${group}` }
}

/** Of the classic protocol; a group of the new one is "Dead" to a request that knows only the classic. */
const STATES: Readonly<Record<string, GroupDescription['state']>> = {
  Stable: 'stable',
  Empty: 'empty',
  PreparingRebalance: 'rebalancing',
  CompletingRebalance: 'rebalancing',
}

function foundOffset(
  { offset, timestamp }: { readonly offset: string; readonly timestamp: string },
  byTime: boolean,
): FoundOffset | undefined {
  const found = Number(offset)
  if (found < 0) return undefined
  return byTime ? { offset: found, timestampMs: Number(timestamp) } : { offset: found }
}

interface FirstTimes {
  readonly topic: string
  readonly rest: readonly number[]
  readonly offsets: ReadonlyMap<number, number>
  readonly times: Map<number, number>
}

/** Notes the times that one fetch brings; answers with the partitions to be asked for again. */
async function firstTimes(broker: Broker, of: FirstTimes): Promise<readonly number[]> {
  const { topic, rest, offsets, times } = of
  const fetched = await fetchFrom(broker, {
    isolation: 'read-uncommitted',
    maxWaitMs: MESSAGE_WAIT_MS,
    partitionBytes: MESSAGE_BYTES,
    partitions: rest.map((partition) => ({
      topic,
      partition,
      offset: offsets.get(partition) ?? 0,
    })),
  })
  const again: number[] = []
  let read = 0
  for (const { partition, error, endOffset, records } of fetched) {
    if (error !== 0 && error !== KAFKA.offsetOutOfRange)
      throw new KafkaCodeError(error, `topic ${topic}`)
    const from = offsets.get(partition) ?? 0
    const { messages, nextOffset } = await readRecords(records, from, [])
    const [first] = messages
    if (first !== undefined) times.set(partition, first.timestampMs)
    // A batch larger than was asked for comes whole only to the first partition.
    else if (error === 0 && nextOffset === from && from < endOffset) again.push(partition)
    if (first !== undefined || nextOffset > from) read += 1
  }
  return read === 0 ? [] : again
}
