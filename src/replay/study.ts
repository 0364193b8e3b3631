/** A recorded load, each policy's answers to it, and what they would have cost. */
import type { Stabilizer } from '../ports.ts'
import type { Standing } from './compare.ts'
import type { ReplayedRow, TraceRow } from './replay.ts'
import { assumedCapacity, compare, knownOnGrid, onGrid, uncountedOf } from './compare.ts'
import { replay } from './replay.ts'

export interface Study {
  /** Answers of the policy asked for, one for each row. */
  readonly rows: readonly ReplayedRow[]
  /** The HPA's default first, then the policy asked for, then the others; none where the trace is too short. */
  readonly standings: readonly Standing[]
  /** What one replica is taken to serve. */
  readonly capacity: number
}

/** A minute: over less there is nothing that an HPA could do. */
const SYNCS_MIN = 4

/** `policies` begins with the one asked for. Pods start in `startDelayMs`; the metric is 15 s late; SLO: 5 s. */
export function study(
  trace: readonly TraceRow[],
  policies: ReadonlyMap<string, () => Stabilizer>,
  known: { readonly startDelayMs: number; readonly capacity?: number },
  progress: (policy: string) => void,
): Study {
  const load = onGrid(trace)
  const capacity = known.capacity ?? assumedCapacity(load)
  const comparable = load.length >= SYNCS_MIN
  if (comparable && !(capacity > 0))
    throw new RangeError('the recorded load is 0: nothing to compare')
  let answers: readonly ReplayedRow[] = []
  const exposed = new Map<string, Float64Array>()
  for (const [name, create] of policies) {
    progress(name)
    const rows = [...replay(trace, create())]
    if (exposed.size === 0) answers = rows
    exposed.set(
      name,
      knownOnGrid(
        trace,
        rows.map((row) => row.exposed),
      ),
    )
  }
  if (!comparable) return { rows: answers, standings: [], capacity }
  progress('comparing')
  const standings = compare(load, exposed, {
    capacity,
    startDelaySeconds: known.startDelayMs / 1000,
    metricDelaySeconds: 15,
    sloWaitSeconds: 5,
    queueSeconds: 60,
    minReplicas: 1,
    maxReplicas: 200,
    uncounted: uncountedOf(load.length),
  })
  return { rows: answers, standings, capacity }
}
