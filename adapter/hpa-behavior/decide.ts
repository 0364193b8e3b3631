import type { BehaviorWindow, SignalReadings } from '../../src/model.ts'

/** Limits of autoscaling/v2. */
const WINDOW_MAX_S = 3600
const PERIOD_MAX_S = 1800
/** A window that was raised and is too short again is raised at least so far, to write less often. */
const GROWTH = 1.25

export interface DecideOptions {
  readonly restingMs: number
  readonly minChange: number
  readonly minStepMs: number
  readonly intervalMs: number
}

/**
 * The windows that hold what was decided for each group of a signal; `undefined` where that is not known of all of
 * them. Where groups differ the longer hold wins.
 */
export function windowOf(found: SignalReadings): BehaviorWindow | undefined {
  let all: BehaviorWindow | undefined
  for (const { state, why } of found.readings) {
    const { window, fallback } = why
    if (state !== 'fresh' || fallback !== undefined || window === undefined) return undefined
    if (all === undefined || window.leastMs > all.leastMs) {
      const mostMs = longer(all, window)
      all = { leastMs: window.leastMs, reason: window.reason, ...(mostMs === undefined ? {} : { mostMs }) } // prettier-ignore
    }
  }
  return all
}

function longer(one: BehaviorWindow | undefined, other: BehaviorWindow): number | undefined {
  if (one === undefined || other.mostMs === undefined) return other.mostMs
  return one.mostMs === undefined ? undefined : Math.max(one.mostMs, other.mostMs)
}

/**
 * Seconds to write, or undefined where what is in force will do: it makes the HPA hold what was decided, or the
 * change down is too small, or the last write too recent. A change up is never too small, but at least as large as
 * one down must be. `inForceS` is what this adapter wrote, undefined where nothing.
 */
export function secondsToWrite(
  window: BehaviorWindow,
  inForceS: number | undefined,
  { sinceWriteMs, ...options }: DecideOptions & { readonly sinceWriteMs: number },
): number | undefined {
  const restingS = Math.ceil(options.restingMs / 1000)
  const least = Math.min(WINDOW_MAX_S, Math.ceil(window.leastMs / 1000))
  const most = Math.min(WINDOW_MAX_S, mostOf(window, least, options))
  if (inForceS !== undefined && inForceS >= least && inForceS <= most) return undefined
  const aim = Math.min(Math.max(restingS, least), most)
  if (inForceS === undefined) return aim
  const minS = Math.max(options.minStepMs / 1000, options.minChange * inForceS)
  const raised = inForceS > restingS ? inForceS * GROWTH : 0
  const wanted =
    inForceS < least ? Math.min(most, Math.ceil(Math.max(aim, inForceS + minS, raised))) : aim
  if (wanted <= inForceS && inForceS - wanted < minS) return undefined
  return sinceWriteMs < options.intervalMs ? undefined : wanted
}

/**
 * Most seconds that will do. Where no window does, as every one that holds enough holds a higher peak too, the least grows
 * from second to second for as long as that is so: some room above it saves a write each time.
 */
function mostOf(window: BehaviorWindow, least: number, { minStepMs }: DecideOptions): number {
  const most = Math.floor((window.mostMs ?? Infinity) / 1000)
  if (most >= least) return most
  return Math.ceil(Math.max(least * GROWTH, least + minStepMs / 1000))
}

export interface Policy {
  readonly type: string
  readonly value: number
  readonly periodSeconds: number
}

/** What Kubernetes takes where nothing is said. */
export const DEFAULT_POLICIES: readonly Policy[] = [
  { type: 'Percent', value: 100, periodSeconds: 15 },
]

/** The same steps, as much slower or faster as the window is longer or shorter than the resting one. */
export function scaledPolicies(
  policies: readonly Policy[],
  windowS: number,
  restingMs: number,
): readonly Policy[] {
  const factor = restingMs === 0 ? 1 : windowS / (restingMs / 1000)
  return policies.map((policy) => ({
    ...policy,
    periodSeconds: Math.min(PERIOD_MAX_S, Math.max(1, Math.round(policy.periodSeconds * factor))),
  }))
}
