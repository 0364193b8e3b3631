import type { SignalReadings } from '../src/model.ts'

/** Names under which the adapter tells what its signals observe, and `tideline record` asks for it. */
export const OBSERVED = 'tideline_signal_observed'
export const OBSERVED_DATA = 'tideline_signal_observed_data_seconds'
export const OBSERVED_LEFT_OUT = 'tideline_signal_observed_left_out'
export const READINGS = 'tideline_readings'

/** Groups of one signal that are told of; a signal with more tells of none, and that it does not. */
const GROUPS_MAX = 100

export interface Observed {
  /** The labels that keep it apart, by name: `class=person,zone=a`; empty where there are none. */
  readonly group: string
  /** Before any hold or declared answer. */
  readonly value: number
  /** Time of the oldest data that it stands on. */
  readonly dataMs: number
}

/**
 * What a signal observes, kept apart as its holds are: what is told of pods as the total over them, all else group
 * by group. A total that lacks a pod's part is left out: it would be too low.
 */
export function observedOf({ signal, readings }: SignalReadings): {
  readonly observed: readonly Observed[]
  readonly leftOut: number
} {
  const onTotal = signal.expose.custom?.on.resource === 'pods'
  const found = new Map<string, Observed | undefined>()
  for (const reading of readings) {
    const group = groupText(reading.labels, onTotal)
    const { observed } = reading.why
    const fresh = reading.state === 'fresh' && reading.why.fallback === undefined
    if (!fresh || observed === undefined) found.set(group, undefined)
    else if (!found.has(group)) found.set(group, { group, value: observed, dataMs: reading.dataMs })
    else {
      const before = found.get(group)
      if (before === undefined) continue
      const dataMs = Math.min(before.dataMs, reading.dataMs)
      found.set(group, { group, value: before.value + observed, dataMs })
    }
  }
  if (found.size > GROUPS_MAX) return { observed: [], leftOut: found.size }
  return { observed: [...found.values()].filter((one) => one !== undefined), leftOut: 0 }
}

function groupText(labels: Readonly<Record<string, string>>, onTotal: boolean): string {
  return Object.entries(labels)
    .filter(([name]) => !onTotal || name !== 'pod')
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${/[",=]/.test(value) ? JSON.stringify(value) : value}`)
    .join(',')
}
