import type { Stabilization } from '../model.ts'
import type { Mistake } from './compile.ts'
import type { SignalSpec } from './signalSchema.ts'
import { PREDICTIVE_DEFAULTS } from '../forecast/predictive.ts'
import { LONGEST_START_MS } from '../forecast/startUp.ts'

type Spec = NonNullable<SignalSpec['stabilize']>

const LONGEST_WINDOW_MS = 24 * 3600_000
const BOUNDS = ['minWindow', 'maxWindow', 'maxHeadroom', 'startDelay'] as const
const OF_PREDICTIVE = ['maxHeadroom', 'startDelay'] as const

function policyOf({ policy, window }: Spec): Stabilization['policy'] {
  return policy ?? (window === undefined ? 'predictive' : 'fixed')
}

/** What contradicts itself in a `stabilize` block. */
export function stabilizationMistakes(spec: Spec): Mistake[] {
  const mistakes: Mistake[] = []
  const wrong = (field: keyof Spec, mend: string) =>
    mistakes.push({ path: ['stabilize', field], mend })
  const policy = policyOf(spec)
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
  return mistakes
}

export function compileStabilization(spec: Spec): Stabilization {
  const policy = policyOf(spec)
  switch (policy) {
    case 'fixed':
      return { policy, windowMs: spec.window ?? 0 }
    case 'table':
      return { policy, ...boundsOf(spec) }
    case 'predictive':
      return {
        policy,
        ...boundsOf(spec),
        maxHeadroom: spec.maxHeadroom ?? PREDICTIVE_DEFAULTS.maxHeadroom,
        startDelayMs: spec.startDelay ?? PREDICTIVE_DEFAULTS.startDelayMs,
      }
  }
}

function boundsOf({ minWindow, maxWindow }: Spec) {
  return {
    minWindowMs: minWindow ?? PREDICTIVE_DEFAULTS.minWindowMs,
    maxWindowMs: maxWindow ?? PREDICTIVE_DEFAULTS.maxWindowMs,
  }
}
