import type { SeriesName } from '../../model.ts'
import type { PushMeasurements } from '../../ports.ts'
import { Collections } from './collections.ts'
import { Streams } from './streams.ts'

/** One life of one process, and its origin in the store. */
export interface Process {
  readonly origin: string
  streams: Streams
  /** Which time its series that there are now tell of. */
  readonly collections: Collections
  /** The store has series that its streams do not know any more: those that it does not name next have ended. */
  isForgotten: boolean
  readonly sinceMs: number
  heardMs: number
  /** When anything in an export of it was last taken. */
  takenMs: number
  state: 'reporting' | 'failing' | 'ended'
  /** What it fails of. */
  failure?: Failure
  /** Until then nothing of it is stored, as it contradicts itself. */
  quarrelUntilMs: number
  /** What it has then beside its streams; undefined: more than can be told. */
  contradicting: Map<string, SeriesName> | undefined
}

export interface Failure {
  readonly code: 'timeout' | 'bad-response' | 'too-large'
  readonly message: string
  readonly lacks?: readonly SeriesName[]
}

/** What is known of the processes of one pod, by the name each gives itself. */
export type Processes = Map<string, Process>

export interface Limits {
  readonly goneAfter: number
  readonly maxAge: number
  readonly bucket: number
  readonly seriesPerPod: number
}

/** `isNew`: it began while we listened, so there was nothing to count before. */
export function beginProcess(
  told: PushMeasurements,
  { isNew, nowMs, maxAgeMs }: { isNew: boolean; nowMs: number; maxAgeMs: number },
): Process {
  const pod = `${told.namespace}/${told.pod}`
  return {
    origin: told.process === '' ? pod : `${pod}/${told.process}`,
    ...{ streams: new Streams(maxAgeMs), collections: new Collections(isNew) },
    ...{ isForgotten: false, state: 'reporting', quarrelUntilMs: -Infinity },
    contradicting: new Map(),
    ...{ sinceMs: nowMs, heardMs: nowMs, takenMs: -Infinity },
  }
}

/** A source begins a new life. What its store still has says itself of which time it tells. */
export function beginAnew(processes: Processes): void {
  for (const { collections } of processes.values()) collections.forget()
}

/** Series of the processes that lived while this one did; one that it replaced does not count. */
export function seriesBeside(processes: Processes, process: Process): number {
  let count = 0
  for (const other of processes.values())
    if (other !== process && other.heardMs > process.sinceMs) count += other.streams.size
  return count
}
