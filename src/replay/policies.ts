/** The policies of signals under the names that `tideline replay` shows. */
import type { Stabilization } from '../model.ts'
import type { Stabilizer } from '../ports.ts'
import { createPredictiveStabilizer, PREDICTIVE_DEFAULTS } from '../forecast/predictive.ts'
import { createTableStabilizer } from '../forecast/table.ts'
import { createFixedStabilizer } from '../signal/stabilize.ts'
import { createStabilizer } from '../signal/stabilizers.ts'

export type AskedPolicy =
  | { readonly name: 'predictive' | 'table' }
  | { readonly name: 'fixed'; readonly windowMs: number }
  /** What a Signal says, with its bounds. */
  | {
      readonly name: 'signal'
      readonly title: string
      readonly stabilize: Stabilization
      readonly act?: 'behavior'
    }

/** What is known of the pods; a start-up time that is not given is the signal's, or the default. */
export interface KnownPods {
  readonly startDelayMs?: number
  readonly capacity?: number
}

/** The policy asked for comes first, then the others with their defaults. */
export function policiesToReplay(
  asked: AskedPolicy,
  pods: KnownPods,
): { readonly policies: ReadonlyMap<string, () => Stabilizer>; readonly startDelayMs: number } {
  const startDelayMs = pods.startDelayMs ?? startDelayOf(asked)
  const known = {
    startDelayMs,
    ...(pods.capacity === undefined ? {} : { capacity: pods.capacity }),
  }
  const others = new Map<string, () => Stabilizer>([
    ['predictive', () => createPredictiveStabilizer({ ...PREDICTIVE_DEFAULTS, ...known })],
    ['table', () => createTableStabilizer(PREDICTIVE_DEFAULTS)],
    ['fixed:300', () => createFixedStabilizer(300_000)],
  ])
  const policies = new Map<string, () => Stabilizer>()
  if (asked.name === 'signal') {
    const { title, stabilize, act } = asked
    const of = stabilize.policy === 'predictive' ? { ...stabilize, ...known } : stabilize
    policies.set(title, () => createStabilizer(of, act))
  } else if (asked.name === 'fixed') {
    policies.set(`fixed:${asked.windowMs / 1000}`, () => createFixedStabilizer(asked.windowMs))
  } else {
    const create = others.get(asked.name)
    if (create !== undefined) policies.set(asked.name, create)
  }
  for (const [name, create] of others) if (!policies.has(name)) policies.set(name, create)
  return { policies, startDelayMs }
}

function startDelayOf(asked: AskedPolicy): number {
  if (asked.name === 'signal' && asked.stabilize.policy === 'predictive')
    return asked.stabilize.startDelayMs
  return PREDICTIVE_DEFAULTS.startDelayMs
}
