import { messageOf, TidelineError } from '../../../errors.ts'
import type { Clock } from '../../../ports.ts'
import type { KafkaClient } from '../client.ts'
import { EndHistory } from './endHistory.ts'
import type { Subject } from './groupConfig.ts'

/** The next message of a partition to be consumed. */
export interface Next {
  readonly partition: number
  readonly offset: number
}

/** How long ago the next messages were produced, by partition, and how that is known. */
export interface Lateness {
  readonly seconds: ReadonlyMap<number, number>
  readonly notes: readonly string[]
}

/** After READ was denied it is not asked for again for so long: brokers log each denial. */
const DENIED_MS = 300_000

/** How far back the broker is asked for the offsets of before we came, in seconds: nine requests, once. */
const LADDER_S = [15, 30, 60, 120, 300, 900, 3600, 21_600, 86_400]

/** What was found at an offset when the partition ended at `end`; no `ms`: no message. */
interface Looked {
  readonly offset: number
  readonly end: number | undefined
  readonly ms: number | undefined
}

/**
 * When the next message of each partition was produced. Either from its own timestamp, which is looked up when
 * the group has moved; or from when the end of the partition passed its offset, as the polls saw it, and as the
 * broker tells once of the time before (ListOffsets by time, which needs no right to read).
 */
export class ProduceTimes {
  readonly #subject: Subject
  readonly #client: KafkaClient
  readonly #clock: Clock
  readonly #looked = new Map<number, Looked>()
  readonly #ends = new Map<number, number>()
  readonly #histories = new Map<number, EndHistory>()
  readonly #seeded = new Set<number>()
  #deniedUntilMs = -Infinity

  constructor(subject: Subject, client: KafkaClient, clock: Clock) {
    this.#subject = subject
    this.#client = client
    this.#clock = clock
  }

  /** Notes where the ends are; to be called at each poll. */
  noteEnds(ends: ReadonlyMap<number, number>, atMs: number, remade: boolean): void {
    if (remade) this.#forget()
    // Where the broker does not tell a topic from the one before it, an end that falls does.
    for (const [partition, end] of ends) {
      if (end < (this.#ends.get(partition) ?? 0)) this.#looked.delete(partition)
      this.#ends.set(partition, end)
    }
    const { lagSeconds } = this.#subject.policy
    if (lagSeconds !== 'auto' && lagSeconds !== 'interpolate') return
    for (const [partition, end] of ends) {
      let history = this.#histories.get(partition)
      if (history === undefined) this.#histories.set(partition, (history = new EndHistory()))
      history.note(atMs, end)
    }
  }

  /** @param deadline Aborts before the poll does, so that a slow look-up costs the lateness alone. */
  async lateness(next: readonly Next[], atMs: number, deadline: AbortSignal): Promise<Lateness> {
    const { lagSeconds } = this.#subject.policy
    if (next.length === 0) return { seconds: new Map(), notes: [] }
    if (lagSeconds === 'interpolate')
      return this.#interpolated(next, atMs, deadline, 'lagSeconds is interpolate')
    const failure = await this.#lookUp(next, deadline)
    if (failure === undefined)
      return { seconds: this.#fromTimestamps(next, atMs), notes: ["from the messages' timestamps"] }
    if (lagSeconds === 'fetch') return { seconds: new Map(), notes: [`not known: ${failure}`] }
    return this.#interpolated(next, atMs, deadline, failure)
  }

  /** Reads the timestamps that are not known yet; answers why it could not. */
  async #lookUp(next: readonly Next[], deadline: AbortSignal): Promise<string | undefined> {
    const { topic } = this.#subject
    if (this.#clock.monotonicMs() < this.#deniedUntilMs) return denied(topic)
    const unknown = next.filter((one) => !this.#isKnown(one))
    if (unknown.length === 0) return undefined
    try {
      const offsets = new Map(unknown.map(({ partition, offset }) => [partition, offset]))
      const times = await this.#client.messageTimes(topic, offsets, deadline)
      for (const { partition, offset } of unknown) {
        const end = this.#ends.get(partition)
        this.#looked.set(partition, { offset, end, ms: times.get(partition) })
      }
      return undefined
    } catch (thrown) {
      if (thrown instanceof TidelineError && thrown.code === 'unauthorized') {
        this.#deniedUntilMs = this.#clock.monotonicMs() + DENIED_MS
        return denied(topic)
      }
      const cause = deadline.aborted ? 'no answer in time' : messageOf(thrown)
      return `the next messages of topic ${topic} could not be read: ${cause}`
    }
  }

  /** Where there was no message, there is none as long as the end stays. */
  #isKnown({ partition, offset }: Next): boolean {
    const looked = this.#looked.get(partition)
    if (looked?.offset !== offset) return false
    return looked.ms !== undefined || looked.end === this.#ends.get(partition)
  }

  /** Where no message is left, only the marks of transactions or gaps of compaction, nothing is late. */
  #fromTimestamps(next: readonly Next[], atMs: number): ReadonlyMap<number, number> {
    const seconds = new Map<number, number>()
    for (const { partition, offset } of next) {
      const looked = this.#looked.get(partition)
      if (looked?.offset !== offset) continue
      if (looked.ms === undefined) seconds.set(partition, 0)
      else if (looked.ms >= 0) seconds.set(partition, secondsSince(looked.ms, atMs))
    }
    return seconds
  }

  async #interpolated(
    next: readonly Next[],
    atMs: number,
    deadline: AbortSignal,
    cause: string,
  ): Promise<Lateness> {
    await this.#seed(next, atMs, deadline)
    const seconds = new Map<number, number>()
    let atLeast = 0
    for (const { partition, offset } of next) {
      const produced = this.#histories.get(partition)?.producedMs(offset)
      if (produced === undefined) continue
      if (produced.earlier && !this.#seeded.has(partition)) continue
      if (produced.earlier) atLeast += 1
      seconds.set(partition, secondsSince(produced.ms, atMs))
    }
    const notes = [`interpolated from the offsets of the end: ${cause}`]
    if (atLeast > 0)
      notes.push(`at least: the history of ${atLeast} partitions does not go back far enough`)
    const unknown = next.length - seconds.size
    if (unknown > 0) notes.push(`not known of ${unknown} partitions: no history yet`)
    return { seconds, notes }
  }

  /** Asks for the ends of earlier times, once for each partition whose next message is older than its history. */
  async #seed(next: readonly Next[], atMs: number, deadline: AbortSignal): Promise<void> {
    const young = next
      .filter(({ partition }) => !this.#seeded.has(partition))
      .filter(
        ({ partition, offset }) => this.#histories.get(partition)?.producedMs(offset)?.earlier,
      )
      .map(({ partition }) => partition)
    if (young.length === 0) return
    const { topic, policy } = this.#subject
    const times = LADDER_S.map((seconds) => atMs - seconds * 1000)
    const ask = (timestampMs: number) =>
      this.#client.listOffsets(
        { topic, partitions: young, at: { timestampMs }, isolation: policy.isolation },
        deadline,
      )
    try {
      const found = await Promise.all(times.map(ask))
      for (const partition of young) {
        const points = times.flatMap((timeMs, index) => {
          const first = found[index]?.get(partition)
          const end = first?.offset
          const untilMs = first?.timestampMs
          return [timeMs, ...(untilMs === undefined ? [] : [untilMs])].map((ms) => ({
            atMs: ms,
            end,
          }))
        })
        this.#histories.get(partition)?.prepend(points)
        this.#seeded.add(partition)
      }
    } catch {
      // Asked again at the next poll; until then these partitions are not known, and the note says so.
    }
  }

  #forget(): void {
    this.#looked.clear()
    this.#histories.clear()
    this.#seeded.clear()
  }
}

function denied(topic: string): string {
  return `READ on topic ${topic} is not allowed`
}

/** Clocks of producers may be ahead of ours. */
function secondsSince(ms: number, atMs: number): number {
  return Math.max(0, atMs - ms) / 1000
}
