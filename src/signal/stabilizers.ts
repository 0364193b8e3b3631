import type { Stabilization } from '../model.ts'
import type { Stabilizer } from '../ports.ts'
import { createPredictiveStabilizer } from '../forecast/predictive.ts'
import { createTableStabilizer } from '../forecast/table.ts'
import { createBehaviorStabilizer } from './behaviorWindow.ts'
import { createFixedStabilizer } from './stabilize.ts'

/** The stabilizer that a signal asks for. */
export function createStabilizer(stabilization: Stabilization, act?: 'behavior'): Stabilizer {
  const policy = createPolicy(stabilization)
  return act === 'behavior' ? createBehaviorStabilizer(policy) : policy
}

function createPolicy(stabilization: Stabilization): Stabilizer {
  switch (stabilization.policy) {
    case 'fixed':
      return createFixedStabilizer(stabilization.windowMs)
    case 'table':
      return createTableStabilizer(stabilization)
    case 'predictive':
      return createPredictiveStabilizer(stabilization)
  }
}
