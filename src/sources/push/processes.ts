import type { Batch } from '../../model.ts'
import type { MeasurementsOutcome, PushMeasurements, PushPoint } from '../../ports.ts'
import type { SourceDeps } from '../../ports.ts'
import { readExport, refuse } from './exports.ts'
import type { Read } from './exports.ts'
import { AHEAD_MAX_MS, seriesOf } from './points.ts'
import { beginProcess, seriesBeside } from './process.ts'
import type { Failure, Limits, Process, Processes } from './process.ts'
import { Streams } from './streams.ts'

/** Processes of one pod that are remembered. */
const PROCESSES_MAX = 64
/** For how long a process that fell silent may still be found to have been replaced. */
const REMEMBERED_MS = 3_600_000

type Surroundings = Pick<SourceDeps, 'clock' | 'sink' | 'name' | 'log'>

/**
 * Takes the measurements of processes: each stream's points once. A process is stored whole or not at all: one
 * whose streams cannot be told apart, or that has too many, fails with the reason and none of its series is kept,
 * for the rest of them would be a part of its load that looks like the whole.
 */
export class Measuring {
  readonly #limits: Limits
  readonly #deps: Surroundings
  readonly #sinceMs: number
  #isHinted = false

  constructor(limits: Limits, deps: Surroundings) {
    this.#limits = limits
    this.#deps = deps
    this.#sinceMs = deps.clock.monotonicMs()
  }

  measure(processes: Processes, told: PushMeasurements): MeasurementsOutcome {
    const heardMs = this.#deps.clock.monotonicMs()
    const process = this.#processOf(processes, told, heardMs)
    if (process === undefined) return NO_ROOM
    const others = seriesBeside(processes, process)
    const nowMs = this.#deps.clock.nowMs()
    const read = readExport(process, told, { limits: this.#limits, others, nowMs, heardMs })
    const { taken, refused, quarrel } = read
    const ended = process.streams.settle(heardMs - this.#limits.maxAge)
    process.heardMs = heardMs
    this.#hint(process)
    const isEmpty = told.points.length === 0 && told.unreadable === undefined
    if (taken > 0 || isEmpty) process.takenMs = heardMs
    if (quarrel !== undefined) this.#quarrel(process, quarrel, heardMs)
    if (heardMs < process.quarrelUntilMs) {
      // What is not stored now is not known later.
      process.collections.forget()
      this.#lack(process, read.contradicting)
      return nothingTaken(process, refused, taken)
    }
    process.contradicting = new Map()
    if (heardMs - process.takenMs < this.#patienceMs(process))
      return this.#store(process, read, ended)
    // It sends, and for long nothing of it could be taken: its clock may be wrong.
    const [message = told.unreadable ?? ''] = refused.keys()
    this.#fail(process, { code: 'bad-response', message }, process.state === 'reporting')
    process.isForgotten ||= ended.length > 0
    return { outcome: 'taken', taken, refused }
  }

  #store(process: Process, read: Read, ended: Batch['ended'] = []): MeasurementsOutcome {
    const { samples, refused, taken } = read
    const { clock, name, sink } = this.#deps
    const { origin, isForgotten: complete } = process
    const batch = { source: name, origin, atMs: clock.nowMs(), samples, ended, complete }
    const written = sink.write(batch)
    if (written.refused.has('too-many-series')) {
      // The store keeps none of it. Its next export may be of a part of its series, and find room.
      this.#quarrel(process, STORE_IS_FULL, clock.monotonicMs())
      this.#lack(process, [])
      return nothingTaken(process, refused, taken)
    }
    process.state = 'reporting'
    process.isForgotten = false
    let stored = taken
    for (const [reason, count] of written.refused) {
      refuse(refused, `not stored: ${reason}`, count)
      stored -= Math.min(stored, count)
    }
    return { outcome: 'taken', taken: stored, refused }
  }

  /** Finds those that fell silent: replaced by another process since, or failing. */
  look(processes: Processes, nowMs: number, isExpected = false): void {
    const { maxAge } = this.#limits
    for (const [key, process] of processes) {
      const silentMs = nowMs - process.heardMs
      if (this.#isReplaced(process, processes, nowMs)) this.#end(process)
      else if (process.state === 'reporting' && silentMs >= this.#patienceMs(process))
        this.#fail(process, silenceOf(silentMs))
      // The store forgets what is silent for long; of a pod that is there it must not.
      else if (process.state === 'failing' && isExpected && process.failure !== undefined)
        this.#fail(process, process.failure, false)
      // No repetition would be taken any more.
      if (silentMs > maxAge + AHEAD_MAX_MS && process.streams.size > 0) {
        process.streams = new Streams(maxAge)
        process.isForgotten = true
      }
      if (silentMs > REMEMBERED_MS || (process.state === 'ended' && silentMs > maxAge))
        processes.delete(key)
    }
  }

  /** Says once that exports come too seldom to scale on. */
  #hint({ origin, collections: { everyMs = 0 } }: Process): void {
    if (this.#isHinted || everyMs <= this.#limits.goneAfter) return
    this.#isHinted = true
    const seconds = Math.round(everyMs / 1000)
    this.#deps.log.warn('exports-are-rare', {
      ...{ source: this.#deps.name, origin, everyMs },
      message: `exports come every ${seconds} s (OTEL_METRIC_EXPORT_INTERVAL): make it 5000, or freshFor of its signals more than ${seconds}s`,
    })
  }

  /** For how long it may be silent: one that exports once a minute does not fail in between. */
  #patienceMs({ collections }: Process): number {
    const { goneAfter, maxAge } = this.#limits
    return Math.max(goneAfter, Math.min(2 * (collections.everyMs ?? 0), maxAge + AHEAD_MAX_MS))
  }

  /** The pod is gone, and they with it. */
  endAll(processes: Processes): void {
    for (const process of processes.values()) if (process.state !== 'ended') this.#end(process)
  }

  #processOf(processes: Processes, told: PushMeasurements, nowMs: number): Process | undefined {
    const known = processes.get(told.process)
    if (known !== undefined) return known
    if (processes.size < PROCESSES_MAX || this.#makeRoom(processes, nowMs))
      return this.#begin(processes, told, nowMs)
    return undefined
  }

  /** Only of those that are gone: without one that still reports the others would look like the whole. */
  #makeRoom(processes: Processes, nowMs: number): boolean {
    for (const [key, process] of processes) {
      const isReplaced = this.#isReplaced(process, processes, nowMs)
      if (isReplaced) this.#end(process)
      else if (process.state !== 'ended') continue
      processes.delete(key)
      return true
    }
    return false
  }

  /**
   * Another process began since it was last heard, and it is silent for longer than it ever was. How long that is
   * tells the time between its points; where it is not known, it is as long as an interval may be at most.
   */
  #isReplaced({ state, heardMs, streams }: Process, processes: Processes, nowMs: number): boolean {
    if (state === 'ended') return false
    const { goneAfter, maxAge } = this.#limits
    const longestMs = maxAge + AHEAD_MAX_MS
    const waitMs = Math.min(2 * (streams.longestMs ?? longestMs), longestMs)
    if (nowMs - heardMs < Math.max(goneAfter, waitMs)) return false
    for (const { sinceMs } of processes.values()) if (sinceMs > heardMs) return true
    return false
  }

  #begin(processes: Processes, told: PushMeasurements, nowMs: number): Process {
    // Of those that are heard soon after a start of ours it is not known since when they count.
    const isNew = nowMs - this.#sinceMs > this.#limits.maxAge
    const made = beginProcess(told, { isNew, nowMs, maxAgeMs: this.#limits.maxAge })
    processes.set(told.process, made)
    return made
  }

  #quarrel(process: Process, failure: Failure, nowMs: number): void {
    const began = process.quarrelUntilMs <= nowMs
    process.quarrelUntilMs = nowMs + this.#limits.maxAge + AHEAD_MAX_MS
    process.collections.forget()
    // Its series end; the origin stays, failing, so that nobody takes the others for the whole.
    this.#deps.sink.end(this.#deps.name, process.origin)
    this.#fail(process, failure, began)
  }

  /** Says which series are missed while it contradicts itself: signals that are made of others go on. */
  #lack(process: Process, points: readonly PushPoint[]): void {
    const { failure, streams } = process
    if (failure === undefined) return
    for (const point of points)
      for (const one of seriesOf(point)) process.contradicting?.set(JSON.stringify(one), one)
    if ((process.contradicting?.size ?? 0) > this.#limits.seriesPerPod)
      process.contradicting = undefined
    const { contradicting } = process
    const known = contradicting && { lacks: [...streams.series, ...contradicting.values()] }
    const { code, message } = failure
    this.#fail(process, { code, message, ...known }, false)
  }

  #fail(process: Process, failure: Failure, said = true): void {
    const { clock, log, name, sink } = this.#deps
    process.state = 'failing'
    process.failure = failure
    sink.fail(name, process.origin, { ...failure, atMs: clock.nowMs() })
    const { code, message } = failure
    if (said) log.warn('origin-failing', { source: name, origin: process.origin, code, message })
  }

  #end(process: Process): void {
    process.state = 'ended'
    process.collections.forget()
    this.#deps.sink.end(this.#deps.name, process.origin)
  }
}

const NO_ROOM = {
  outcome: 'refused',
  reason: 'limit',
  message: `more than ${PROCESSES_MAX} processes of the pod report (or one by ever new names)`,
} as const
const STORE_IS_FULL = {
  code: 'too-large',
  message: 'limits.series is reached: none of its series is kept',
} as const

function silenceOf(silentMs: number): Failure {
  return { code: 'timeout', message: `no report for ${Math.round(silentMs / 1000)} s` }
}

function nothingTaken(
  { failure }: Process,
  refused: Map<string, number>,
  taken: number,
): MeasurementsOutcome {
  refuse(refused, `not stored, as its process fails: ${failure?.message ?? ''}`, taken)
  return { outcome: 'taken', taken: 0, refused }
}
