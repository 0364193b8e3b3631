/**
 * What the Kafka sources need of a client library. One file implements it, so that the library can be replaced;
 * nothing else knows which one it is.
 *
 * Offsets are numbers: a partition reaches 2^53 messages after 285 years of a million a second. Calls reject
 * with `TidelineError`; what they answer is of one round to the brokers concerned, in parallel. `signal`
 * breaks off the wait, not the request.
 */

export interface KafkaClient {
  /** The topics that exist, of those asked for, by name. */
  topics(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, TopicDescription>>
  /**
   * An offset of each partition. `latest` is the one that the next message gets; with `read-committed` it is the
   * end of what such a reader may see. `earliest` is the first that is not deleted. A time gives the first
   * message whose timestamp is not before it, or undefined where there is none yet.
   * One request to each leader. A partition whose leader does not answer fails the whole call.
   */
  listOffsets(
    query: OffsetQuery,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, FoundOffset | undefined>>
  /** Committed offsets of a group by topic and partition; a partition without a commit is not in it. */
  committed(
    group: string,
    topics: ReadonlyMap<string, readonly number[]>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>>
  /** State of the group, as far as its protocol lets us know. */
  group(group: string, signal: AbortSignal): Promise<GroupDescription>
  /**
   * Timestamps of messages: for each partition, that of the first message at or after the offset; partitions
   * without one are not in it. Reads the messages, so it needs READ on the topic.
   */
  messageTimes(
    topic: string,
    offsets: ReadonlyMap<number, number>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, number>>
  /** Consumes topics as a member of a group, until `signal` aborts; rejects when it cannot go on. */
  consume(consumption: Consumption, signal: AbortSignal): Promise<void>
  /** Ends all connections; waits for no answer. May be used again afterwards. */
  close(): Promise<void>
}

export interface TopicDescription {
  /** Distinguishes a topic that was deleted and made again, where the broker tells (2.8 and later). */
  readonly id?: string
  /** In rising order. */
  readonly partitions: readonly number[]
}

export interface OffsetQuery {
  readonly topic: string
  readonly partitions: readonly number[]
  readonly at: 'earliest' | 'latest' | { readonly timestampMs: number }
  readonly isolation: 'read-uncommitted' | 'read-committed'
}

export interface FoundOffset {
  readonly offset: number
  /** Of the message found by time. */
  readonly timestampMs?: number
}

/**
 * - `stable`, `rebalancing`, `empty`: as the coordinator says;
 * - `unknown`: it is of the new protocol (KIP-848), or there is no such group.
 */
export interface GroupDescription {
  readonly state: 'stable' | 'rebalancing' | 'empty' | 'unknown'
  readonly members: number
}

/** Consumption in a group. The caller keeps the offsets: none is taken from the group. */
export interface Consumption {
  readonly group: string
  readonly topics: readonly string[]
  readonly isolation: 'read-uncommitted' | 'read-committed'
  /** Longest wait of a fetch for a first message. */
  readonly maxWaitMs: number
  /** A member that is not heard for so long loses its partitions. */
  readonly sessionTimeoutMs: number
  /** Tells the broker how far the group is, for tools that look at lag; nothing else depends on it. */
  readonly commits: boolean
  /**
   * This member has other partitions from now on, or their offsets are not what there is (a topic was made anew,
   * messages were deleted, or `batch` said so). Resolves with the offset at which each is to be read on;
   * a partition that is left out is not read until the next assignment.
   */
  assigned(
    partitions: ReadonlyMap<string, readonly number[]>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>>
  /**
   * The next messages of a partition, or the news that there was none. Answers where to go on. Batches of one
   * partition come one after the other, those of several at one time.
   */
  batch(batch: FetchedBatch, signal: AbortSignal): Promise<BatchVerdict>
}

export interface FetchedBatch {
  readonly topic: string
  readonly partition: number
  /** Offset that was asked for. */
  readonly fetchedOffset: number
  /** Offset after the last message, control record or compacted gap in this batch. */
  readonly nextOffset: number
  /**
   * End of what was published when the broker answered; `nextOffset` reaches it: caught up. A transaction under way
   * keeps a `read-committed` reader before it, also from what others have written since.
   */
  readonly endOffset: number
  /** Wall time at which the fetch was sent. */
  readonly askedMs: number
  readonly messages: readonly KafkaMessage[]
}

export interface KafkaMessage {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer | undefined>>
}

/**
 * `continue` at the batch's `nextOffset`, or read on `from` another offset; `assign`: `assigned` is called once more,
 * with the partitions there are. A batch that was rejected comes again.
 */
export type BatchVerdict = 'continue' | { readonly from: number } | 'assign'
