import { status } from '@grpc/grpc-js'
import type { Counts } from './tally.ts'

/** As `ReportRequest` of push.proto. */
export interface Report {
  readonly namespace: string
  readonly pod: string
  readonly service: string
  readonly instance: string
  readonly sequence: number
  readonly startUnixMs: number
  readonly endUnixMs: number
  readonly counts: readonly Counts[]
}

export interface Answer {
  readonly outcome: string
  readonly admissibleRate?: number
}

export function callsIn({ counts }: Report): number {
  return counts.reduce((sum, { requests }) => sum + requests, 0)
}

/** One call of `Report`; rejects with `SendFailure`. */
export type Send = (report: Report) => Promise<Answer>

export interface SendFailure {
  readonly code: status
  readonly details: string
  /** When the adapter said that the same may be sent again. */
  readonly retryMs?: number | undefined
}

/** Reports that wait while the adapter is away: one a second, for nearly as long as they would be taken. */
const WAITING_MAX = 100
const FIRST_RETRY_MS = 200
const RETRY_MAX_MS = 5000
/** Longer is not waited whatever the adapter says: the report would be too old by then. */
const TOLD_MAX_MS = 60_000

/** What goes by even where nothing is said of when. */
const AGAIN: ReadonlySet<status> = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.UNAUTHENTICATED,
  status.CANCELLED,
])

/** Sends one report after the other, the same one again where that helps, and drops the oldest beyond a limit. */
export class Sender {
  readonly #send: Send
  readonly #answered: (answer: Answer) => void
  readonly #waiting: Report[] = []
  #busy = false
  #work: Promise<void> = Promise.resolve()
  #closed = false
  #wake: () => void = () => undefined
  sent = 0
  dropped = 0
  droppedCalls = 0
  lastFault: string | undefined

  constructor(send: Send, answered: (answer: Answer) => void) {
    this.#send = send
    this.#answered = answered
  }

  get idle(): boolean {
    return !this.#busy
  }

  add(report: Report): void {
    this.#waiting.push(report)
    if (this.#waiting.length > WAITING_MAX) this.#drop(this.#waiting.shift())
    if (!this.#busy) this.#work = this.#deliverAll()
  }

  /** Tries what waits once more; with the first that does not go, the rest is dropped. */
  close(): Promise<void> {
    this.#closed = true
    this.#wake()
    return this.#work
  }

  async #deliverAll(): Promise<void> {
    this.#busy = true
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      if (!(await this.#deliver(next)) && this.#closed)
        for (const one of this.#waiting.splice(0)) this.#drop(one)
    this.#busy = false
  }

  /** False where it was dropped. */
  async #deliver(report: Report): Promise<boolean> {
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MAX_MS)) {
      let toldMs = 0
      try {
        const answer = await this.#send(report)
        this.sent += 1
        this.lastFault = undefined
        this.#answered(answer)
        return true
      } catch (thrown) {
        const { code, details, retryMs } = thrown as SendFailure
        this.lastFault = `${status[code]}: ${details}`
        toldMs = Math.min(retryMs ?? 0, TOLD_MAX_MS)
        if (this.#closed || !(AGAIN.has(code) || retryMs !== undefined)) {
          this.#drop(report)
          return false
        }
      }
      await this.#pause(Math.max(waitMs, toldMs))
    }
  }

  #drop(report: Report | undefined): void {
    this.dropped += 1
    this.droppedCalls += report === undefined ? 0 : callsIn(report)
  }

  #pause(ms: number): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref()
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
