import type { MissingPolicy, Reading } from '../model.ts'

/** The last fresh value of a group, kept for declared answers and for people. */
export interface LastKnown {
  readonly value: number
  readonly dataMs: number
}

/**
 * Applies a signal's declared answer to a stale or absent reading. The result is fresh only where a policy
 * says so, and its `why` names the policy and the cause; otherwise the reading comes back as it was.
 */
export function applyMissingPolicy(
  reading: Exclude<Reading, { state: 'fresh' }>,
  policy: MissingPolicy,
  last: LastKnown | undefined,
  nowMs: number,
): Reading {
  const value = declaredAnswer(policy, last, nowMs)
  if (value === undefined) return reading
  return {
    state: 'fresh',
    labels: reading.labels,
    value,
    dataMs: keepsData(policy) && last !== undefined ? last.dataMs : nowMs,
    windowMs: 0,
    why: { ...reading.why, fallback: { policy: policy.answer, cause: reading.cause } },
  }
}

function keepsData(policy: MissingPolicy): boolean {
  return policy.answer === 'hold' || policy.answer === 'decay'
}

function declaredAnswer(
  policy: MissingPolicy,
  last: LastKnown | undefined,
  nowMs: number,
): number | undefined {
  switch (policy.answer) {
    case 'error':
      return undefined
    case 'zero':
      return 0
    case 'value':
      return policy.value
    case 'hold':
      return last !== undefined && ageOf(last, nowMs) <= policy.maxAgeMs ? last.value : undefined
    case 'decay': {
      if (last === undefined) return undefined
      const ageMs = ageOf(last, nowMs)
      return ageMs <= policy.maxAgeMs ? last.value * 0.5 ** (ageMs / policy.halfLifeMs) : undefined
    }
  }
}

/** Data from what is now the future, after a step of the clock, is as doubtful as data from as long ago. */
function ageOf(last: LastKnown, nowMs: number): number {
  return Math.abs(nowMs - last.dataMs)
}
