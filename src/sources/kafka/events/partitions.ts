import { TidelineError } from '../../../errors.ts'
import type { Clock } from '../../../ports.ts'
import { failureOf } from '../../failure.ts'
import { withDeadline } from '../../poll.ts'
import type { KafkaClient } from '../client.ts'

const LOOK_MS = 3000
const AGAIN_MS = 500
const TIMEOUT_MS = 3000
/** Partitions are added by hand and rarely; who cannot look for so long might miss some. */
const KNOWN_FOR_MS = 30_000

export interface TopicPartitionsDeps {
  readonly client: KafkaClient
  readonly clock: Clock
}

/**
 * Which partitions a topic has. They are looked up beside what goes on: brokers that do not answer this process
 * may answer the other replicas, whose counts are in the store.
 */
export class TopicPartitions {
  readonly #topic: string
  readonly #deps: TopicPartitionsDeps
  #known: readonly number[] = []
  #knownMs = -Infinity
  #nextMs = -Infinity
  #looking: Promise<void> | undefined
  #failure: TidelineError | undefined

  constructor(topic: string, deps: TopicPartitionsDeps) {
    this.#topic = topic
    this.#deps = deps
  }

  /** Why they could not be looked up last, if so. */
  get failure(): TidelineError | undefined {
    return this.#failure
  }

  /** Waits only where nothing is known yet. Rejects where what is known may be no longer true. */
  async current(signal: AbortSignal): Promise<readonly number[]> {
    const { clock } = this.#deps
    if (this.#looking === undefined && clock.monotonicMs() >= this.#nextMs)
      this.#looking = this.#look(signal)
    if (this.#known.length === 0) await this.#looking
    const failure = this.#failure
    if (failure === undefined) return this.#known
    if (this.#known.length === 0) throw failure
    if (clock.monotonicMs() - this.#knownMs <= KNOWN_FOR_MS) return this.#known
    throw new TidelineError(
      failure.code,
      `which partitions topic ${this.#topic} has is not known for more than ${KNOWN_FOR_MS / 1000} s: ${failure.message}`,
    )
  }

  /** Never rejects. */
  async #look(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    try {
      this.#known = await withDeadline(clock, TIMEOUT_MS, signal, (deadline) => this.#ask(deadline))
      this.#knownMs = clock.monotonicMs()
      this.#failure = undefined
    } catch (thrown) {
      this.#failure = failureOf(thrown)
      // That it is not there is an answer.
      if (this.#failure.code === 'not-found') this.#known = []
    }
    this.#nextMs = clock.monotonicMs() + (this.#failure === undefined ? LOOK_MS : AGAIN_MS)
    this.#looking = undefined
  }

  async #ask(deadline: AbortSignal): Promise<readonly number[]> {
    try {
      const topics = await this.#deps.client.topics([this.#topic], deadline)
      const partitions = topics.get(this.#topic)?.partitions
      if (partitions !== undefined) return partitions
    } catch (thrown) {
      if (!deadline.aborted) throw thrown
      throw new TidelineError('timeout', `no broker answered within ${TIMEOUT_MS} ms`, thrown)
    }
    throw new TidelineError('not-found', `topic ${this.#topic} does not exist`)
  }
}
