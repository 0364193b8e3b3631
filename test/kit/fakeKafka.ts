import type { TidelineError } from '../../src/errors.ts'
import type {
  Consumption,
  FoundOffset,
  GroupDescription,
  KafkaClient,
  OffsetQuery,
  TopicDescription,
} from '../../src/sources/kafka/client.ts'

interface FakePartition {
  earliest: number
  /** Timestamp of the message at `earliest + index`. */
  times: number[]
  /** End of what a reader of committed messages sees; undefined: that of all. */
  stableEnd?: number
}

/** Kafka as a table: topics, groups, and what is denied. Each call is recorded. */
export class FakeKafka implements KafkaClient {
  readonly topicTable = new Map<string, { id: string; partitions: FakePartition[] }>()
  readonly commits = new Map<string, Map<string, Map<number, number>>>()
  readonly groups = new Map<string, GroupDescription>()
  /** Calls as `name argument`, in order. */
  readonly calls: string[] = []
  /** What to throw for a call, by its text. */
  readonly faults = new Map<string, TidelineError>()
  /** Calls that never answer, by their text. */
  readonly hangs = new Set<string>()
  closed = 0
  #ids = 0

  create(topic: string, partitions: number): void {
    this.#ids += 1
    this.topicTable.set(topic, {
      id: `id-${this.#ids}`,
      partitions: Array.from({ length: partitions }, () => ({ earliest: 0, times: [] })),
    })
  }

  partition(topic: string, partition: number): FakePartition {
    const found = this.topicTable.get(topic)?.partitions[partition]
    if (found === undefined) throw new Error(`no partition ${partition} of ${topic}`)
    return found
  }

  produce(topic: string, partition: number, ...times: number[]): void {
    this.partition(topic, partition).times.push(...times)
  }

  /** Deletes what is before `offset`, as retention does. */
  retain(topic: string, partition: number, offset: number): void {
    const found = this.partition(topic, partition)
    found.times.splice(0, offset - found.earliest)
    found.earliest = offset
  }

  commit(group: string, topic: string, offsets: Readonly<Record<number, number>>): void {
    const ofGroup = this.commits.get(group) ?? new Map<string, Map<number, number>>()
    this.commits.set(group, ofGroup)
    const ofTopic = ofGroup.get(topic) ?? new Map<number, number>()
    ofGroup.set(topic, ofTopic)
    for (const [partition, offset] of Object.entries(offsets))
      ofTopic.set(Number(partition), offset)
  }

  async topics(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, TopicDescription>> {
    await this.#called(`topics ${names.join(',')}`, signal)
    const described = new Map<string, TopicDescription>()
    for (const name of names) {
      const topic = this.topicTable.get(name)
      if (topic !== undefined)
        described.set(name, { id: topic.id, partitions: [...topic.partitions.keys()] })
    }
    return described
  }

  async listOffsets(
    { topic, partitions, at, isolation }: OffsetQuery,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, FoundOffset | undefined>> {
    const when = typeof at === 'string' ? at : 'timestamp'
    await this.#called(`listOffsets ${topic} ${when} ${isolation}`, signal)
    return new Map(
      partitions.map((partition) => {
        const { earliest, times, stableEnd } = this.partition(topic, partition)
        const end = earliest + times.length
        if (at === 'earliest') return [partition, { offset: earliest }]
        if (at === 'latest')
          return [partition, { offset: isolation === 'read-committed' ? (stableEnd ?? end) : end }]
        const index = times.findIndex((ms) => ms >= at.timestampMs)
        if (index === -1) return [partition, undefined]
        return [partition, { offset: earliest + index, timestampMs: times[index]! }]
      }),
    )
  }

  async committed(
    group: string,
    topics: ReadonlyMap<string, readonly number[]>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>> {
    await this.#called(`committed ${group} ${[...topics.keys()].join(',')}`, signal)
    return this.commits.get(group) ?? new Map()
  }

  async group(group: string, signal: AbortSignal): Promise<GroupDescription> {
    await this.#called(`group ${group}`, signal)
    return this.groups.get(group) ?? { state: 'unknown', members: 0 }
  }

  async messageTimes(
    topic: string,
    offsets: ReadonlyMap<number, number>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, number>> {
    await this.#called(`messageTimes ${topic}`, signal)
    const found = new Map<number, number>()
    for (const [partition, offset] of offsets) {
      const { earliest, times } = this.partition(topic, partition)
      const ms = times[Math.max(0, offset - earliest)]
      if (ms !== undefined) found.set(partition, ms)
    }
    return found
  }

  consume(_: Consumption): Promise<void> {
    return Promise.reject(new Error('the fake has no consumers'))
  }

  close(): Promise<void> {
    this.closed += 1
    return Promise.resolve()
  }

  /** How many calls began with this text. */
  count(text: string): number {
    return this.calls.filter((call) => call.startsWith(text)).length
  }

  async #called(call: string, signal: AbortSignal): Promise<void> {
    this.calls.push(call)
    signal.throwIfAborted()
    if (this.hangs.has(call))
      await new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(new DOMException('off', 'AbortError'))),
      )
    const fault = this.faults.get(call)
    if (fault !== undefined) throw fault
  }
}
