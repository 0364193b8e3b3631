import type { Stabilized, Stabilizer, StabilizerState } from '../ports.ts'

interface FixedState extends StabilizerState {
  readonly points: readonly { readonly atMs: number; readonly value: number }[]
}

interface SavedFixed extends FixedState {
  /** Policy, version and window: a state of others means nothing here. */
  readonly of: string
}

const EMPTY: FixedState = { keepUntilMs: 0, points: [] }

/**
 * `fixed` policy: the value served is the maximum observed in the last `windowMs`, as the HPA's own
 * `stabilizationWindowSeconds` does for recommendations. The state is a monotonic queue: values strictly
 * decrease from the front, so the front is the maximum and each point is kept only while it could become it.
 */
export function createFixedStabilizer(windowMs: number): Stabilizer {
  const of = `fixed 1 ${windowMs}`
  return {
    initial: () => EMPTY,
    save: (state): SavedFixed => ({ of, ...(state as FixedState) }),
    load(saved) {
      const { of: whose, keepUntilMs, points } = (saved ?? {}) as Partial<SavedFixed>
      if (whose !== of || typeof keepUntilMs !== 'number' || !Array.isArray(points))
        return undefined
      return { keepUntilMs, points } satisfies FixedState as StabilizerState
    },
    step(state, observed, nowMs): Stabilized {
      const points = (state as FixedState).points.filter(
        (point) => point.atMs > nowMs - windowMs && point.atMs <= nowMs && point.value > observed,
      )
      points.push({ atMs: nowMs, value: observed })
      const next: FixedState = { keepUntilMs: nowMs + windowMs, points }
      const peak = points[0]
      if (peak === undefined || peak.value <= observed)
        return { state: next, value: observed, cause: 'observed' }
      return {
        state: next,
        value: peak.value,
        cause: 'window',
        hold: {
          fromMs: peak.atMs,
          untilMs: peak.atMs + windowMs,
          reason: `highest value of the last ${windowMs / 1000} s (fixed window)`,
        },
      }
    },
  }
}
