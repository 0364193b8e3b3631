import type { FetchedBatch } from '../client.ts'

/** Batches that are looked back on. */
const BATCHES = 16
/** A stream that is later than this is no matter of clocks; it is told as it comes. */
const DELAY_MAX_MS = 2000

/**
 * By how much the newest messages of a partition are late by our clock: 0 where clocks agree, since a fetch is sent
 * before what it brings is written. Where our clock is ahead, or producers hold messages back, what was published up to
 * a time is not all there at that time, and a bucket that ended would be told as empty.
 */
export class Delay {
  readonly #recentMs: number[] = []
  #caughtUp = false

  /** Takes the batches in their order. */
  after({ messages, askedMs, nextOffset, endOffset }: FetchedBatch): number {
    // Messages that were waiting before we asked are old for another reason.
    if (this.#caughtUp && messages.length > 0) {
      const newestMs = messages.reduce(
        (newest, { timestampMs }) => Math.max(newest, timestampMs),
        -Infinity,
      )
      this.#recentMs.push(askedMs - newestMs)
      if (this.#recentMs.length > BATCHES) this.#recentMs.shift()
    }
    this.#caughtUp = nextOffset >= endOffset
    const leastMs = this.#recentMs.length === 0 ? 0 : Math.min(...this.#recentMs)
    return Math.min(DELAY_MAX_MS, Math.max(0, leastMs))
  }
}
