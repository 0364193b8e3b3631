import type { Forecast } from '../model.ts'
import type { HoldCause, Stabilized, Stabilizer, StabilizerState } from '../ports.ts'
import { Predictor } from './predictor.ts'
import { SLOT_MS } from './recent.ts'
import { returnsText } from './returns.ts'
import { SlidingMax } from './slidingMax.ts'
import { Slots } from './slots.ts'
import { LONGEST_START_MS, startInForce } from './startUp.ts'
import { readBack, type Walk, written } from './walk.ts'

export interface PredictiveOptions {
  /** From the order of a pod to its service, as long as it is not measured: how far ahead the forecast looks. */
  readonly startDelayMs: number
  /** The value never falls below what was observed in this time. */
  readonly minWindowMs: number
  /** What was observed longer ago than this holds nothing. */
  readonly maxWindowMs: number
  /** The value is at most 1 + this times the largest one observed within the longest window. */
  readonly maxHeadroom: number
  /** Load that one replica serves, where it is known. */
  readonly capacity?: number
}

export const PREDICTIVE_DEFAULTS: PredictiveOptions = {
  startDelayMs: 90_000,
  minWindowMs: 0,
  maxWindowMs: 3600_000,
  maxHeadroom: 4,
}

/** Rules while the forecast is worse than the season alone: the HPA's own default. */
const FALLBACK_WINDOW_MS = 300_000
/** What was learned of a load that went away is kept so long. */
const REMEMBER_MS = 24 * 3600_000

/** Grows with each change of what is learned, or of the order in which it is written. */
const SAVED_VERSION = 3

interface PredictiveState extends StabilizerState {
  keepUntilMs: number
  /** The start-up time that is looked ahead to. */
  startMs: number
  readonly predictor: Predictor
  readonly slots: Slots
  readonly floor: SlidingMax
  readonly ceiling: SlidingMax
  readonly fallback: SlidingMax
  /** When the value in force was reached, and that value. */
  heldFromMs: number
  held: number
  /** What was told of the value in force, until the next slot. */
  told: { readonly cause: HoldCause; readonly count: number; readonly reason: string } | undefined
  /** And of the forecast, with the slot it belongs to. */
  forecast: { readonly count: number; readonly told: Forecast } | undefined
}

/**
 * `predictive` policy: the value follows the plan of a `Predictor`, which holds as long as the load is likely to
 * come back and leads as far as a pod takes to start. Bounds always win: at least the maximum of `minWindow`
 * (and what is observed now), at most `maxHeadroom` above the maximum of `maxWindow`. Ticks may come at any
 * pace; learning happens on slots of 15 s.
 */
export function createPredictiveStabilizer(options: PredictiveOptions): Stabilizer {
  const startMs = Math.min(options.startDelayMs, LONGEST_START_MS)
  const { capacity } = options
  const { minWindowMs, maxWindowMs } = options
  const of = JSON.stringify([
    ...['predictive', SAVED_VERSION, minWindowMs, maxWindowMs],
    ...[options.maxHeadroom, startMs, capacity ?? null],
  ])
  const known = capacity === undefined ? {} : { capacity }
  const begin = (inForceMs: number): PredictiveState => ({
    keepUntilMs: 0,
    startMs: inForceMs,
    predictor: new Predictor({ startSlots: slotsOf(inForceMs), ...known }),
    slots: new Slots(),
    floor: new SlidingMax(minWindowMs),
    ceiling: new SlidingMax(maxWindowMs),
    fallback: new SlidingMax(FALLBACK_WINDOW_MS),
    heldFromMs: 0,
    held: 0,
    told: undefined,
    forecast: undefined,
  })
  return {
    initial: () => begin(startMs),
    save(opaque): SavedPredictive {
      const state = opaque as PredictiveState
      const { told } = state
      const bits = written((walk) => visit(state, walk))
      return { of, startMs: state.startMs, bits, ...(told === undefined ? {} : { told }) }
    },
    load(saved) {
      const {
        of: whose,
        startMs: inForceMs,
        bits,
        told,
      } = (saved ?? {}) as Partial<SavedPredictive>
      if (whose !== of || !(bits instanceof Uint8Array)) return undefined
      if (typeof inForceMs !== 'number' || !(inForceMs > 0 && inForceMs <= LONGEST_START_MS))
        return undefined
      const state = begin(inForceMs)
      if (!readBack(bits, (walk) => visit(state, walk))) return undefined
      state.told = told
      return state
    },
    step(state, observed, nowMs, startsInMs) {
      if (startsInMs !== undefined) lookAhead(state as PredictiveState, startsInMs)
      return step(state as PredictiveState, observed, { nowMs, options })
    },
  }
}

interface SavedPredictive {
  /** Policy, version and options: a state of others means nothing here. */
  readonly of: string
  /** That in force; the arrays in `bits` are as long as it asks for. */
  readonly startMs: number
  readonly bits: Uint8Array
  readonly told?: NonNullable<PredictiveState['told']>
}

function slotsOf(startMs: number): number {
  return Math.ceil(startMs / SLOT_MS)
}

function lookAhead(state: PredictiveState, startMs: number): void {
  const next = startInForce(state.startMs, startMs)
  if (next === state.startMs) return
  state.startMs = next
  state.predictor.startsIn(slotsOf(next))
}

function visit(state: PredictiveState, walk: Walk): void {
  for (const part of [state.predictor, state.slots, state.floor, state.ceiling, state.fallback])
    part.visit(walk)
  state.keepUntilMs = walk.number(state.keepUntilMs)
  state.heldFromMs = walk.number(state.heldFromMs)
  state.held = walk.number(state.held)
}

function step(
  state: PredictiveState,
  observed: number,
  at: { readonly nowMs: number; readonly options: PredictiveOptions },
): Stabilized {
  const { nowMs, options } = at
  const { predictor, slots } = state
  // Loads are not negative; a value that is (a difference, a temperature) is learned as none.
  const load = observed > 0 ? observed : 0
  if (slots.restarts(nowMs)) predictor.restart()
  for (let slot = slots.add(load, nowMs); slot !== undefined; slot = slots.next())
    predictor.push(slot, slots.mean)
  state.keepUntilMs = nowMs + REMEMBER_MS
  const floor = state.floor.push(observed, nowMs)
  const ceiling = state.ceiling.push(observed, nowMs) * (1 + options.maxHeadroom)
  const fallback = state.fallback.push(observed, nowMs)
  const planned = predictor.count === 0 ? observed : predictor.planned
  const wanted = predictor.trusted ? planned : fallback
  const value = Math.max(observed, floor, Math.min(wanted, ceiling))
  // A clock that stepped back leaves no hold that begins later.
  if (value !== state.held || state.heldFromMs > nowMs) {
    state.heldFromMs = nowMs
    state.held = value
  }
  const forecast = forecastOf(state, observed)
  if (value <= observed) return { state, value, forecast, cause: 'observed' }
  const decision = { value, wanted, nowMs, options }
  const cause = causeOf(predictor, decision)
  const hold = explain(state, cause, decision)
  if (cause !== 'window' || wanted <= observed) return { state, value, forecast, cause, hold }
  // The floor is above the plan for a moment; the plan goes on.
  const after = { value: wanted, untilMs: endOf(state, 'forecast', nowMs) }
  return { state, value, forecast, cause, hold, after }
}

/** Made once for each slot: nothing of it changes between. Before the first one, all that is known is the load. */
function forecastOf(state: PredictiveState, observed: number): Forecast {
  const { predictor } = state
  const { count, upper } = predictor
  if (count === 0) return toldBy(predictor, observed)
  if (state.forecast?.count !== count) state.forecast = { count, told: toldBy(predictor, upper) }
  return state.forecast.told
}

function toldBy({ trusted, losses }: Predictor, upper: number): Forecast {
  return { upper, trusted, ...(losses === undefined ? {} : { losses }) }
}

interface Decision {
  readonly value: number
  readonly wanted: number
  readonly nowMs: number
  readonly options: PredictiveOptions
}

function causeOf(predictor: Predictor, { value, wanted }: Decision): HoldCause {
  if (!predictor.trusted) return 'forecast-off'
  if (value > wanted) return 'window'
  return value < wanted ? 'bounded' : 'forecast'
}

/** When the value may fall first, and why it does not now. */
function explain(
  state: PredictiveState,
  cause: HoldCause,
  decision: Decision,
): NonNullable<Stabilized['hold']> {
  const { count } = state.predictor
  // Words are made once for each slot: ticks are more frequent, and cost next to nothing between.
  if (state.told?.cause !== cause || state.told.count !== count)
    state.told = { cause, count, reason: reasonOf(state, cause, decision) }
  const { reason } = state.told
  return { fromMs: state.heldFromMs, untilMs: endOf(state, cause, decision.nowMs), reason }
}

function endOf(state: PredictiveState, cause: HoldCause, nowMs: number): number {
  if (cause === 'forecast-off') return state.fallback.expiresMs(nowMs)
  if (cause === 'window') return state.floor.expiresMs(nowMs)
  const slots = Math.max(1, state.predictor.slotsToRelease)
  return Math.max(nowMs + 1, Math.min(nowMs + slots * SLOT_MS, state.ceiling.expiresMs(nowMs)))
}

function reasonOf(
  { predictor, slots, startMs }: PredictiveState,
  cause: HoldCause,
  { value, options }: Decision,
): string {
  if (cause === 'forecast-off')
    return 'highest value of the last 300 s (forecast off: the same time yesterday, or the load as it is where that is unknown, told more)'
  if (cause === 'window') return `least window of ${options.minWindowMs / 1000} s`
  const aheadS = ((slotsOf(startMs) + 2) * SLOT_MS) / 1000
  const { upper } = predictor
  const returns = predictor.returnsTo(value, slots.newest)
  const before = returns === undefined ? '' : `${returnsText(returns)}; `
  const expected = `${before}at most ${short(upper)} is expected in the next ${aheadS} s (95 %)`
  if (cause === 'bounded')
    return `${expected}; cut at maxHeadroom ${options.maxHeadroom} above the largest of ${options.maxWindowMs / 1000} s`
  if (predictor.usual > 0.5)
    return `${expected}; held for the usual 300 s, as nothing did better lately`
  if (value <= upper * 1.1) return expected
  if (!predictor.experienced) return `${expected}; held above it, as little is known yet`
  return `${expected}; held above it, as earlier releases would have come too soon`
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)))
}
