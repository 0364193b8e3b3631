import type { Stabilized, Stabilizer, StabilizerState } from '../ports.ts'
import { type Line, Recent } from './recent.ts'
import { SlidingMax } from './slidingMax.ts'
import { Slots } from './slots.ts'
import { readBack, type Walk, written } from './walk.ts'

export interface TableOptions {
  readonly minWindowMs: number
  readonly maxWindowMs: number
}

/** Ten minutes, in slots. */
const FIT_SLOTS = 40
const SLOTS_A_MINUTE = 4
/** A one-minute peak so many times the mean of the ten minutes makes another pulse likely. */
const PULSE = 1.5

/** What the last ten minutes look like. */
export interface Shape {
  /** Change a minute, as a share of the mean. */
  readonly slope: number
  /** Standard deviation around the fitted line, as a share of the mean. */
  readonly fluctuation: number
  readonly pulseRisk: boolean
}

/**
 * The published table. Confidence is 1 − fluctuation; the rules are read from the top, so that where several
 * fit the longer window is taken.
 */
export function tableWindow({ slope, fluctuation, pulseRisk }: Shape): {
  readonly seconds: 60 | 120 | 300 | 480
  readonly rule: string
} {
  const confidence = 1 - fluctuation
  const percent = (slope * 100).toFixed(1)
  if (slope <= -0.05 && confidence >= 0.92)
    return { seconds: 480, rule: `steady decline of ${percent} %/min` }
  if (slope <= -0.05 && slope >= -0.15 && confidence >= 0.85)
    return { seconds: 300, rule: `decline of ${percent} %/min` }
  if (pulseRisk) return { seconds: 120, rule: 'risk of a pulse' }
  return { seconds: 60, rule: `${percent} %/min, fluctuation ${(fluctuation * 100).toFixed(0)} %` }
}

/** Grows with each change of what is written. */
const SAVED_VERSION = 2

interface TableState extends StabilizerState {
  keepUntilMs: number
  readonly slots: Slots
  readonly recent: Recent
  readonly line: Line
  readonly maxima: ReadonlyMap<number, SlidingMax>
  chosen: ReturnType<typeof tableWindow>
}

const FIRST = { slope: 0, fluctuation: 0, pulseRisk: false }

/**
 * `table` policy: the window of the published table, decided anew with each slot of 15 s. It is here for those
 * who ask for it by name; on recorded loads it does worse than a fixed 300 s (docs/forecasting.md).
 */
export function createTableStabilizer({ minWindowMs, maxWindowMs }: TableOptions): Stabilizer {
  const bounded = (seconds: number) => Math.min(Math.max(seconds * 1000, minWindowMs), maxWindowMs)
  const windows = [60, 120, 300, 480]
  const of = JSON.stringify(['table', SAVED_VERSION, minWindowMs, maxWindowMs])
  const initial = (): TableState => ({
    keepUntilMs: 0,
    slots: new Slots(),
    recent: new Recent(),
    line: { level: 0, slope: 0, mean: 0, explained: 0, residual: 0 },
    maxima: new Map(windows.map((seconds) => [seconds, new SlidingMax(bounded(seconds))])),
    chosen: tableWindow(FIRST),
  })
  return {
    initial,
    save(opaque): SavedTable {
      const state = opaque as TableState
      return { of, bits: written((walk) => visit(state, walk)), chosen: state.chosen }
    },
    load(saved) {
      const { of: whose, bits, chosen } = (saved ?? {}) as Partial<SavedTable>
      if (whose !== of || !(bits instanceof Uint8Array) || chosen === undefined) return undefined
      const state = initial()
      if (!readBack(bits, (walk) => visit(state, walk))) return undefined
      state.chosen = chosen
      return state
    },
    step(opaque, observed, nowMs): Stabilized {
      const state = opaque as TableState
      look(state, observed, nowMs)
      state.keepUntilMs = nowMs + bounded(480)
      const { seconds, rule } = state.chosen
      let value = observed
      let untilMs = nowMs
      for (const [window, maximum] of state.maxima) {
        const max = maximum.push(observed, nowMs)
        if (window !== seconds) continue
        value = Math.max(observed, max)
        untilMs = maximum.expiresMs(nowMs)
      }
      if (value <= observed) return { state, value: observed, cause: 'observed' }
      const windowMs = bounded(seconds)
      const reason = `highest value of the last ${windowMs / 1000} s (table: ${rule})`
      // Points are told by the end of their slot, which may lie ahead.
      const hold = { fromMs: Math.min(nowMs, untilMs - windowMs), untilMs, reason }
      return { state, value, cause: 'window', hold }
    },
  }
}

interface SavedTable {
  /** Policy, version and bounds: a state of others means nothing here. */
  readonly of: string
  readonly bits: Uint8Array
  readonly chosen: TableState['chosen']
}

function visit(state: TableState, walk: Walk): void {
  for (const part of [state.slots, state.recent, ...state.maxima.values()]) part.visit(walk)
  state.keepUntilMs = walk.number(state.keepUntilMs)
}

function look(state: TableState, observed: number, nowMs: number): void {
  const { slots, recent, line } = state
  if (slots.restarts(nowMs)) recent.restart()
  for (let slot = slots.add(observed, nowMs); slot !== undefined; slot = slots.next()) {
    recent.push(slots.mean)
    if (recent.count < 3) continue
    recent.fit(FIT_SLOTS, line)
    const mean = Math.max(Math.abs(line.mean), 1e-9)
    const slope = (line.slope * SLOTS_A_MINUTE) / mean
    const pulseRisk = recent.max(FIT_SLOTS) > PULSE * mean
    state.chosen = tableWindow({ slope, fluctuation: line.residual / mean, pulseRisk })
  }
}
