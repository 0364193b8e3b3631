import { TidelineError } from '../../../errors.ts'
import type { Sample } from '../../../model.ts'
import type { Clock, SampleSink, WindowStore } from '../../../ports.ts'
import type { KafkaClient } from '../client.ts'
import type { CountedAs } from './clash.ts'
import { clash } from './clash.ts'
import type { Report } from './events.ts'
import { TopicPartitions } from './partitions.ts'
import { fingerprintOf, storeKey } from './reader.ts'
import type { Reach, Totals } from './totals.ts'

export interface PublisherSettings extends CountedAs {
  readonly windowMs: number
  /** As the reader's: what another configuration has counted means something else. */
  readonly fingerprint: string
}

export interface PublisherDeps {
  readonly name: string
  readonly client: KafkaClient
  readonly windows: WindowStore
  readonly clock: Clock
  readonly sink: SampleSink
  readonly totals: Totals
  readonly report: Report
}

/** What is wrong with what is known; if `fatal`, none of it is told. */
interface Trouble {
  readonly fatal: boolean
  readonly code: 'unavailable' | 'too-large'
  readonly message: string
}

/** A topic that is read no further than this is told to be behind. */
const BEHIND_MS = 3000
/** What is wrong while counts are told is told this often. */
const TELL_AGAIN_MS = 1000

/** Brings what all replicas have counted from the window store to the sink. */
export class Publisher {
  readonly #settings: PublisherSettings
  readonly #deps: PublisherDeps
  readonly #partitions: TopicPartitions
  #toldMs = -Infinity

  constructor(settings: PublisherSettings, deps: PublisherDeps) {
    this.#settings = settings
    this.#deps = deps
    this.#partitions = new TopicPartitions(settings.topic, deps)
  }

  /** Once: what changed since, as far as every partition is read. */
  async publish(signal: AbortSignal): Promise<void> {
    const { clock, windows, totals } = this.#deps
    const { topic, fingerprint } = this.#settings
    const partitions = await this.#partitions.current(signal)
    const asked = new Map(
      partitions.map((partition) => [storeKey(topic, partition), totals.since(partition)]),
    )
    const found = await windows.changes(asked, signal)
    /** A partition that another configuration counts. */
    let theirs: number | undefined
    for (const partition of partitions) {
      const state = found.get(storeKey(topic, partition))
      if (state === undefined) continue
      // Replicas of two configurations share a store while one is replaced by the other.
      const ours = fingerprintOf(state.position) === fingerprint
      if (ours) totals.take(partition, state)
      else theirs ??= partition
    }
    if (!signal.aborted) this.#tell(totals.reach(partitions), { nowMs: clock.nowMs(), theirs })
  }

  #tell(
    reach: Reach | undefined,
    { nowMs, theirs }: { readonly nowMs: number; readonly theirs: number | undefined },
  ): void {
    const { name, sink, totals, report } = this.#deps
    const { topic } = this.#settings
    const trouble = this.#trouble(reach, nowMs)
    if (reach !== undefined && trouble?.fatal !== true) {
      const samples = totals.samples(Math.min(reach.throughMs, nowMs), nowMs)
      // In one step with the write, so that no reading falls between.
      if (samples.length > 0 && totals.brokeOff()) sink.end(name, topic)
      if (samples.length > 0) this.#write(samples, nowMs)
    }
    const failure = this.#failure(trouble, theirs)
    if (failure === undefined) return report.recovered()
    if (nowMs - this.#toldMs < TELL_AGAIN_MS) return
    this.#toldMs = nowMs
    report.failed(failure)
  }

  #failure(trouble: Trouble | undefined, theirs: number | undefined): TidelineError | undefined {
    if (trouble === undefined) return this.#partitions.failure
    if (theirs !== undefined) return clash(this.#settings, theirs)
    return new TidelineError(trouble.code, trouble.message)
  }

  #write(samples: readonly Sample[], nowMs: number): void {
    const { name, sink, totals } = this.#deps
    const batch = { source: name, origin: this.#settings.topic, atMs: nowMs, samples }
    const { refused } = sink.write({ ...batch, complete: true })
    // The store has then dropped the origin whole.
    if (refused.has('too-many-series')) totals.breakOff()
  }

  #trouble(reach: Reach | undefined, nowMs: number): Trouble | undefined {
    const { topic, windowMs } = this.#settings
    if (reach === undefined)
      return {
        fatal: true,
        code: 'unavailable',
        message: `not every partition of topic ${topic} is read yet`,
      }
    const windowFromMs = reach.throughMs - windowMs
    if (reach.overflowMs > windowFromMs)
      return {
        fatal: true,
        code: 'too-large',
        message: `topic ${topic} has more sets of label values than maxSeries: raise it, or choose labels with fewer values`,
      }
    if (reach.coverMs > windowFromMs && reach.coverMs + windowMs <= nowMs)
      return {
        fatal: true,
        code: 'unavailable',
        message: `topic ${topic} is being read from ${new Date(reach.coverMs).toISOString()} on, partition ${reach.partition} up to ${new Date(reach.throughMs).toISOString()}: not a whole window yet`,
      }
    if (reach.coverMs > windowFromMs)
      return {
        fatal: true,
        code: 'unavailable',
        message: `topic ${topic} kept its messages for less than the window: counts are whole from ${new Date(reach.coverMs + windowMs).toISOString()} on`,
      }
    if (nowMs - reach.throughMs <= BEHIND_MS) return undefined
    return {
      fatal: false,
      code: 'unavailable',
      message: `partition ${reach.partition} of topic ${topic} is read up to ${new Date(reach.throughMs).toISOString()} only`,
    }
  }
}
