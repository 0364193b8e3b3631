/**
 * The verbs of the engine: what its parts ask of each other. Contracts are in the comments, and the kits in
 * `test/kit/` hold every implementation to them.
 */
import type { ZodType } from 'zod'
import type {
  Batch,
  BehaviorWindow,
  FailureCode,
  Forecast,
  Labels,
  OriginHealth,
  SampleKind,
  Selection,
  Series,
  SeriesName,
  SignalReadings,
  Target,
  WriteResult,
} from './model.ts'

/** The one way to know or wait for time. Everything that computes takes `nowMs` as an argument instead. */
export interface Clock {
  /** Wall time in ms since 1970. */
  nowMs(): number
  /** Time that never steps, in ms from an arbitrary start; for durations. */
  monotonicMs(): number
  /** Resolves after `ms`, or at once (never rejects) when `signal` aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/**
 * Something that lives: `run` starts it and settles when `signal` aborts, within 1 s, leaving no handle open.
 * It rejects only for a fault that makes its existence pointless; a failing upstream is not one. It may be
 * run again after it settled.
 */
export interface Component {
  run(signal: AbortSignal): Promise<void>
}

/** Structured log: `event` is a short stable name; no secret and no payload in `fields`. */
export interface Logger {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}
export type LogFields = Readonly<Record<string, unknown>>

export interface OriginFailure {
  readonly code: FailureCode
  readonly message: string
  readonly atMs: number
  /** All that it would have if it did not fail, where that is known: signals made of none of them miss nothing. */
  readonly lacks?: readonly SeriesName[]
}

/** Where sources put what they collect. No method throws for what is in a batch. */
export interface SampleSink {
  /** All or nothing is the caller's duty per origin; single bad samples are refused, counted and skipped. */
  write(batch: Batch): WriteResult
  /** A collect of this origin failed: nothing is written, its series age, readings name the cause. */
  fail(source: string, origin: string, failure: OriginFailure): void
  /** The origin is gone (pod deleted or not ready): its series end at once. */
  end(source: string, origin: string): void
}

/** Read side of the series store. */
export interface SeriesView {
  /** Changes whenever a series appears or ends; lets a reader keep its selection. */
  readonly generation: number
  select(selection: Selection): readonly Series[]
  /** Origins of a source with their health, in the order they appeared. */
  origins(source: string): ReadonlyMap<string, OriginHealth>
  /**
   * Origins that fail and of which nothing is known: no series, perhaps never one. With a selection those that may have
   * series of it.
   */
  silentOrigins(
    source: string,
    selection?: Pick<Selection, 'metric' | 'matchers'>,
  ): readonly string[]
  /** The newest notes on a metric, by origin; undefined where there are none. */
  notes(source: string, metric: string): ReadonlyMap<string, readonly string[]> | undefined
}

/** Resolves references to credentials. Values are never logged and never kept in configuration. */
export interface SecretReader {
  /** Trailing newlines are removed. Rejects with `TidelineError` `not-configured` naming the reference. */
  read(reference: SecretReference): Promise<string>
}
export type SecretReference =
  | { readonly file: string }
  | { readonly env: string }
  | {
      readonly secret: { readonly namespace?: string; readonly name: string; readonly key: string }
    }

/** Finds pods; given by the cluster edge, absent without a cluster. */
export interface TargetDiscovery {
  /**
   * Calls `publish` with the whole present set on start and on each change, until `signal` aborts.
   * Pods that are not ready or are going away are not in the set.
   */
  watch(
    query: PodQuery,
    publish: (targets: readonly Target[]) => void,
    signal: AbortSignal,
  ): Promise<void>
}
export interface PodSelection {
  /** Undefined: all namespaces. */
  readonly namespace?: string
  readonly labelSelector: string
}
export interface PodQuery extends PodSelection {
  /** Number, or the name of a container port. */
  readonly port: number | string
  readonly path: string
  readonly scheme: 'http' | 'https'
}

/** Tells how long pods took to start; given by the cluster edge, absent without a cluster. */
export interface StartUpWatch {
  /**
   * Calls `told` for each pod of which it is known, those that are there at the start and those that become ready
   * until `signal` aborts; for each once, and again after a new start of the watch.
   */
  watchStartUps(
    pods: PodSelection,
    told: (startUp: PodStartUp) => void,
    signal: AbortSignal,
  ): Promise<void>
}
/** One pod's way from its node being chosen to its first being ready. All times are the cluster's. */
export interface PodStartUp {
  /** Unique among all pods there ever were. */
  readonly pod: string
  readonly ms: number
  readonly readyMs: number
  /**
   * It was seen when it had not been ready before. False: it was ready when it was found; if it ceased to be for a
   * while, it took less than it seems.
   */
  readonly witnessed: boolean
}

/**
 * State of windows that outlives a process and is shared by the replicas of the adapter: for each partition of
 * a stream, how far it is read and what its buckets hold, changed together or not at all.
 *
 * What a bucket holds is a function of the messages before `position.offset` alone. So a reader that has the
 * buckets as of one offset needs only those changed since, whoever changed them and however often the writer
 * was another; and a writer that begins where the position says counts each message once.
 * All methods reject with `TidelineError`; a rejected `commit` may have been done or not, and may be repeated.
 */
export interface WindowStore {
  /** Whether other processes see what this one commits. */
  readonly shared: boolean
  /** The whole state of a partition; undefined where there is none. */
  load(partition: string, signal: AbortSignal): Promise<WindowState | undefined>
  /**
   * Replaces `expected` (undefined: no state yet) by `next` and sets the buckets, if the position is still as
   * expected in lineage and offset; else changes nothing and answers with the position that is there.
   * A new lineage drops all buckets of the one before. Buckets older than `keepFromMs` are dropped.
   */
  commit(
    partition: string,
    change: WindowChange,
    signal: AbortSignal,
  ): Promise<'done' | { readonly conflict: WindowPosition | undefined }>
  /**
   * For each partition asked: its position, and the buckets changed after `since.offset`; all of them where
   * `since` is of another lineage, of a later offset than the position, or undefined.
   */
  changes(
    partitions: ReadonlyMap<string, { lineage: string; offset: number } | undefined>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, WindowState & { readonly whole: boolean }>>
  close(): Promise<void>
}

export interface WindowPosition {
  /** Names one unbroken reading of one partition; another reading of it, or a topic made anew, has another. */
  readonly lineage: string
  /** The next to be read. */
  readonly offset: number
  /** Everything published before this time is counted; within a lineage a store keeps the latest. */
  readonly throughMs: number
  /** What the writer needs to go on as if it had read all before. */
  readonly memo: string
}

export interface WindowState {
  readonly position: WindowPosition
  /** Content by the bucket's start. */
  readonly buckets: ReadonlyMap<number, string>
}

export interface WindowChange {
  readonly expected: { readonly lineage: string; readonly offset: number } | undefined
  readonly next: WindowPosition
  readonly buckets: ReadonlyMap<number, string>
  readonly keepFromMs: number
}

/** What one pod counted in one interval. `instance` names one life of its process. */
export interface PushReport {
  readonly namespace: string
  readonly pod: string
  readonly service: string
  readonly instance: string
  /** Grows by one with each report of an instance; a retry has the number of what it repeats. */
  readonly sequence: number
  readonly startMs: number
  readonly endMs: number
  readonly counts: readonly PushCounts[]
}

export interface PushCounts {
  readonly model: string
  readonly version: string
  readonly requests: number
  readonly errors: number
  /** `counts` has one more than `bounds`, which are in seconds; they are not added up. */
  readonly latency?: {
    readonly bounds: readonly number[]
    readonly counts: readonly number[]
    readonly sumSeconds: number
  }
}

/** `invalid` and `too-old` are for good; `limit` and `unavailable` may go by. */
export type PushOutcome =
  | { readonly outcome: 'accepted' | 'duplicate' }
  | {
      readonly outcome: 'refused'
      readonly reason: 'invalid' | 'too-old' | 'limit' | 'unavailable'
      readonly message: string
    }

/** What one process of a pod measured, by the instruments it has. */
export interface PushMeasurements {
  readonly namespace: string
  readonly pod: string
  /** Tells the processes of a pod apart, and one life of a process from the next; empty where it is not told. */
  readonly process: string
  readonly points: readonly PushPoint[]
  /** Why there are no more of them: what else it sent could be no points of ours. */
  readonly unreadable?: string
}

/** One point of one stream. Its labels are final but for `namespace` and `pod`. */
export interface PushPoint {
  readonly metric: string
  readonly labels: Labels
  /** What the sender calls the stream: two of them must not meet in one series. */
  readonly stream: string
  readonly kind: SampleKind
  /** `none`: the sender says that the stream has ended. */
  readonly value: number | PushHistogram | 'none'
  /** `delta`: start of the interval. Others: when the stream began, where that is told. */
  readonly startMs?: number
  readonly endMs: number
}

/** Stored as `METRIC_bucket{le}`, `METRIC_count` and, where there is a sum, `METRIC_sum`. */
export interface PushHistogram {
  readonly bounds: readonly number[]
  /** One more than `bounds`, not added up. */
  readonly counts: readonly number[]
  readonly sum?: number
}

/** Points that were taken before, and repeated now, are among the `taken`. `refused` says why, and how many. */
export type MeasurementsOutcome =
  | {
      readonly outcome: 'taken'
      readonly taken: number
      readonly refused: ReadonlyMap<string, number>
    }
  | Extract<PushOutcome, { outcome: 'refused' }>

/** Takes reports whose sender is proved. Counts each once, however often it is told. Never throws. */
export interface PushReceiver {
  report(report: PushReport): PushOutcome
  measure(measurements: PushMeasurements): MeasurementsOutcome
}

/** Where a source says that it takes reports; given by the edge that listens for them. */
export interface PushInlet {
  /** The receiver is told until what is given back is called. */
  attach(receiver: PushReceiver): () => void
}

export interface SourceDeps {
  /** The source's name in the configuration; the `source` of its batches. */
  readonly name: string
  readonly clock: Clock
  readonly sink: SampleSink
  readonly secrets: SecretReader
  readonly log: Logger
  readonly discovery?: TargetDiscovery
  /** Window state under this source's name; kept in memory where no store is configured. */
  readonly windows?: WindowStore
  readonly pushed?: PushInlet
}

/**
 * A kind of source. `create` does no I/O and does not throw for what the schema accepted; `run` of what it
 * returns collects until aborted. Adding one is a file here, a line in `registry.ts` and a call of the
 * conformance kit.
 */
export interface SourceType<Config> {
  readonly type: string
  /** One sentence for the documentation. */
  readonly summary: string
  readonly schema: ZodType<Config>
  create(config: Config, deps: SourceDeps): Component
}

/**
 * State of one hold: opaque to all but the stabilizer that made it, of constant size. It goes on into the state
 * that `step` returns, and only that one may be used again.
 */
export interface StabilizerState {
  /** After this it matters no more, should no observation come any more. */
  readonly keepUntilMs: number
}

/**
 * Why a stabilized value is what it is: as observed, held for a window, planned for a forecast, that plan cut by
 * a bound of the user's, or held for the fixed window because the forecast is off.
 */
export type HoldCause = 'observed' | 'window' | 'forecast' | 'bounded' | 'forecast-off'

export interface Stabilized {
  readonly state: StabilizerState
  /** At least `observed`. */
  readonly value: number
  readonly cause: HoldCause
  /** What is expected of the value, where it is forecast. */
  readonly forecast?: Forecast
  /** Present while `value` exceeds `observed`: since when, until when some of it stays as the load is now, and why. */
  readonly hold?: { readonly untilMs: number; readonly fromMs: number; readonly reason: string }
  /** Where less than `value` is to be held for longer than `hold` says: how much, and at least until when. */
  readonly after?: { readonly value: number; readonly untilMs: number }
  /** Present where the hold is left to the HPA's behaviour. */
  readonly window?: BehaviorWindow
}

/** Decides how long a value is held after the load recedes, and how far it leads. No clock, no I/O. */
export interface Stabilizer {
  initial(): StabilizerState
  /** `startMs`: how long a pod takes to start, as far as it is known now; left out, it is as before. */
  step(state: StabilizerState, observed: number, nowMs: number, startMs?: number): Stabilized
  /** The state as JSON can carry it, bit by bit, but for arrays of bytes. */
  save(state: StabilizerState): unknown
  /** Undefined where it is not what `save` of the same policy, version and bounds made. */
  load(saved: unknown): StabilizerState | undefined
}

/** What every edge reads. Reading has no effect, costs no upstream call and never waits. */
export interface SignalReader {
  /** Increases with each evaluation. */
  readonly tick: number
  /** Changes when the set of signals changes. */
  readonly generation: number
  all(): Iterable<SignalReadings>
  /** A signal by its own name, whatever it is exposed as. */
  signal(namespace: string, name: string): SignalReadings | undefined
  external(namespace: string, name: string): SignalReadings | undefined
  /** `resource` is the plural with its group, e.g. `pods` or `deployments.apps`. */
  custom(namespace: string, resource: string, name: string): SignalReadings | undefined
}
