import type { Clock } from '../../src/ports.ts'
import { instant } from '../instant.ts'
import type { Row } from './intervals.ts'
import { Intervals } from './intervals.ts'
import type { RowSink } from './traceFile.ts'

/** Why there is no value: `cause` is one of a few, `message` is for people. */
export interface Nothing {
  readonly cause: string
  readonly message: string
}

/** One trace that is being written. */
export class Track {
  rows = 0
  readonly silence: Silence
  readonly #sink: RowSink
  readonly #intervals: Intervals

  constructor(silence: Silence, sink: RowSink, everyMs: number) {
    this.silence = silence
    this.#sink = sink
    this.#intervals = new Intervals(everyMs, sink.lastMs)
  }

  async add(value: number, dataMs: number): Promise<void> {
    await this.#write(this.#intervals.add(value, dataMs))
  }

  async close(ms: number): Promise<void> {
    await this.#write(this.#intervals.close(ms))
  }

  async #write(row: Row | undefined): Promise<void> {
    if (row === undefined) return
    await this.#sink.write(row)
    this.rows += 1
  }
}

/** Tells when something has no value and why, and keeps account of how long. */
export class Silence {
  readonly name: string
  readonly #clock: Clock
  readonly #progress: { write(text: string): unknown }
  readonly #msBy = new Map<string, number>()
  #cause: string | undefined
  #seenMs: number

  constructor(name: string, clock: Clock, progress: { write(text: string): unknown }) {
    this.name = name
    this.#clock = clock
    this.#progress = progress
    this.#seenMs = clock.monotonicMs()
  }

  /** Undefined: there is a value. */
  see(nothing: Nothing | undefined): void {
    const nowMs = this.#clock.monotonicMs()
    if (this.#cause !== undefined)
      this.#msBy.set(this.#cause, (this.#msBy.get(this.#cause) ?? 0) + nowMs - this.#seenMs)
    this.#seenMs = nowMs
    if (nothing?.cause === this.#cause) return
    this.#cause = nothing?.cause
    const what = nothing === undefined ? 'has a value again' : `has no value: ${nothing.message}`
    this.#progress.write(`${instant(this.#clock.nowMs())} ${this.name} ${what}\n`)
  }

  /** `stale for 4 rows`; undefined where there always was a value. */
  account(everyMs: number): string | undefined {
    if (this.#msBy.size === 0) return undefined
    const parts = [...this.#msBy].map(([cause, ms]) => `${cause} for ${round(ms / everyMs)} rows`)
    return parts.join(', ')
  }
}

function round(rows: number): number {
  return Number(rows.toFixed(rows < 10 ? 1 : 0))
}
