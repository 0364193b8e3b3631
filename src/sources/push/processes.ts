import type { Sample } from '../../model.ts'
import type { MeasurementsOutcome, PushMeasurements, PushPoint } from '../../ports.ts'
import type { SourceDeps } from '../../ports.ts'
import { AHEAD_MAX_MS, pointMistake, samplesOfPoint } from './points.ts'
import { Streams } from './streams.ts'

/** Processes of one pod that are remembered. */
const PROCESSES_MAX = 64
/** For how long a process that fell silent may still be found to have been replaced. */
const REMEMBERED_MS = 3_600_000

/** One life of one process, and its origin in the store. */
interface Process {
  readonly origin: string
  streams: Streams
  /** The store has series that its streams do not know any more: those that it does not name next have ended. */
  isForgotten: boolean
  readonly sinceMs: number
  heardMs: number
  /** When anything in an export of it was last taken. */
  takenMs: number
  state: 'reporting' | 'failing' | 'ended'
  /** What it fails of. */
  failure?: Failure
  /** Until then nothing of it is stored. */
  quarrelUntilMs: number
  /** It began while we listened, so there was nothing to count before. */
  isNew: boolean
  /** Of its series that there are now. */
  covered?: Sample['covered']
}

/** What there is in an export. */
interface Read {
  readonly samples: readonly Sample[]
  readonly ended: readonly Pick<Sample, 'metric' | 'labels'>[]
  readonly refused: Map<string, number>
  readonly taken: number
}

interface Failure {
  readonly code: 'timeout' | 'bad-response' | 'too-large'
  readonly message: string
}

/** A source begins a new life. What its store still has says itself of which time it tells. */
export function beginAnew(processes: Processes): void {
  for (const process of processes.values()) {
    process.isNew = false
    process.covered = undefined
  }
}

/** What is known of the processes of one pod, by the name each gives itself. */
export type Processes = Map<string, Process>

export interface Limits {
  readonly goneAfter: number
  readonly maxAge: number
  readonly bucket: number
  readonly seriesPerPod: number
}

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
    const { samples, refused, ...read } = this.#read(process, others, told)
    const { taken, quarrel } = read
    const ended = process.streams.settle(heardMs - this.#limits.maxAge)
    process.heardMs = heardMs
    const isEmpty = told.points.length === 0 && told.unreadable === undefined
    if (taken > 0 || isEmpty) process.takenMs = heardMs
    if (quarrel !== undefined) this.#quarrel(process, quarrel, heardMs)
    if (heardMs < process.quarrelUntilMs) return nothingTaken(process, refused, taken)
    if (heardMs - process.takenMs < this.#limits.goneAfter)
      return this.#store(process, { samples, ended, refused, taken })
    // It sends, and for long nothing of it could be taken: its clock may be wrong.
    const [message = told.unreadable ?? ''] = refused.keys()
    this.#fail(process, { code: 'bad-response', message }, process.state === 'reporting')
    process.isForgotten ||= ended.length > 0
    return { outcome: 'taken', taken, refused }
  }

  #store(process: Process, { samples, ended, refused, taken }: Read): MeasurementsOutcome {
    const { clock, name, sink } = this.#deps
    const { origin, isForgotten: complete } = process
    const batch = { source: name, origin, atMs: clock.nowMs(), samples, ended, complete }
    const written = sink.write(batch)
    if (written.refused.has('too-many-series')) {
      // The store keeps none of it. Its next export may be of a part of its series, and find room.
      this.#quarrel(process, STORE_IS_FULL, clock.monotonicMs())
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
    const { goneAfter, maxAge } = this.#limits
    for (const [key, process] of processes) {
      const silentMs = nowMs - process.heardMs
      if (this.#isReplaced(process, processes, nowMs)) this.#end(process)
      else if (process.state === 'reporting' && silentMs >= goneAfter)
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

  /** The pod is gone, and they with it. */
  endAll(processes: Processes): void {
    for (const process of processes.values()) if (process.state !== 'ended') this.#end(process)
  }

  /** What of an export is new, and what cannot be taken. */
  #read(process: Process, others: number, told: PushMeasurements) {
    const { streams } = process
    const { maxAge, bucket } = this.#limits
    const nowMs = this.#deps.clock.nowMs()
    const heardMs = this.#deps.clock.monotonicMs()
    const refused = new Map<string, number>()
    const samples: Sample[] = []
    let quarrel: Failure | undefined
    let taken = 0
    streams.begin()
    for (const point of told.points.toSorted((a, b) => a.endMs - b.endMs)) {
      const mistake = pointMistake(point, nowMs, maxAge)
      const outcome =
        mistake === undefined
          ? this.#lookAt(process, others, point)
          : { late: `${point.metric}: ${mistake}` }
      if (typeof outcome === 'object') {
        const message = 'quarrel' in outcome ? outcome.quarrel : outcome.late
        if ('quarrel' in outcome) quarrel ??= { code: 'bad-response', message }
        refuse(refused, message, 1)
        continue
      }
      taken += 1
      streams.hear(point, heardMs)
      if (outcome === 'repeated') continue
      if (point.value === 'none') streams.end(point)
      else {
        const own = labelled(point, told)
        const made = samplesOfPoint(own, bucket, cover(process, own))
        streams.take(point, seriesNames(made), heardMs)
        for (const sample of made) samples.push(sample)
      }
    }
    return { samples, refused, taken, quarrel }
  }

  #lookAt(process: Process, others: number, point: PushPoint): ReturnType<Streams['look']> {
    const { seriesPerPod } = this.#limits
    const outcome = process.streams.look(point)
    if (outcome !== 'new' || process.streams.has(point)) return outcome
    return others + process.streams.size + seriesCount(point) > seriesPerPod
      ? { quarrel: `the pod has more than ${seriesPerPod} series (seriesPerPod)` }
      : outcome
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
    const pod = `${told.namespace}/${told.pod}`
    const made: Process = {
      origin: told.process === '' ? pod : `${pod}/${told.process}`,
      ...{ streams: new Streams(this.#limits.maxAge), isForgotten: false },
      ...{ sinceMs: nowMs, heardMs: nowMs, takenMs: -Infinity, state: 'reporting' },
      quarrelUntilMs: -Infinity,
      // Of those that are heard soon after a start of ours it is not known since when they count.
      isNew: nowMs - this.#sinceMs > this.#limits.maxAge,
    }
    processes.set(told.process, made)
    return made
  }

  #quarrel(process: Process, failure: Failure, nowMs: number): void {
    const began = process.quarrelUntilMs <= nowMs
    process.quarrelUntilMs = nowMs + this.#limits.maxAge + AHEAD_MAX_MS
    process.isNew = false
    process.covered = undefined
    // Its series end; the origin stays, failing, so that nobody takes the others for the whole.
    this.#deps.sink.end(this.#deps.name, process.origin)
    this.#fail(process, failure, began)
  }

  #fail(process: Process, failure: Failure, said = true): void {
    const { clock, log, name, sink } = this.#deps
    process.state = 'failing'
    process.failure = failure
    sink.fail(name, process.origin, { ...failure, atMs: clock.nowMs() })
    if (said) log.warn('origin-failing', { source: name, origin: process.origin, ...failure })
  }

  #end(process: Process): void {
    process.state = 'ended'
    process.isNew = false
    process.covered = undefined
    this.#deps.sink.end(this.#deps.name, process.origin)
  }
}

/** Takes in the time that a delta tells of. */
function cover(process: Process, { kind, startMs, endMs }: PushPoint): Sample['covered'] {
  if (kind !== 'delta') return undefined
  const { fromMs = Infinity, untilMs = -Infinity } = process.covered ?? {}
  process.covered = {
    fromMs: process.isNew ? -Infinity : Math.min(fromMs, startMs ?? endMs),
    untilMs: Math.max(untilMs, endMs),
  }
  return process.covered
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

function refuse(refused: Map<string, number>, reason: string, count: number): void {
  if (count > 0) refused.set(reason, (refused.get(reason) ?? 0) + count)
}

/** Series of the processes that lived while this one did; one that it replaced does not count. */
function seriesBeside(processes: Processes, process: Process): number {
  let count = 0
  for (const other of processes.values())
    if (other !== process && other.heardMs > process.sinceMs) count += other.streams.size
  return count
}

function seriesNames(samples: readonly Sample[]): Pick<Sample, 'metric' | 'labels'>[] {
  const names: Pick<Sample, 'metric' | 'labels'>[] = []
  for (const { metric, labels } of samples) {
    const last = names.at(-1)
    if (last?.metric !== metric || last.labels !== labels) names.push({ metric, labels })
  }
  return names
}

function seriesCount({ value }: PushPoint): number {
  return typeof value === 'object' ? value.counts.length + 2 : 1
}

/** Whose it is was proved, and is not what the sender writes. Frozen labels are found quicker in the store. */
function labelled(point: PushPoint, { namespace, pod }: PushMeasurements): PushPoint {
  return { ...point, labels: Object.freeze({ ...point.labels, namespace, pod }) }
}
