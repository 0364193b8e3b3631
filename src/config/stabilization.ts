import type { Stabilization } from '../model.ts'
import type { Mistake } from './compile.ts'
import type { SignalSpec } from './signalSchema.ts'
import { PREDICTIVE_DEFAULTS } from '../forecast/predictive.ts'
import { LONGEST_START_MS } from '../forecast/startUp.ts'

type Spec = NonNullable<SignalSpec['stabilize']>
type StartUpSpec = NonNullable<Spec['startUp']>

const LONGEST_WINDOW_MS = 24 * 3600_000
const OF_PREDICTIVE = ['maxHeadroom', 'startDelay', 'startUp'] as const
const BOUNDS = ['minWindow', 'maxWindow', ...OF_PREDICTIVE] as const

function policyOf({ policy, window }: Spec): NonNullable<Spec['policy']> {
  return policy ?? (window === undefined ? 'predictive' : 'fixed')
}

/** What contradicts itself in a `stabilize` block. */
export function stabilizationMistakes(spec: Spec): Mistake[] {
  const mistakes: Mistake[] = []
  const wrong = (field: keyof Spec, mend: string) =>
    mistakes.push({ path: ['stabilize', field], mend })
  const policy = policyOf(spec)
  // One word switches it off: what else is there may stay until it is on again.
  if (policy === 'none') return []
  if (policy === 'fixed' && spec.window === undefined)
    wrong('window', 'say how long the fixed window is, such as 300s')
  if (policy !== 'fixed' && spec.window !== undefined)
    wrong('window', `is for fixed alone: for ${policy} give minWindow and maxWindow`)
  const foreign = policy === 'fixed' ? BOUNDS : policy === 'table' ? OF_PREDICTIVE : []
  for (const field of foreign)
    if (spec[field] !== undefined) wrong(field, `means nothing to the policy ${policy}`)
  const { minWindowMs, maxWindowMs } = boundsOf(spec)
  if (maxWindowMs > LONGEST_WINDOW_MS) wrong('maxWindow', 'must be 24h or less')
  if (minWindowMs > maxWindowMs) wrong('minWindow', 'must not be longer than maxWindow')
  if ((spec.startDelay ?? 0) > LONGEST_START_MS) wrong('startDelay', 'must be 15m or less')
  if (spec.startUp !== undefined) mistakes.push(...startUpMistakes(spec.startUp, spec.startDelay))
  return mistakes
}

function startUpMistakes(spec: StartUpSpec, startDelay: number | undefined): Mistake[] {
  const { leastMs, mostMs } = startUpBoundsOf(spec)
  const wrong = (path: readonly string[], mend: string) => ({ path: ['stabilize', ...path], mend })
  if (mostMs > LONGEST_START_MS) return [wrong(['startUp', 'max'], 'must be 15m or less')]
  if (leastMs > mostMs) return [wrong(['startUp', 'min'], 'must not be longer than max, or 15m')]
  if (startDelay !== undefined && (startDelay < leastMs || startDelay > mostMs))
    return [wrong(['startDelay'], 'must lie within startUp.min and startUp.max')]
  return []
}

/** Undefined where nothing is to be held. `startUpsOf`: the pods whose start-ups are to be measured; undefined where it is not known which. */
export function compileStabilization(spec: Spec, startUpsOf?: string): Stabilization | undefined {
  const policy = policyOf(spec)
  switch (policy) {
    case 'none':
      return undefined
    case 'fixed':
      return { policy, windowMs: spec.window ?? 0 }
    case 'table':
      return { policy, ...boundsOf(spec) }
    case 'predictive':
      return {
        policy,
        ...boundsOf(spec),
        maxHeadroom: spec.maxHeadroom ?? PREDICTIVE_DEFAULTS.maxHeadroom,
        startDelayMs: startDelayOf(spec),
        ...(spec.startUp === undefined || startUpsOf === undefined
          ? {}
          : { startUp: compileStartUp(spec.startUp, startUpsOf) }),
      }
  }
}

/** The default, too, keeps to the bounds. */
function startDelayOf({ startDelay, startUp }: Spec): number {
  const { leastMs, mostMs } = startUpBoundsOf(startUp ?? {})
  return startDelay ?? Math.min(Math.max(PREDICTIVE_DEFAULTS.startDelayMs, leastMs), mostMs)
}

function compileStartUp({ quantile, ...bounds }: StartUpSpec, labelSelector: string) {
  return { labelSelector, quantile, ...startUpBoundsOf(bounds) }
}

function startUpBoundsOf({ min = 0, max = LONGEST_START_MS }: Pick<StartUpSpec, 'min' | 'max'>) {
  return { leastMs: min, mostMs: max }
}

function boundsOf({ minWindow, maxWindow }: Spec) {
  return {
    minWindowMs: minWindow ?? PREDICTIVE_DEFAULTS.minWindowMs,
    maxWindowMs: maxWindow ?? PREDICTIVE_DEFAULTS.maxWindowMs,
  }
}
