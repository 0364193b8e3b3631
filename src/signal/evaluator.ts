import type { Signal, SignalReadings } from '../model.ts'
import type { Clock, Component, Logger, SeriesView, Stabilizer, StartUpWatch } from '../ports.ts'
import type { Board } from './board.ts'
import type { SignalState } from './evaluate.ts'
import { DataPace, slowText } from './dataPace.ts'
import { evaluateSignal, initialState } from './evaluate.ts'
import { recallHolds, rememberHolds, rememberedHolds } from './remembered.ts'
import { createStabilizer } from './stabilizers.ts'
import type { StartUps } from './startUps.ts'
import { createStartUps } from './startUps.ts'

export interface EvaluatorDeps {
  readonly clock: Clock
  readonly view: SeriesView & { prune(nowMs: number): void }
  readonly board: Board
  readonly log: Logger
  readonly intervalMs: number
  /** Tells how long pods take to start; without it that is what is configured. */
  readonly startUps?: StartUpWatch
}

export interface EvaluatorCounters {
  /** Ticks that were due while an earlier one was still being computed or the process slept. */
  readonly missedTicks: number
  readonly lastDurationMs: number
}

export interface Evaluator extends Component {
  /** Replaces the signals; what is known of a signal whose definition did not change is kept. */
  setSignals(signals: readonly Signal[]): void
  /** Evaluates every signal at `nowMs` and publishes the readings. */
  tick(nowMs: number): void
  counters(): EvaluatorCounters
  /** Holds in force and what was learned, signal by signal, as JSON and arrays of bytes can carry them. */
  remember(): Iterable<unknown>
  /** Takes what an earlier process told, for the signals that are set after this. */
  recall(entries: readonly unknown[]): void
}

interface Evaluated {
  readonly signal: Signal
  readonly definition: string
  readonly state: SignalState
  readonly stabilizer: Stabilizer | undefined
  readonly pace: DataPace
  /** The forecast was on at the last tick, as far as there is one. */
  trusted: boolean
}

export function createEvaluator(deps: EvaluatorDeps): Evaluator {
  const { clock, view, board, log, intervalMs } = deps
  const startUps = createStartUps({ clock, log, watch: deps.startUps })
  let evaluated: readonly Evaluated[] = []
  let changed = true
  let recalled = rememberedHolds([])
  let missedTicks = 0
  let lastDurationMs = 0

  function tick(nowMs: number): void {
    const startMs = clock.monotonicMs()
    view.prune(nowMs)
    const readings = evaluated.map((one) => tellPace(one, evaluateOne(one, startUps, view, nowMs), log)) // prettier-ignore
    for (const [index, one] of evaluated.entries()) tellGate(one, readings[index], log)
    board.publish(readings, changed)
    changed = false
    lastDurationMs = clock.monotonicMs() - startMs
  }

  return {
    setSignals(signals) {
      const before = new Map(evaluated.map((one) => [one.signal.id, one]))
      evaluated = signals.map((signal) => {
        const one = prepare(signal, before.get(signal.id))
        const { state, definition, stabilizer } = one
        const told = recalled.get(signal.id)
        recalled.delete(signal.id)
        if (told === undefined || stabilizer === undefined) return one
        const into = { holds: state.holds, definition, stabilizer }
        const holds = recallHolds(told, into, { nowMs: clock.nowMs(), log })
        if (holds > 0) log.info('holds-recalled', { signal: signal.id, holds })
        return one
      })
      startUps.setSignals(signals)
      changed = true
    },
    tick,
    *remember() {
      yield* startUps.remember()
      for (const { signal, definition, state, stabilizer } of evaluated)
        if (stabilizer !== undefined)
          yield* rememberHolds({ signal: signal.id, definition }, state.holds, stabilizer)
    },
    recall(entries) {
      recalled = rememberedHolds(entries)
      startUps.recall(entries)
    },
    counters: () => ({ missedTicks, lastDurationMs }),
    async run(signal) {
      const measuring = startUps.run(signal)
      let dueMs = clock.monotonicMs()
      while (!signal.aborted) {
        try {
          tick(clock.nowMs())
        } catch (thrown) {
          // A fault of ours in one tick: the board keeps the last readings' times, and edges see them age.
          log.error('evaluation-failed', { error: thrown })
        }
        dueMs += intervalMs
        const lateMs = clock.monotonicMs() - dueMs
        if (lateMs > 0) {
          const skipped = Math.ceil(lateMs / intervalMs)
          missedTicks += skipped
          dueMs += skipped * intervalMs
        }
        await clock.sleep(dueMs - clock.monotonicMs(), signal)
      }
      await measuring
    },
  }
}

function prepare(signal: Signal, before: Evaluated | undefined): Evaluated {
  const definition = JSON.stringify(signal)
  if (before?.definition === definition) return before
  const { stabilize, act } = signal
  const stabilizer = stabilize === undefined ? undefined : createStabilizer(stabilize, act)
  const pace = new DataPace()
  return { signal, definition, state: initialState(), stabilizer, pace, trusted: true }
}

/** Data that comes too seldom to be forecast is told of in the readings while it does, and once in the log. */
function tellPace({ signal, pace }: Evaluated, told: SignalReadings, log: Logger): SignalReadings {
  if (signal.stabilize?.policy !== 'predictive') return told
  const changed = pace.see(told.readings)
  const { slowMs } = pace
  if (slowMs === undefined) {
    if (changed) log.info('forecast-data-in-time', { signal: signal.id })
    return told
  }
  const forecastFlaw = slowText(slowMs)
  if (changed) log.warn('forecast-data-slow', { signal: signal.id, meaning: forecastFlaw })
  return { ...told, forecastFlaw }
}

/** A forecast that is switched off, or on again, is told once. */
function tellGate(one: Evaluated, told: SignalReadings | undefined, log: Logger): void {
  if (one.signal.stabilize?.policy !== 'predictive') return
  const forecasts = told?.readings.flatMap(({ why }) => (why.forecast === undefined ? [] : [why.forecast])) // prettier-ignore
  if (forecasts === undefined || forecasts.length === 0) return
  const trusted = forecasts.every((forecast) => forecast.trusted)
  if (trusted !== one.trusted)
    log.info(trusted ? 'forecast-on' : 'forecast-off', {
      signal: one.signal.id,
      ...(trusted
        ? {}
        : {
            meaning:
              'worse than the same time yesterday, or than the load as it is where that is unknown: the fixed window rules',
          }),
    })
  one.trusted = trusted
}

function evaluateOne(
  { signal, state, stabilizer }: Evaluated,
  startUps: StartUps,
  view: SeriesView,
  nowMs: number,
): SignalReadings {
  const startUp = startUps.of(signal, nowMs)
  return evaluateSignal(signal, state, view, { nowMs, stabilizer, startUp })
}
