import type { BehaviorWindow } from '../model.ts'
import type { Stabilized, Stabilizer, StabilizerState } from '../ports.ts'

/** Loads this close are one: it bounds what is remembered to one point for each percent of a fall. */
const SAME = 1.01
/** Within this, an HPA does nothing (its default tolerance is 0.1). */
const TOLERANCE = 1.1
/** The API's longest window. */
const LONGEST_MS = 3600_000

interface Peak {
  readonly value: number
  /** When there was last so much. */
  readonly atMs: number
}

interface BehaviorState extends StabilizerState {
  readonly inner: StabilizerState
  /** Falling in value, rising in time: the newest time at which there was so much or more. */
  readonly peaks: readonly Peak[]
}

/** What it is, and its version: a state of others means nothing here. */
const OF = 'behavior 1'

interface SavedBehavior {
  readonly of: string
  readonly inner: unknown
  readonly peaks: readonly Peak[]
  readonly keepUntilMs: number
}

/**
 * Lets another stabilizer decide and leaves the value as observed; what was decided is told as the window that
 * makes an HPA, which holds the largest of the observed, come to the same. Where the plan is above all that was
 * observed, no window can do that, and it is the one that holds the largest.
 */
export function createBehaviorStabilizer(inner: Stabilizer): Stabilizer {
  return {
    initial: (): BehaviorState => ({ inner: inner.initial(), peaks: [], keepUntilMs: 0 }),
    save(opaque): SavedBehavior {
      const { inner: state, peaks, keepUntilMs } = opaque as BehaviorState
      return { of: OF, inner: inner.save(state), peaks, keepUntilMs }
    },
    load(saved) {
      const { of, inner: within, peaks, keepUntilMs } = (saved ?? {}) as Partial<SavedBehavior>
      if (of !== OF || typeof keepUntilMs !== 'number' || !Array.isArray(peaks)) return undefined
      const state = inner.load(within)
      if (state === undefined) return undefined
      return { inner: state, peaks, keepUntilMs } satisfies BehaviorState as StabilizerState
    },
    step(opaque, observed, nowMs, startMs): Stabilized {
      const state = opaque as BehaviorState
      const decided = inner.step(state.inner, observed, nowMs, startMs)
      const peaks = remember(state.peaks, observed > 0 ? observed : 0, nowMs)
      const keepUntilMs = Math.max(decided.state.keepUntilMs, nowMs + LONGEST_MS)
      const next: BehaviorState = { inner: decided.state, peaks, keepUntilMs }
      const window = windowOf(peaks, decided, nowMs)
      const { forecast } = decided
      const told = forecast === undefined ? {} : { forecast }
      return { state: next, value: observed, cause: 'observed', window, ...told }
    },
  }
}

function remember(peaks: readonly Peak[], value: number, nowMs: number): readonly Peak[] {
  const kept = peaks.filter(
    (peak) => peak.value > value && peak.atMs > nowMs - LONGEST_MS && peak.atMs <= nowMs,
  )
  const lowest = kept.at(-1)
  if (lowest === undefined || lowest.value > value * SAME) kept.push({ value, atMs: nowMs })
  else kept[kept.length - 1] = { value: lowest.value, atMs: nowMs }
  return kept
}

function windowOf(peaks: readonly Peak[], decided: Stabilized, nowMs: number): BehaviorWindow {
  const { value, hold, after } = decided
  /** When there was last so much; where there never was, when there was most. */
  const newest = (level: number) =>
    (peaks.findLast((peak) => peak.value * SAME >= level) ?? peaks[0])?.atMs ?? nowMs
  const above = peaks.findLast((peak) => peak.value > value * TOLERANCE)
  const most = above === undefined ? {} : { mostMs: nowMs - above.atMs }
  if (hold === undefined) return { leastMs: 0, ...most, reason: 'nothing is held' }
  const holds = [{ value, untilMs: hold.untilMs }, ...(after === undefined ? [] : [after])]
  const leastMs = Math.max(0, ...holds.map(({ value: held, untilMs }) => untilMs - newest(held)))
  return { leastMs, ...most, reason: hold.reason }
}
