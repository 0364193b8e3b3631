import type { Reading, StartUp } from '../model.ts'
import type { Stabilizer, StabilizerState } from '../ports.ts'
import type { Group } from './groups.ts'

export type HoldState = Map<string, StabilizerState>

type Fresh = Extract<Reading, { state: 'fresh' }>

/**
 * Holds values after the load recedes; `groups` are those that `readings` are of. What is told of pods is held on
 * the *total* over them and spread in proportion: when a pod goes away the total stays, so the average that the HPA
 * forms keeps its meaning. Totals are kept apart by every other label of the group. Everything else is held group
 * by group. Readings that stand on no data neither enter a hold nor are changed by one.
 */
export function holdReadings(
  readings: readonly Reading[],
  groups: readonly Group[],
  holds: HoldState,
  at: {
    readonly nowMs: number
    readonly stabilizer: Stabilizer | undefined
    readonly startUp?: StartUp | undefined
  },
): readonly Reading[] {
  const { stabilizer, nowMs, startUp } = at
  if (stabilizer === undefined) return readings
  const held = [...readings]
  const parties = partiesOf(readings, groups)
  for (const [key, party] of parties) {
    const total = party.reduce((sum, { reading }) => sum + reading.value, 0)
    const step = stabilizer.step(holds.get(key) ?? stabilizer.initial(), total, nowMs, startUp?.ms)
    holds.set(key, step.state)
    const { window, forecast, hold } = step
    if (window === undefined && forecast === undefined && hold === undefined) continue
    const told = {
      ...(window === undefined ? {} : { window }),
      ...(forecast === undefined ? {} : { forecast }),
      ...(hold === undefined ? {} : { hold }),
    }
    const spread = hold === undefined ? () => undefined : spreadOver(party, step.value, total)
    for (const { at: index, reading } of party) {
      const value = spread(reading.value) ?? reading.value
      held[index] = { ...reading, value, why: { ...reading.why, ...told } }
    }
  }
  forgetEnded(holds, parties, nowMs)
  return held
}

/** Readings that are held together, each with its place among all. */
type Party = { readonly at: number; readonly reading: Fresh }[]

function partiesOf(
  readings: readonly Reading[],
  groups: readonly Group[],
): ReadonlyMap<string, Party> {
  const parties = new Map<string, Party>()
  for (let at = 0; at < readings.length; at++) {
    const reading = readings[at]
    const key = groups[at]?.heldAs
    if (key === undefined || reading === undefined || !standsOnData(reading)) continue
    const party = parties.get(key)
    if (party === undefined) parties.set(key, [{ at, reading }])
    else party.push({ at, reading })
  }
  return parties
}

/** In proportion, or, where that is not possible, an even part for each. */
function spreadOver(party: Party, value: number, total: number): (own: number) => number {
  const factor = value / total
  const proportional = Number.isFinite(factor) && party.every(({ reading }) => reading.value >= 0)
  return (own) => (proportional ? own * factor : value / party.length)
}

function standsOnData(reading: Reading): reading is Fresh {
  return reading.state === 'fresh' && reading.why.fallback === undefined
}

/** Drops holds that no reading belongs to any more and whose window has passed. */
function forgetEnded(holds: HoldState, present: ReadonlyMap<string, unknown>, nowMs: number): void {
  for (const [key, state] of holds)
    if (!present.has(key) && state.keepUntilMs < nowMs) holds.delete(key)
}
