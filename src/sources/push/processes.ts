import type { Sample } from '../../model.ts'
import type { MeasurementsOutcome, PushMeasurements, PushPoint } from '../../ports.ts'
import type { SourceDeps } from '../../ports.ts'
import { AHEAD_MAX_MS, pointMistake, samplesOfPoint } from './points.ts'
import { Streams } from './streams.ts'

/** Processes of one pod that are remembered; beyond, the one that is silent for longest gives way. */
const PROCESSES_MAX = 16
/** For how long a process that fell silent may still be found to have been replaced. */
const REMEMBERED_MS = 3_600_000

/** One life of one process, and its origin in the store. */
interface Process {
  readonly origin: string
  streams: Streams
  readonly sinceMs: number
  heardMs: number
  state: 'reporting' | 'failing' | 'ended'
  /** Until then nothing of it is stored. */
  quarrelUntilMs: number
  /** It began while we listened, so there was nothing to count before. */
  isNew: boolean
  /** Of its series that there are now. */
  covered?: Sample['covered']
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
    const { clock, name, sink } = this.#deps
    const heardMs = clock.monotonicMs()
    const process = this.#processOf(processes, told, heardMs)
    const refused = new Map<string, number>()
    const refuse = (reason: string, count = 1) =>
      refused.set(reason, (refused.get(reason) ?? 0) + count)
    const samples: Sample[] = []
    const ended: Pick<Sample, 'metric' | 'labels'>[] = []
    let quarrel: string | undefined
    let taken = 0
    const others = seriesBeside(processes, process)
    for (const point of told.points.toSorted((a, b) => a.endMs - b.endMs)) {
      const outcome = this.#lookAt(process, others, point)
      if (typeof outcome === 'object') {
        if ('quarrel' in outcome) quarrel ??= outcome.quarrel
        refuse('quarrel' in outcome ? outcome.quarrel : outcome.late)
        continue
      }
      taken += 1
      process.streams.hear(point, heardMs)
      if (outcome === 'repeated') continue
      if (point.value === 'none') ended.push(...process.streams.end(point))
      else {
        const own = labelled(point, told)
        const made = samplesOfPoint(own, this.#limits.bucket, cover(process, own))
        process.streams.take(point, seriesNames(made), heardMs)
        samples.push(...made)
      }
    }
    process.heardMs = heardMs
    ended.push(...process.streams.endUnheard(heardMs - this.#limits.maxAge))
    if (quarrel !== undefined) this.#quarrel(process, quarrel, heardMs)
    if (process.quarrelUntilMs > heardMs) {
      if (taken > 0) refuse('not stored, as other points of its process are refused', taken)
      return { outcome: 'taken', taken: 0, refused }
    }
    process.state = 'reporting'
    const { origin } = process
    const batch = { source: name, origin, atMs: clock.nowMs(), samples, ended, complete: false }
    for (const [reason, count] of sink.write(batch).refused) {
      refuse(`not stored: ${reason}`, count)
      taken -= Math.min(taken, count)
    }
    return { outcome: 'taken', taken, refused }
  }

  /** Finds those that fell silent: replaced by another process since, or failing. */
  look(processes: Processes, nowMs: number): void {
    const newestMs = Math.max(...[...processes.values()].map(({ sinceMs }) => sinceMs))
    for (const [key, process] of processes) {
      const silentMs = nowMs - process.heardMs
      if (silentMs >= this.#limits.goneAfter && process.state !== 'ended') {
        if (newestMs > process.heardMs) this.#end(process)
        else if (process.state === 'reporting') this.#fail(process, silenceOf(silentMs))
      }
      // No repetition would be taken any more.
      if (silentMs > this.#limits.maxAge + AHEAD_MAX_MS && process.streams.size > 0)
        process.streams = new Streams()
      if (silentMs > REMEMBERED_MS || (process.state === 'ended' && silentMs > this.#limits.maxAge))
        processes.delete(key)
    }
  }

  /** The pod is gone, and they with it. */
  endAll(processes: Processes): void {
    for (const process of processes.values()) if (process.state !== 'ended') this.#end(process)
  }

  #lookAt(process: Process, others: number, point: PushPoint): ReturnType<Streams['look']> {
    const { maxAge, seriesPerPod } = this.#limits
    const mistake = pointMistake(point, this.#deps.clock.nowMs(), maxAge)
    if (mistake !== undefined) return { late: `${point.metric}: ${mistake}` }
    const outcome = process.streams.look(point)
    const more = others + process.streams.size + seriesCount(point)
    return outcome === 'new' && !process.streams.has(point) && more > seriesPerPod
      ? { quarrel: `the pod has more than ${seriesPerPod} series (seriesPerPod)` }
      : outcome
  }

  #processOf(processes: Processes, told: PushMeasurements, nowMs: number): Process {
    const known = processes.get(told.process)
    if (known !== undefined) return known
    if (processes.size >= PROCESSES_MAX) {
      const [[key, oldest] = []] = [...processes].toSorted(([, a], [, b]) => a.heardMs - b.heardMs)
      if (key !== undefined) processes.delete(key)
      if (oldest !== undefined && oldest.state !== 'ended') this.#end(oldest)
    }
    const pod = `${told.namespace}/${told.pod}`
    const made: Process = {
      origin: told.process === '' ? pod : `${pod}/${told.process}`,
      streams: new Streams(),
      ...{ sinceMs: nowMs, heardMs: nowMs, state: 'reporting', quarrelUntilMs: -Infinity },
      // Of those that are heard soon after a start of ours it is not known since when they count.
      isNew: nowMs - this.#sinceMs > this.#limits.maxAge,
    }
    processes.set(told.process, made)
    return made
  }

  #quarrel(process: Process, message: string, nowMs: number): void {
    const began = process.quarrelUntilMs <= nowMs
    process.quarrelUntilMs = nowMs + this.#limits.maxAge + AHEAD_MAX_MS
    process.isNew = false
    process.covered = undefined
    // Its series end; the origin stays, failing, so that nobody takes the others for the whole.
    this.#deps.sink.end(this.#deps.name, process.origin)
    this.#fail(process, { code: 'bad-response', message }, began)
  }

  #fail(
    process: Process,
    { code, message }: { readonly code: 'timeout' | 'bad-response'; readonly message: string },
    said = true,
  ): void {
    const { clock, log, name, sink } = this.#deps
    process.state = 'failing'
    sink.fail(name, process.origin, { code, message, atMs: clock.nowMs() })
    if (said) log.warn('origin-failing', { source: name, origin: process.origin, code, message })
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

function silenceOf(silentMs: number) {
  return { code: 'timeout', message: `no report for ${Math.round(silentMs / 1000)} s` } as const
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

/** Whose it is was proved, and is not what the sender writes. */
function labelled(point: PushPoint, { namespace, pod }: PushMeasurements): PushPoint {
  return { ...point, labels: { ...point.labels, namespace, pod } }
}
