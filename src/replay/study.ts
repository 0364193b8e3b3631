/** A recorded load, each policy's answers to it, and what they would have cost. */
import type { Stabilizer } from '../ports.ts'
import type { Answers, Standing } from './compare.ts'
import type { Gap } from './gaps.ts'
import type { ReplayedRow, TraceRow, WindowWriter } from './replay.ts'
import {
  assumedCapacity,
  compare,
  countedOf,
  knownOnGrid,
  onGrid,
  unknownOnGrid,
} from './compare.ts'
import { bridged, firstInterval, GAP_S, gapsIn } from './gaps.ts'
import { replay } from './replay.ts'

export interface Study {
  /** Answers of the policy asked for, one for each row. */
  readonly rows: readonly ReplayedRow[]
  /** The HPA's default first, then the policy asked for, then the others. */
  readonly standings: readonly Standing[]
  /** Why there are no standings. */
  readonly incomparable?: string
  /** What one replica is taken to serve. */
  readonly capacity: number
  /** Times of which nothing is known; they are not counted. */
  readonly gaps: readonly Gap[]
}

/** A minute: over less there is nothing that an HPA could do. */
const SYNCS_MIN = 4

/** `policies` begins with the one asked for. Pods start in `startDelayMs`; the metric is 15 s late; SLO: 5 s. */
export function study(
  trace: readonly TraceRow[],
  policies: ReadonlyMap<string, () => Stabilizer>,
  known: {
    readonly startDelayMs: number
    readonly capacity?: number
    readonly write?: WindowWriter
  },
  progress: (policy: string) => void,
): Study {
  const gaps = gapsIn(trace)
  const interval = firstInterval(trace)
  if (interval > GAP_S)
    progress(
      `rows are ${interval} s apart: more than ${GAP_S} s is a gap to the forecast, which then learns little; take a step of 15 s to 60 s`,
    )
  const load = onGrid(bridged(trace, gaps))
  const unknown = unknownOnGrid(trace, gaps)
  const capacity = known.capacity ?? assumedCapacity(load.filter((_, k) => unknown[k] !== 1))
  const counted = countedOf(unknown)
  const incomparable =
    load.length < SYNCS_MIN || !counted.includes(1)
      ? 'too short a time is known to compare'
      : capacity > 0
        ? undefined
        : 'the load is hardly ever above 0: nothing to compare'
  let answers: readonly ReplayedRow[] = []
  const answered = new Map<string, Answers>()
  for (const [name, create] of policies) {
    progress(name)
    const rows = [...replay(trace, create(), known.write)]
    if (answered.size === 0) answers = rows
    const onSyncs = (of: (row: ReplayedRow) => number) => knownOnGrid(trace, rows.map(of))
    answered.set(name, {
      exposed: onSyncs((row) => row.exposed),
      windowSeconds: onSyncs((row) => row.windowSeconds),
    })
  }
  if (incomparable !== undefined)
    return { rows: answers, standings: [], incomparable, capacity, gaps }
  progress('comparing')
  const standings = compare(load, answered, {
    capacity,
    startDelaySeconds: known.startDelayMs / 1000,
    metricDelaySeconds: 15,
    sloWaitSeconds: 5,
    queueSeconds: 60,
    minReplicas: 1,
    maxReplicas: 200,
    counted,
  })
  return { rows: answers, standings, capacity, gaps }
}
