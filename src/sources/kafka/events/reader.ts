import { TidelineError } from '../../../errors.ts'
import type {
  Clock,
  WindowChange,
  WindowPosition,
  WindowState,
  WindowStore,
} from '../../../ports.ts'
import type { BatchVerdict, FetchedBatch, KafkaClient } from '../client.ts'
import type { CountedAs } from './clash.ts'
import { clash } from './clash.ts'
import type { CountSettings } from './counts.ts'
import { PartitionCounts } from './counts.ts'
import { Delay } from './delay.ts'

export interface ReaderSettings extends CountSettings, CountedAs {
  /** Changes with what would make stored counts mean something else. */
  readonly fingerprint: string
}

export interface ReaderDeps {
  readonly client: KafkaClient
  readonly windows: WindowStore
  readonly clock: Clock
  /** Told when the store does not take what was counted, or has it no more; it is tried again. */
  readonly storeFailed: (failure: unknown) => void
}

/** A partition that this process reads. */
interface Open {
  counts: PartitionCounts
  position: WindowPosition
  readonly delay: Delay
  /** The counts hold messages of which it is not known whether the store has them. */
  unsure: boolean
}

const COMMIT_AGAIN_MS = 200
const ANOTHER_MS = 3000
/** Where nothing was counted, the time up to which all is read is stored no more often than this. */
const TIME_STEP_MS = 80

export function storeKey(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

/**
 * Counts the partitions of a topic that the group gives to this process. Counts and position go to the window store
 * in one step, and only if the position there is the one that they were counted from; so it does not matter who else
 * thinks that a partition is his, or how often something is read again: each event is in the store once.
 */
export class TopicReader {
  readonly #settings: ReaderSettings
  readonly #deps: ReaderDeps
  readonly #open = new Map<number, Open>()

  constructor(settings: ReaderSettings, deps: ReaderDeps) {
    this.#settings = settings
    this.#deps = deps
  }

  /** Where to read on; begins a new reading where what is stored does not fit what the topic holds. */
  async assigned(
    partitions: readonly number[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, number>> {
    this.#open.clear()
    if (partitions.length === 0) return new Map()
    const { topic } = this.#settings
    const { client } = this.#deps
    const ask = (at: 'earliest' | 'latest') =>
      client.listOffsets({ topic, partitions, at, isolation: 'read-uncommitted' }, signal)
    const [topics, earliest, latest] = await Promise.all([
      client.topics([topic], signal),
      ask('earliest'),
      ask('latest'),
    ])
    const id = topics.get(topic)?.id ?? ''
    await Promise.all(
      partitions.map(async (partition) => {
        const log = {
          id,
          first: earliest.get(partition)?.offset ?? 0,
          end: latest.get(partition)?.offset ?? 0,
        }
        this.#open.set(partition, await this.#begin(partition, log, signal))
      }),
    )
    return new Map([...this.#open].map(([partition, { position }]) => [partition, position.offset]))
  }

  async batch(batch: FetchedBatch, signal: AbortSignal): Promise<BatchVerdict> {
    const open = this.#open.get(batch.partition)
    if (open === undefined) return { from: batch.fetchedOffset }
    const { position, counts } = open
    // Broken off while it was stored: counting the same messages once more would count them twice.
    if (open.unsure) return this.#again(batch.partition, open, signal)
    if (batch.fetchedOffset !== position.offset) return { from: position.offset }
    const throughMs = throughOf(batch, position.throughMs, open.delay.after(batch))
    const moved = batch.nextOffset !== batch.fetchedOffset
    if (!moved && throughMs - position.throughMs < TIME_STEP_MS) return 'continue'
    open.unsure = true
    counts.add(batch.messages, batch.askedMs)
    const next: WindowPosition = {
      lineage: position.lineage,
      offset: batch.nextOffset,
      throughMs,
      memo: JSON.stringify(counts.memo),
    }
    const change = {
      expected: position,
      next,
      buckets: counts.changes(),
      keepFromMs: counts.keepFrom(throughMs),
    }
    const there = await this.#commit(batch.partition, change, signal)
    if (there?.lineage === next.lineage && there.offset === next.offset) {
      open.position = next
      open.unsure = false
      return 'continue'
    }
    return this.#again(batch.partition, open, signal)
  }

  /** Commits until the store has an answer; resolves with the position that is there then. */
  async #commit(
    partition: number,
    change: WindowChange,
    signal: AbortSignal,
  ): Promise<WindowPosition | undefined> {
    const { windows, clock, storeFailed } = this.#deps
    const key = storeKey(this.#settings.topic, partition)
    for (;;) {
      signal.throwIfAborted()
      try {
        const done = await windows.commit(key, change, signal)
        // One that failed may have been done all the same: then the conflict is with ourselves.
        return done === 'done' ? change.next : done.conflict
      } catch (thrown) {
        signal.throwIfAborted()
        storeFailed(thrown)
        await clock.sleep(COMMIT_AGAIN_MS, signal)
      }
    }
  }

  /** Somebody else was here, or the store has gone back: what it holds is what counts. */
  async #again(partition: number, open: Open, signal: AbortSignal): Promise<BatchVerdict> {
    const { windows, clock, storeFailed } = this.#deps
    const key = storeKey(this.#settings.topic, partition)
    const stored = await windows.load(key, signal)
    if (stored === undefined) {
      storeFailed(new TidelineError('unavailable', `the window store has lost ${key}: begun anew`))
      return 'assign'
    }
    if (readingOf(stored.position) !== readingOf(open.position)) {
      const another = fingerprintOf(stored.position) !== this.#settings.fingerprint
      const message = `topic ${this.#settings.topic} was made again: partition ${partition} is begun anew`
      storeFailed(
        another ? clash(this.#settings, partition) : new TidelineError('unavailable', message),
      )
      // Two that go on beside each other must not do nothing but begin.
      await clock.sleep(ANOTHER_MS, signal)
      return 'assign'
    }
    this.#open.set(partition, this.#resumed(stored))
    return { from: stored.position.offset }
  }

  #resumed(stored: WindowState): Open {
    return {
      counts: new PartitionCounts(this.#settings, stored),
      position: stored.position,
      delay: new Delay(),
      unsure: false,
    }
  }

  async #begin(partition: number, log: Log, signal: AbortSignal): Promise<Open> {
    const { windows } = this.#deps
    const { topic, fingerprint } = this.#settings
    const key = storeKey(topic, partition)
    const reading = `${log.id}/${fingerprint}/`
    for (;;) {
      const stored = await windows.load(key, signal)
      const fits =
        stored !== undefined &&
        stored.position.lineage.startsWith(reading) &&
        stored.position.offset >= log.first &&
        stored.position.offset <= log.end
      if (fits) return this.#resumed(stored)
      const opened = await this.#anew(partition, log, reading, signal)
      const change = {
        expected: stored?.position,
        next: opened.position,
        buckets: new Map<number, string>(),
        keepFromMs: 0,
      }
      const there = await this.#commit(partition, change, signal)
      if (there?.lineage === opened.position.lineage) return opened
    }
  }

  /** From the first message that the longest window may reach. */
  async #anew(partition: number, log: Log, reading: string, signal: AbortSignal): Promise<Open> {
    const { topic, windowMs, bucketMs, futureMs } = this.#settings
    const { client, clock } = this.#deps
    const nowMs = clock.nowMs()
    const fromMs = nowMs - windowMs - 2 * bucketMs
    // Messages may be of before their events.
    const at = { timestampMs: fromMs - futureMs }
    // What a transaction under way has written is to come: only who sees it does not begin behind it.
    const found = await client.listOffsets(
      { topic, partitions: [partition], at, isolation: 'read-uncommitted' },
      signal,
    )
    const first = found.get(partition)
    const offset = first?.offset ?? log.end
    // Where the log begins after the window, its messages may have been deleted: they were never counted.
    const deleted = offset === log.first && log.first > 0
    const coverMs = deleted ? Math.max(fromMs, first?.timestampMs ?? nowMs) : fromMs
    const counts = new PartitionCounts(this.#settings, { coverMs })
    const lineage = `${reading}${offset}@${nowMs}`
    const position = { lineage, offset, throughMs: coverMs, memo: JSON.stringify(counts.memo) }
    return { counts, position, delay: new Delay(), unsure: false }
  }
}

/** The configuration that a position was counted by. */
export function fingerprintOf({ lineage }: WindowPosition): string | undefined {
  return lineage.split('/')[1]
}

/** The topic and the configuration that a position belongs to. */
function readingOf({ lineage }: WindowPosition): string {
  return lineage.slice(0, lineage.lastIndexOf('/') + 1)
}

interface Log {
  /** Of the topic. */
  readonly id: string
  /** First offset that is not deleted, and the one that comes next. */
  readonly first: number
  readonly end: number
}

/** Clocks of producers differ: of the last messages the one with the earliest time says how far we are. */
const LAST_MESSAGES = 16

/**
 * Up to when everything that was published is read: at the end of the partition that is when the broker was asked,
 * less what messages are late by; before it, when the last messages were written. It never goes back.
 */
function throughOf(batch: FetchedBatch, beforeMs: number, delayMs: number): number {
  if (batch.nextOffset >= batch.endOffset) return Math.max(beforeMs, batch.askedMs - delayMs)
  const times = batch.messages.slice(-LAST_MESSAGES).map(({ timestampMs }) => timestampMs)
  return times.length === 0 ? beforeMs : Math.max(beforeMs, Math.min(batch.askedMs, ...times))
}
