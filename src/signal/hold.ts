import type { Reading, Signal, StartUp } from '../model.ts'
import type { Stabilizer, StabilizerState } from '../ports.ts'

export type HoldState = Map<string, StabilizerState>

type Fresh = Extract<Reading, { state: 'fresh' }>

/**
 * Holds values after the load recedes. What is told of pods is held on the *total* over them and spread in
 * proportion: when a pod goes away the total stays, so the average that the HPA forms keeps its meaning.
 * Totals are kept apart by every other label of the group. Everything else is held group by group.
 * Readings that stand on no data neither enter a hold nor are changed by one.
 */
export function holdReadings(
  signal: Signal,
  readings: readonly Reading[],
  holds: HoldState,
  at: {
    readonly nowMs: number
    readonly stabilizer: Stabilizer | undefined
    readonly startUp?: StartUp | undefined
  },
): readonly Reading[] {
  const { stabilizer, nowMs, startUp } = at
  if (stabilizer === undefined) return readings
  const onTotal = signal.expose.custom?.on.resource === 'pods'
  const parties = new Map<string, Fresh[]>()
  for (const reading of readings) {
    if (!standsOnData(reading)) continue
    const key = partyKey(reading, onTotal)
    const party = parties.get(key)
    if (party === undefined) parties.set(key, [reading])
    else party.push(reading)
  }
  const held = new Map<Reading, Reading>()
  for (const [key, party] of parties) {
    const total = party.reduce((sum, reading) => sum + reading.value, 0)
    const step = stabilizer.step(holds.get(key) ?? stabilizer.initial(), total, nowMs, startUp?.ms)
    holds.set(key, step.state)
    const { window, forecast, hold } = step
    const told = {
      ...(window === undefined ? {} : { window }),
      ...(forecast === undefined ? {} : { forecast }),
    }
    if (window !== undefined || forecast !== undefined)
      for (const reading of party)
        held.set(reading, { ...reading, why: { ...reading.why, ...told } })
    if (hold === undefined) continue
    const share = proportional(party, step.value / total)
    for (const reading of party) {
      const value = share ? reading.value * (step.value / total) : step.value / party.length
      held.set(reading, { ...reading, value, why: { ...reading.why, ...told, hold } })
    }
  }
  forgetEnded(holds, parties, nowMs)
  return readings.map((reading) => held.get(reading) ?? reading)
}

/** Whether the held total can be spread in proportion; else each gets an even part. */
function proportional(party: readonly Fresh[], factor: number): boolean {
  return Number.isFinite(factor) && party.every((reading) => reading.value >= 0)
}

function standsOnData(reading: Reading): reading is Fresh {
  return reading.state === 'fresh' && reading.why.fallback === undefined
}

function partyKey(reading: Reading, onTotal: boolean): string {
  if (!onTotal) return JSON.stringify(reading.labels)
  const others = Object.entries(reading.labels).filter(([name]) => name !== 'pod')
  return JSON.stringify(others)
}

/** Drops holds that no reading belongs to any more and whose window has passed. */
function forgetEnded(holds: HoldState, present: ReadonlyMap<string, unknown>, nowMs: number): void {
  for (const [key, state] of holds)
    if (!present.has(key) && state.keepUntilMs < nowMs) holds.delete(key)
}
