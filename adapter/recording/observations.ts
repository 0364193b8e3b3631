import type { Sample } from '../../src/model.ts'
import { OBSERVED, OBSERVED_DATA, OBSERVED_LEFT_OUT, READINGS } from '../observed.ts'

/** What one look at the adapter's `/metrics` says of a signal. */
export interface Observations {
  /** By the text of the group's labels. */
  readonly groups: ReadonlyMap<string, { readonly value: number; readonly dataMs: number }>
  /** Readings by state. */
  readonly states: ReadonlyMap<string, number>
  /** Groups that are too many to be told of. */
  readonly leftOut: number
}

/** Metrics that are wanted of the adapter. */
export const WANTED: ReadonlySet<string> = new Set([
  OBSERVED,
  OBSERVED_DATA,
  OBSERVED_LEFT_OUT,
  READINGS,
])

/** By `namespace/name` of the signal. */
export function observationsIn(samples: readonly Sample[]): ReadonlyMap<string, Observations> {
  const signals = new Map<string, Draft>()
  for (const { metric, labels, value } of samples) {
    const { namespace, signal, group = '', state } = labels
    if (namespace === undefined || signal === undefined) continue
    const id = `${namespace}/${signal}`
    const known = signals.get(id) ?? draft()
    signals.set(id, known)
    if (metric === READINGS) known.states.set(state ?? '', value)
    else if (metric === OBSERVED_LEFT_OUT) known.leftOut = value
    else if (metric === OBSERVED) known.values.set(group, value)
    else if (metric === OBSERVED_DATA) known.dataMs.set(group, Math.round(value * 1000))
  }
  return new Map([...signals].map(([id, one]) => [id, { ...one, groups: groupsOf(one) }]))
}

interface Draft {
  readonly states: Map<string, number>
  readonly values: Map<string, number>
  readonly dataMs: Map<string, number>
  leftOut: number
}

function draft(): Draft {
  return { states: new Map(), values: new Map(), dataMs: new Map(), leftOut: 0 }
}

/** A value of no known time is no observation. */
function groupsOf({ values, dataMs }: Draft): Observations['groups'] {
  const groups = new Map<string, { value: number; dataMs: number }>()
  for (const [group, value] of values) {
    const at = dataMs.get(group)
    if (at !== undefined) groups.set(group, { value, dataMs: at })
  }
  return groups
}
