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
import { KAFKA, KafkaCodeError, kafkaFailure, ofConnection } from './failure.ts'
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

/** Connections, and what was told over them. */
interface Session {
  readonly brokers: Brokers
  /** Leaders as they were told last, by topic. */
  readonly leaders: Map<string, TopicLeaders>
  /** By group. */
  readonly coordinators: Map<string, Broker>
  /** Calls that use it now. */
  calls: number
}

class KafkajsClient implements KafkaClient {
  readonly #connection: KafkaConnection
  readonly #deps: KafkaClientDeps
  #session: Session | undefined
  /** How many there were. */
  #sessions = 0
  /** Those that no new call gets; each is closed when its last call is over. */
  readonly #leaving = new Set<Session>()

  constructor(connection: KafkaConnection, deps: KafkaClientDeps) {
    this.#connection = connection
    this.#deps = deps
  }

  topics(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, TopicDescription>> {
    const about = `topics ${names.join(', ')}`
    return this.#call({ about, needs: 'DESCRIBE on the topic' }, signal, (session) =>
      describeIn(session, names),
    )
  }

  listOffsets(
    query: OffsetQuery,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, FoundOffset | undefined>> {
    const { topic, partitions, at, isolation } = query
    const timestamp = typeof at === 'object' ? at.timestampMs : TIMES[at]
    const call = { about: `topic ${topic}`, needs: `DESCRIBE on topic ${topic}` }
    return this.#call(call, signal, async (session) => {
      const byLeader = await byLeaderIn(session, topic, partitions)
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
    return this.#call(groupCall(group), signal, async (session) => {
      const query = {
        groupId: group,
        topics: [...topics].map(([topic, partitions]) => ({
          topic,
          partitions: partitions.map((partition) => ({ partition })),
        })),
      }
      const { responses } = await askCoordinator(session, group, (coordinator) =>
        coordinator.offsetFetch(query),
      )
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
    return this.#call(groupCall(group), signal, async (session) => {
      const { groups } = await askCoordinator(session, group, (coordinator) =>
        coordinator.describeGroups({ groupIds: [group] }),
      )
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
    return this.#call(call, signal, async (session) => {
      const times = new Map<number, number>()
      const byLeader = await byLeaderIn(session, topic, [...offsets.keys()])
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
    const leaders = (topics: readonly string[]) => described(brokers, topics)
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
    const sessions = [...this.#leaving, ...(this.#session === undefined ? [] : [this.#session])]
    this.#session = undefined
    this.#leaving.clear()
    for (const { brokers } of sessions) brokers.close()
    return Promise.resolve()
  }

  /**
   * With the connections there are. After a failure that may be theirs the next call gets others; calls that go
   * on beside it keep them, so that what one broker or one right does wrong is not everybody's.
   */
  async #call<T>(
    { about, needs }: { readonly about: string; readonly needs: string },
    signal: AbortSignal,
    ask: (session: Session) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    const { secrets, log } = this.#deps
    const session = (this.#session ??= {
      brokers: new Brokers(this.#connection, { secrets, log }, this.#sessions++),
      leaders: new Map(),
      coordinators: new Map(),
      calls: 0,
    })
    session.calls += 1
    try {
      return await abortable(ask(session), signal)
    } catch (thrown) {
      const failure = kafkaFailure(thrown, about, needs)
      session.leaders.clear()
      session.coordinators.clear()
      if (signal.aborted || ofConnection(failure)) this.#leave(session)
      throw failure
    } finally {
      session.calls -= 1
      if (session.calls === 0 && this.#leaving.delete(session)) session.brokers.close()
    }
  }

  #leave(session: Session): void {
    if (this.#session !== session) return
    this.#session = undefined
    this.#leaving.add(session)
  }
}

/** Asks the coordinator that is known; where that fails it may have moved, and is looked for anew, once. */
async function askCoordinator<T>(
  { brokers, coordinators }: Session,
  group: string,
  ask: (coordinator: Broker) => Promise<T>,
): Promise<T> {
  const known = coordinators.get(group)
  if (known?.isConnected() === true) {
    try {
      return await ask(known)
    } catch {
      coordinators.delete(group)
    }
  }
  const found = await brokers.coordinator(group)
  coordinators.set(group, found)
  return await ask(found)
}

async function describeIn(
  { brokers, leaders }: Session,
  names: readonly string[],
): Promise<ReadonlyMap<string, TopicLeaders>> {
  const found = await described(brokers, names)
  for (const name of names) {
    const topic = found.get(name)
    if (topic === undefined) leaders.delete(name)
    else leaders.set(name, topic)
  }
  return found
}

async function described(
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
  return found
}

async function byLeaderIn(
  session: Session,
  topic: string,
  partitions: readonly number[],
): Promise<ReadonlyMap<Broker, readonly number[]>> {
  const { brokers, leaders } = session
  const known = leaders.get(topic) ?? (await describeIn(session, [topic])).get(topic)
  if (known === undefined) throw new KafkaCodeError(KAFKA.unknownTopic, `topic ${topic}`)
  const byNode = Map.groupBy(partitions, (partition) => known.leaders.get(partition) ?? -1)
  if (byNode.has(-1)) throw new KafkaCodeError(KAFKA.noLeader, `topic ${topic}`)
  const pairs = [...byNode].map(async ([nodeId, own]) => [await brokers.node(nodeId), own] as const)
  return new Map(await Promise.all(pairs))
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
