/** A recorded load, driven through a stabilizer under the recording's own clock. */
import type { BehaviorWindow } from '../model.ts'
import type { HoldCause, Stabilizer } from '../ports.ts'

export interface TraceRow {
  /** End of the interval whose mean rate `value` is. */
  readonly seconds: number
  readonly value: number
}

export interface ReplayedRow extends TraceRow {
  readonly exposed: number
  /** The HPA's own window: 0 where the hold is in the value. */
  readonly windowSeconds: number
  readonly forecastUpper: number | undefined
  readonly cause: HoldCause
  /** Why the value is above what was observed; empty where it is not. */
  readonly reason: string
  /** Where the value is held: until then at least some of it is, as the load is now. */
  readonly untilSeconds: number | undefined
}

/** Seconds to write to the HPA, where others are than those `inForceS`; see `adapter/hpa-behavior/decide.ts`. */
export type WindowWriter = (
  window: BehaviorWindow,
  inForceS: number | undefined,
  sinceWriteMs: number,
) => number | undefined

/** What Kubernetes takes while nothing is written. */
const HPA_DEFAULT_S = 300

/** One row out for each row in; no row depends on a later one. */
export function* replay(
  trace: Iterable<TraceRow>,
  stabilizer: Stabilizer,
  write: WindowWriter = () => undefined,
): Generator<ReplayedRow, void, undefined> {
  let state = stabilizer.initial()
  let inForceS: number | undefined
  let writtenMs = -Infinity
  for (const { seconds, value } of trace) {
    const nowMs = seconds * 1000
    const step = stabilizer.step(state, value, nowMs)
    state = step.state
    const { window } = step
    const change = window && write(window, inForceS, nowMs - writtenMs)
    if (change !== undefined) {
      inForceS = change
      writtenMs = nowMs
    }
    yield {
      seconds,
      value,
      exposed: step.value,
      windowSeconds: window === undefined ? 0 : (inForceS ?? HPA_DEFAULT_S),
      forecastUpper: step.forecast?.upper,
      cause: step.cause,
      untilSeconds: step.hold && step.hold.untilMs / 1000,
      reason: (step.hold ?? window)?.reason ?? '',
    }
  }
}
