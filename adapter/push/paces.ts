import { status } from '@grpc/grpc-js'
import type { Caller } from './caller.ts'
import { Refusal } from './refusal.ts'

interface Allowance {
  readonly reportsPerSecond: number
  readonly partsPerSecond: number
}

interface Pace {
  readonly reports: number
  /** Below zero where what came last was more than was left; nothing more is taken until that is made up for. */
  readonly parts: number
  readonly atMs: number
}

/** Pods that are remembered; the full allowance of one that is forgotten is what it would have by then. */
const PODS_MAX = 20_000

/**
 * What each pod may still send: so many reports a second, twice as many at once; and so many parts, for one report may
 * cost as much as ten thousand others. A part is what takes about the same time, a few microseconds: a message within
 * the message (a point, an attribute), a value that is stored, or bytes to be read.
 */
export class Paces {
  readonly #allowance: Allowance
  readonly #pods = new Map<string, Pace>()

  constructor(allowance: Allowance) {
    this.#allowance = allowance
  }

  /** Takes one report of the pod's. Throws `Refusal` `RESOURCE_EXHAUSTED` where it is too quick. */
  pass(pod: string, nowMs: number): void {
    const { reportsPerSecond } = this.#allowance
    const known = this.#refilled(pod, nowMs)
    this.#check(pod, known)
    if (known.reports < 1) {
      const waitMs = Math.ceil(((1 - known.reports) / reportsPerSecond) * 1000)
      throw tooQuick(pod, `${reportsPerSecond} reports`, waitMs)
    }
    this.#keep(pod, { ...known, reports: known.reports - 1 })
  }

  /** Notes what a report that was let through turns out to cost. */
  spend(pod: string, parts: number, nowMs: number): void {
    const known = this.#refilled(pod, nowMs)
    this.#keep(pod, { ...known, parts: known.parts - parts })
  }

  /** For a caller that is one pod, which is known before anything that it sends is read; for others it does nothing. */
  ofCaller({ namespaces, pod }: Caller, nowMs: () => number): CallerPace {
    const [namespace] = namespaces ?? []
    if (namespace === undefined || pod === undefined) return NO_PACE
    const key = `${namespace}/${pod}`
    return {
      pass: () => this.pass(key, nowMs()),
      check: () => this.#check(key, this.#refilled(key, nowMs())),
      spend: (parts) => this.spend(key, parts, nowMs()),
    }
  }

  #check(pod: string, { parts }: Pace): void {
    const { partsPerSecond } = this.#allowance
    if (parts > 0) return
    const waitMs = Math.ceil(((1 - parts) / partsPerSecond) * 1000)
    throw tooQuick(pod, `${partsPerSecond} parts (push.partsPerSecond)`, waitMs)
  }

  #refilled(pod: string, nowMs: number): Pace {
    const { reportsPerSecond, partsPerSecond } = this.#allowance
    const [reportsMax, partsMax] = [2 * reportsPerSecond, 2 * partsPerSecond]
    const known = this.#pods.get(pod)
    if (known === undefined) return { reports: reportsMax, parts: partsMax, atMs: nowMs }
    const seconds = (nowMs - known.atMs) / 1000
    const reports = Math.min(reportsMax, known.reports + seconds * reportsPerSecond)
    const parts = Math.min(partsMax, known.parts + seconds * partsPerSecond)
    return { reports, parts, atMs: nowMs }
  }

  /** The last one is the one that was heard last. */
  #keep(pod: string, pace: Pace): void {
    this.#pods.delete(pod)
    const [oldest] = this.#pods.keys()
    if (this.#pods.size >= PODS_MAX && oldest !== undefined) this.#pods.delete(oldest)
    this.#pods.set(pod, pace)
  }
}

/** That of the pod that a caller is. */
export interface CallerPace {
  pass(): void
  /** As `pass`, without a report. */
  check(): void
  spend(parts: number): void
}

const NO_PACE: CallerPace = {
  pass: () => undefined,
  check: () => undefined,
  spend: () => undefined,
}

function tooQuick(pod: string, what: string, waitMs: number): Refusal {
  const message = `${pod} may send ${what} a second: send again in ${waitMs} ms`
  return new Refusal(status.RESOURCE_EXHAUSTED, message, waitMs)
}

const BYTES_OF_PART = 50

/** Of bytes that are looked through, whatever is in them. */
export function partsOfBytes(bytes: number): number {
  return bytes / BYTES_OF_PART
}

/** An interval is laid into steps, of a second or so; no longer one than this is ever taken. */
const SECONDS_MAX = 600

/** Of values that are stored for an interval, which is laid into steps. */
export function partsOfInterval(values: number, startMs: number, endMs: number): number {
  return values * Math.min(SECONDS_MAX, Math.max(1, (endMs - startMs) / 1000))
}
