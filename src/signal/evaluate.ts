/**
 * One signal at one tick: series → window → combine → freshness → declared answer → hold → readings.
 * A function of (state, series, now): it reads no clock and makes no call.
 */
import type {
  Labels,
  OriginHealth,
  Reading,
  Signal,
  SignalReadings,
  StartUp,
  Why,
} from '../model.ts'
import { secondsText } from '../duration.ts'
import type { SeriesView, Stabilizer } from '../ports.ts'
import type { Group, Grouping } from './groups.ts'
import type { HoldState } from './hold.ts'
import type { LastKnown } from './missing.ts'
import type { Observed } from './observe.ts'
import { forgetDeparted } from './departed.ts'
import { groupSeries, selectionsOf, selectSeries } from './groups.ts'
import { holdReadings } from './hold.ts'
import { applyMissingPolicy } from './missing.ts'
import { notesOn } from './notes.ts'
import { isStale, observe } from './observe.ts'

/** What one signal keeps from tick to tick. */
export interface SignalState {
  generation: number
  grouping: Grouping
  /** Last fresh value of each group, by group key. */
  readonly last: Map<string, LastKnown>
  /** Holds in force, by the key of what is held together. */
  readonly holds: HoldState
}

export function initialState(): SignalState {
  return {
    generation: -1,
    grouping: { groups: [], parties: [], unattributed: 0 },
    last: new Map(),
    holds: new Map(),
  }
}

export interface Moment {
  readonly nowMs: number
  readonly stabilizer: Stabilizer | undefined
  /** How long the pods behind the signal take to start; left out, what the stabilizer takes it to be. */
  readonly startUp?: StartUp | undefined
}

export function evaluateSignal(
  signal: Signal,
  state: SignalState,
  view: SeriesView,
  at: Moment,
): SignalReadings {
  const { nowMs, stabilizer, startUp } = at
  if (state.generation !== view.generation) regroup(signal, state, view, nowMs)
  const { groups, parties, unattributed } = state.grouping
  const silent = silentTargets(signal, view)
  const { source, metric } = signal.selection
  const notes = view.notes(source, metric)
  const readings: Reading[] = []
  for (const group of groups) {
    const observed = observe(signal, group, nowMs)
    readings.push(
      settle(signal, state, view, { group, observed, unattributed, silent, notes, nowMs }),
    )
  }
  if (readings.length === 0) readings.push(absentSignal(signal, state, view, nowMs))
  const held =
    stabilizer === undefined ? readings : holdReadings(readings, parties, state.holds, at)
  const looked = startUp === undefined ? {} : { startUp }
  return { signal, evaluatedMs: nowMs, readings: held, ...looked }
}

function regroup(signal: Signal, state: SignalState, view: SeriesView, nowMs: number): void {
  state.grouping = groupSeries(signal, selectSeries(signal, view))
  state.generation = view.generation
  const present = new Set(state.grouping.groups.map((group) => group.key))
  for (const [key, last] of state.last) {
    if (!present.has(key) && nowMs - last.dataMs > LAST_KNOWN_MAX_MS) state.last.delete(key)
  }
  if ([...present].some((key) => !state.last.has(key)))
    forgetDeparted(state.last, present, ({ dataMs }) => dataMs)
}

/** How long the last value of a vanished group is remembered for `hold` and `decay` answers. */
const LAST_KNOWN_MAX_MS = 24 * 3600_000

interface Seen {
  readonly group: Group
  readonly observed: Observed
  readonly unattributed: number
  /** Targets that nothing is known of. */
  readonly silent: readonly string[]
  /** What origins say of the metric. */
  readonly notes: ReturnType<SeriesView['notes']>
  readonly nowMs: number
}

/** From what was observed to a reading, with the signal's declared answer where there is no data. */
function settle(signal: Signal, state: SignalState, view: SeriesView, seen: Seen): Reading {
  const { group, observed, nowMs } = seen
  const { labels, key } = group
  const { fresh, stale, warmingUp } = observed.counts
  // Pods that join are no gap in what is known; but where nothing was known yet, as after a start of ours, a
  // sum over the few that are quickest would be too low.
  const { interrupted } = observed
  const young = state.last.has(key) ? interrupted : warmingUp
  const silent = silentSeries(group, seen.silent.length)
  const parts = fresh + stale + young + silent
  const covered = fresh > 0 && fresh >= signal.combine.minCoverage * parts
  const why = whyOf(seen)
  if (covered && observed.value !== undefined && Number.isFinite(observed.value)) {
    state.last.set(key, { value: observed.value, dataMs: observed.dataMs })
    const windowMs = signal.window.function === 'last' ? 0 : signal.window.durationMs
    return { state: 'fresh', labels, value: observed.value, dataMs: observed.dataMs, windowMs, why }
  }
  const last = state.last.get(key)
  if (covered) {
    const cause = valueless(signal, observed)
    const reading = { state: 'absent', labels, reason: 'no-observations', cause, why } as const
    return applyMissingPolicy(reading, signal.whenAbsent, last, nowMs)
  }
  const isMissed = stale + silent + interrupted > 0
  const cause = isMissed
    ? staleCause(signal, view, seen)
    : `the window of ${secondsText(signal.window.durationMs)} holds too few points yet`
  if (isMissed && last !== undefined) {
    const { value: lastValue, dataMs } = last
    const ageMs = nowMs - dataMs
    const reading = { state: 'stale', labels, lastValue, dataMs, ageMs, cause, why } as const
    return applyMissingPolicy(reading, signal.whenStale, last, nowMs)
  }
  const reading = { state: 'absent', labels, reason: 'warming-up', cause, why } as const
  return applyMissingPolicy(reading, signal.whenAbsent, last, nowMs)
}

/** Why there is no number although there is enough data. */
function valueless({ window }: Signal, { value, flaw }: Observed): string {
  if (value !== undefined) return 'the value is beyond what a number can hold'
  return flaw ?? `nothing was observed within the window of ${secondsText(window.durationMs)}`
}

function whyOf({ observed, unattributed, notes, group }: Seen): Why {
  const texts = notes === undefined ? undefined : notesOn(group.series, notes)
  return {
    ...(observed.value === undefined ? {} : { observed: observed.value }),
    series: observed.counts,
    ...(unattributed === 0 ? {} : { unattributed }),
    ...(texts === undefined ? {} : { notes: texts }),
  }
}

/** Parts of a group that nothing is known of; how many series each target has is guessed from those that do. */
function silentSeries({ series }: Group, targets: number): number {
  if (targets === 0) return 0
  const origins = new Set(series.map((one) => one.origin)).size
  return targets * (series.length / Math.max(1, origins))
}

/**
 * Pods of the signal's namespace that fail and never answered. Groups that are a pod each lack nothing by them,
 * and origins that are no pods or targets (a key, a query) need not have anything to do with the signal.
 */
function silentTargets(signal: Signal, view: SeriesView): readonly string[] {
  const { scope, source } = signal.selection
  if (scope === undefined || signal.combine.by.includes('pod')) return []
  const isTarget = (origin: string) =>
    origin.includes('://') || origin.startsWith(`${scope.value}/`)
  const silent = selectionsOf(signal).flatMap((one) => view.silentOrigins(source, one))
  return [...new Set(silent)].filter(isTarget)
}

function staleCause(signal: Signal, view: SeriesView, seen: Seen): string {
  const { group, observed, silent, nowMs } = seen
  const { counts, interrupted } = observed
  const { stale, fresh } = counts
  const origins = view.origins(signal.selection.source)
  const late = new Set(
    group.series.filter((one) => isStale(one, signal, nowMs)).map((one) => one.origin),
  )
  const old = `${stale} of ${stale + fresh} series older than ${secondsText(signal.freshForMs)}`
  const heads = [
    ...(stale > 0 ? [old] : []),
    ...(silent.length > 0 ? [`${silent.length} targets never answered`] : []),
    ...(interrupted > 0 ? [`${interrupted} series lost what they told, and warm up again`] : []),
  ]
  const failures = [...late, ...silent].map((origin) => failureText(origin, origins.get(origin)))
  const told = failures.filter((text) => text !== undefined)
  const head = heads.join(', ')
  return told.length === 0 ? head : `${head}: ${summarise(told)}`
}

/** The reading of a signal that has no group at all. */
function absentSignal(
  signal: Signal,
  state: SignalState,
  view: SeriesView,
  nowMs: number,
): Reading {
  const { source, metric, matchers, scope } = signal.selection
  const failing = [...view.origins(source)]
    .filter(([origin]) => scope === undefined || concerns(scope.value, origin))
    .map(([origin, health]) => failureText(origin, health))
    .filter((text) => text !== undefined)
  const { unattributed } = state.grouping
  const owner = scope === undefined ? [] : [{ ...scope, operator: '=' as const }]
  const conditions = [...owner, ...matchers]
  const selector = conditions.map((one) => `${one.label}${one.operator}"${one.value}"`).join(',')
  const none = `source ${source} has no series ${metric}{${selector}}`
  const demanded = [...new Set([...owner.map((one) => one.label), ...signal.combine.by])]
  const lacking = `${unattributed} series of ${metric} lack a label of [${demanded.join(', ')}]`
  const what = unattributed > 0 ? lacking : none
  const reading = {
    state: 'absent',
    labels: NO_LABELS,
    reason: failing.length > 0 ? 'source-failing' : 'no-series',
    cause: failing.length > 0 ? `${what}; ${summarise(failing)}` : what,
    why: {
      series: { fresh: 0, stale: 0, warmingUp: 0 },
      ...(unattributed === 0 ? {} : { unattributed }),
    },
  } as const
  const last = state.last.get(JSON.stringify(NO_LABELS))
  return applyMissingPolicy(reading, signal.whenAbsent, last, nowMs)
}

/** Origins of pods are `namespace/pod`; what happens to pods of others is told to nobody. */
function concerns(namespace: string, origin: string): boolean {
  return !/^[^/:]+\//.test(origin) || origin.startsWith(`${namespace}/`)
}

const NO_LABELS: Labels = Object.freeze({})

function failureText(origin: string, health: OriginHealth | undefined): string | undefined {
  return health?.state === 'failing' ? `${origin}: ${health.code}: ${health.message}` : undefined
}

/** The first few of many, so that one message stays readable in an HPA's conditions. */
function summarise(texts: readonly string[]): string {
  const shown = texts.slice(0, 3).join('; ')
  return texts.length > 3 ? `${shown}; and ${texts.length - 3} more` : shown
}
