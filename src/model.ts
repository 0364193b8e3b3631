/**
 * The nouns of the engine. Nothing here imports anything or computes anything; `ports.ts` holds the verbs.
 */

/** Label names to values. An absent label and an empty value mean the same, so empty values are never stored. */
export type Labels = Readonly<Record<string, string>>

/**
 * How a sample's value is to be read:
 * - `gauge`: a level, true at `timestampMs`;
 * - `cumulative`: a counter that only grows and falls to zero when its process restarts;
 * - `delta`: a count that belongs to the interval from `startMs` to `timestampMs`.
 */
export type SampleKind = 'gauge' | 'cumulative' | 'delta'

/** One observation. `timestampMs` is when it was true at its origin, not when it reached us. */
export interface Sample {
  readonly metric: string
  readonly labels: Labels
  readonly kind: SampleKind
  readonly value: number
  readonly timestampMs: number
  /** `delta`: start of the interval. `cumulative`: when the counter began, where the origin tells. */
  readonly startMs?: number
  /**
   * `delta`: the time that its origin told of by now, without gap. What came before `fromMs` is not known; undefined:
   * all is.
   */
  readonly covered?: { readonly fromMs: number; readonly untilMs: number }
}

/** What tells the series of one origin apart. */
export interface SeriesName {
  readonly metric: string
  readonly labels: Labels
}

/**
 * What one collect of one origin brought. An origin (one pod, one Redis, one query) is the unit of staleness:
 * the batch is written whole or not at all, and a series of the origin that is missing from a `complete`
 * batch ends at once.
 */
export interface Batch {
  readonly source: string
  readonly origin: string
  /** When the collect was made. */
  readonly atMs: number
  readonly samples: readonly Sample[]
  /** True where the batch names every series the origin has (a scrape); false for increments (a stream). */
  readonly complete: boolean
  /** Series that the origin says have ended; those of its other series that are not named go on. */
  readonly ended?: readonly SeriesName[]
  /** What a reader of a metric's value should know of how it came to be; replaces those of the batch before. */
  readonly notes?: readonly { readonly metric: string; readonly text: string }[]
}

/** Why the series store did not take a sample. Each is counted by source and reason. */
export type RefusalReason =
  'not-finite' | 'too-old' | 'out-of-order' | 'in-the-future' | 'too-many-series' | 'bad-labels'

/** What became of a batch. `taken + refused` is the number of samples in it. */
export interface WriteResult {
  readonly taken: number
  readonly refused: ReadonlyMap<RefusalReason, number>
}

/** Why a source could not collect. Stable: they appear in logs, metrics, readings and documentation. */
export type FailureCode =
  | 'refused' // nothing listens there
  | 'timeout' // no whole answer in time
  | 'unauthorized' // credentials missing or not accepted
  | 'not-found' // the thing asked for does not exist there
  | 'bad-response' // an answer came and was not what the protocol demands
  | 'wrong-type' // the thing exists and is of another kind than declared
  | 'too-large' // the answer passed a limit
  | 'not-configured' // a reference (secret, certificate) could not be resolved
  | 'unavailable' // the other side says that it cannot answer now

/** How an origin's collects go. `sinceMs` is when this state began. */
export type OriginHealth =
  | { readonly state: 'ok'; readonly sinceMs: number; readonly lastCollectMs: number }
  | {
      readonly state: 'failing'
      readonly sinceMs: number
      readonly code: FailureCode
      readonly message: string
    }

/** A line of history: what one origin says of one metric under one label set. */
export interface Series {
  readonly source: string
  readonly origin: string
  readonly metric: string
  readonly labels: Labels
  readonly kind: SampleKind
  /** Number of points that `pointAt` can give; they are in time order, the oldest first. */
  readonly length: number
  readonly lastMs: number
  timeAt(index: number): number
  valueAt(index: number): number
  /** `cumulative`/`delta`: the sample's `startMs`; NaN where the origin gave none. */
  startAt(index: number): number
  /** `delta`: the time that the samples cover together; undefined where they do not say. */
  readonly covered?: NonNullable<Sample['covered']> | undefined
  /** Index of the first point later than `ms`; `length` if there is none. */
  firstAfter(ms: number): number
}

export type MatchOperator = '=' | '!=' | '=~' | '!~'

export interface Matcher {
  readonly label: string
  readonly operator: MatchOperator
  readonly value: string
}

/** Which series a signal is made of. */
export interface Selection {
  readonly source: string
  readonly metric: string
  readonly matchers: readonly Matcher[]
  /**
   * Label that says whose a series is, and whose the signal may be made of. Series that do not carry it
   * belong to nobody; they are left out and counted as unattributed.
   */
  readonly scope?: { readonly label: string; readonly value: string }
}

export const WINDOW_FUNCTIONS = [
  'last',
  'avg',
  'min',
  'max',
  'rate',
  'increase',
  'quantile',
  'ewma',
  'mean',
] as const
export type WindowFunction = (typeof WINDOW_FUNCTIONS)[number]

export const COMBINE_FUNCTIONS = ['sum', 'avg', 'min', 'max', 'count'] as const
export type CombineFunction = (typeof COMBINE_FUNCTIONS)[number]

/** What a signal answers instead of an error while its reading is stale or absent. */
export type MissingPolicy =
  | { readonly answer: 'error' }
  | { readonly answer: 'zero' }
  | { readonly answer: 'value'; readonly value: number }
  /** The last value, for at most `maxAgeMs` after its data. */
  | { readonly answer: 'hold'; readonly maxAgeMs: number }
  /** The last value, halved every `halfLifeMs`, for at most `maxAgeMs` after its data. */
  | { readonly answer: 'decay'; readonly halfLifeMs: number; readonly maxAgeMs: number }

/** The object a custom metric is told of. `name` is fixed, or read from the group's label `nameLabel`. */
export interface DescribedKind {
  /** Plural with its API group as it appears in a request: `pods`, `deployments.apps`. */
  readonly resource: string
  readonly kind: string
  readonly apiVersion: string
  readonly namespaced: boolean
  readonly name?: string
  readonly nameLabel?: string
}

/** The names under which a signal is served. */
export interface Exposure {
  readonly external?: { readonly name: string }
  readonly custom?: { readonly name: string; readonly on: DescribedKind }
  /** What a KEDA trigger takes where its metadata does not say otherwise. Active above `activation`. */
  readonly keda?: { readonly name: string; readonly target: number; readonly activation: number }
}

/** How a value is held, and led, for the autoscaler. */
export type Stabilization =
  | { readonly policy: 'fixed'; readonly windowMs: number }
  | { readonly policy: 'table'; readonly minWindowMs: number; readonly maxWindowMs: number }
  | {
      readonly policy: 'predictive'
      readonly minWindowMs: number
      readonly maxWindowMs: number
      /** Largest lead over what was observed within the longest window, as a share of it. */
      readonly maxHeadroom: number
      /** From the order of a pod to its service, as long as none was seen. */
      readonly startDelayMs: number
      /** Whose start-ups are measured, in the signal's namespace, and which of them is taken. */
      readonly startUp?: {
        readonly labelSelector: string
        /** Above 0, at most 1. */
        readonly quantile: number
        readonly leastMs: number
        readonly mostMs: number
      }
    }

/** How long a pod takes to start, and how that is known. */
export interface StartUp {
  readonly ms: number
  readonly of: 'measured' | 'configured'
  /** Start-ups that it was measured of. */
  readonly seen: number
  readonly reason: string
}

/** A signal, complete and validated: what the evaluator works on. Made only by `config/`. */
export interface Signal {
  /** `namespace/name`, unique. */
  readonly id: string
  readonly namespace: string
  readonly name: string
  readonly selection: Selection
  readonly window: {
    readonly function: WindowFunction
    readonly durationMs: number
    /** 0 to 1; used by `quantile` alone. */
    readonly quantile: number
  }
  readonly combine: {
    readonly function: CombineFunction
    readonly by: readonly string[]
    /** Least share of a group's series that must be fresh for the group to be fresh; 0 to 1. */
    readonly minCoverage: number
  }
  /** Data older than this is stale. */
  readonly freshForMs: number
  readonly whenStale: MissingPolicy
  readonly whenAbsent: MissingPolicy
  /** Scale-down hold; undefined where the reader's own window does it. */
  readonly stabilize?: Stabilization
  /** `behavior`: values stay as observed, and what is decided is written to the HPA's behaviour instead. */
  readonly act?: 'behavior'
  readonly expose: Exposure
}

/**
 * The scale-down windows of an HPA that come to what was decided for a signal: at least `leastMs`, or too little is
 * held (0 where nothing is); at most `mostMs`, or too much is (undefined: any).
 */
export interface BehaviorWindow {
  readonly leastMs: number
  readonly mostMs?: number
  readonly reason: string
}

/** What is expected of a load, and how well such forecasts did lately. */
export interface Forecast {
  /** Upper quantile (0.95) of the largest load until a pod ordered now would serve. */
  readonly upper: number
  /** False while the same time yesterday does better: the fixed window rules then. */
  readonly trusted: boolean
  /**
   * Mean pinball losses of the recent past, of ln load: this forecast's, and that of the same time yesterday; left out
   * while none was compared with what came.
   */
  readonly losses?: { readonly own: number; readonly seasonal: number }
}

/** Why a reading has the value it has; told to people, logged never. */
export interface Why {
  /** What the window and combine gave, before any hold or fallback. */
  readonly observed?: number
  /** Fresh series in the value, series that are stale, series too young for the window. */
  readonly series: { readonly fresh: number; readonly stale: number; readonly warmingUp: number }
  /** Series that lack the scope's label or one the signal is grouped by, so that they count for nobody. */
  readonly unattributed?: number
  /** What the sources say of how the value came to be, such as an estimate in place of a measurement. */
  readonly notes?: readonly string[]
  readonly hold?: { readonly untilMs: number; readonly fromMs: number; readonly reason: string }
  readonly forecast?: Forecast
  /** What the HPA's behaviour is to be, where the hold is left to it. */
  readonly window?: BehaviorWindow
  /** A declared answer is in force in place of data. */
  readonly fallback?: { readonly policy: MissingPolicy['answer']; readonly cause: string }
}

/** `no-observations`: a latency histogram is there and nothing was observed in the window. */
export type AbsentReason = 'no-series' | 'warming-up' | 'source-failing' | 'no-observations'

/**
 * What is known of one group of a signal at one tick. Zero is a fresh value; no number stands for "don't know".
 * - `fresh`: may be acted on. `dataMs` is the time of the oldest data the value needs (its truth), `windowMs`
 *   the span it was computed over (0 for an instant).
 * - `stale`: there was data and it is older than allowed. `lastValue` is for people, never for an autoscaler.
 * - `absent`: no data in the window.
 */
export type Reading =
  | {
      readonly state: 'fresh'
      readonly labels: Labels
      readonly value: number
      readonly dataMs: number
      readonly windowMs: number
      readonly why: Why
    }
  | {
      readonly state: 'stale'
      readonly labels: Labels
      readonly lastValue: number
      readonly dataMs: number
      readonly ageMs: number
      readonly cause: string
      readonly why: Why
    }
  | {
      readonly state: 'absent'
      readonly labels: Labels
      readonly reason: AbsentReason
      readonly cause: string
      readonly why: Why
    }

/**
 * All readings of one signal at one tick. Never empty: a signal with no group has one absent reading
 * with no labels.
 */
export interface SignalReadings {
  readonly signal: Signal
  readonly evaluatedMs: number
  readonly readings: readonly Reading[]
  /** Where a forecast looks ahead by it. */
  readonly startUp?: StartUp
  /** Why forecasts of it cannot be good. */
  readonly forecastFlaw?: string
}

/** Where a source can be reached; made by discovery or written in the config. */
export interface Target {
  /** Unique among the source's targets; the origin's name. */
  readonly id: string
  readonly url: string
  /** Labels that every sample of this target gets: at least `namespace` and `pod` for a pod. */
  readonly labels: Labels
}
