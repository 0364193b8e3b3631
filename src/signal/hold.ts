import type { Reading, StartUp } from '../model.ts'
import type { Stabilizer, StabilizerState } from '../ports.ts'
import { forgetDeparted } from './departed.ts'
import type { Party } from './groups.ts'

export type HoldState = Map<string, StabilizerState>

type Fresh = Extract<Reading, { state: 'fresh' }>

/**
 * Holds values after the load recedes, for each of the `parties` as one. What is told of pods is held on the *total*
 * over them and spread in proportion (evenly where some are negative, or all 0): when a pod goes away the total stays,
 * so the average that the HPA forms keeps its meaning. Readings that stand on no data neither enter a hold nor are changed by one.
 */
export function holdReadings(
  readings: readonly Reading[],
  parties: readonly Party[],
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
  let begun = 0
  for (const { key, members } of parties) {
    const { total, count, negative } = sumOf(readings, members)
    // A sum beyond what a number can hold is none: nothing is known of it.
    if (count === 0 || !Number.isFinite(total)) continue
    const known = holds.get(key)
    if (known === undefined) begun += 1
    const before = known ?? stabilizer.initial()
    const { state, value, window, forecast, hold } = stabilizer.step(
      before,
      total,
      nowMs,
      startUp?.ms,
    )
    holds.set(key, state)
    if (window === undefined && forecast === undefined && hold === undefined) continue
    const told = {
      ...(window === undefined ? {} : { window }),
      ...(forecast === undefined ? {} : { forecast }),
      ...(hold === undefined ? {} : { hold }),
    }
    const factor = value / total
    const proportional = Number.isFinite(factor) && !negative
    for (const member of members) {
      const reading = readings[member]
      if (reading === undefined || !standsOnData(reading)) continue
      const part = proportional ? reading.value * factor : reading.value + (value - total) / count
      const own =
        hold === undefined
          ? reading.value
          : Math.max(reading.value, Math.min(part, Number.MAX_VALUE))
      held[member] = { ...reading, value: own, why: { ...reading.why, ...told } }
    }
  }
  forgetEnded(holds, nowMs)
  if (begun > 0)
    forgetDeparted(holds, new Set(parties.map(({ key }) => key)), (one) => one.keepUntilMs)
  return held
}

function sumOf(readings: readonly Reading[], members: readonly number[]) {
  let total = 0
  let count = 0
  let negative = false
  for (const member of members) {
    const reading = readings[member]
    if (reading === undefined || !standsOnData(reading)) continue
    total += reading.value
    count += 1
    if (reading.value < 0) negative = true
  }
  return { total, count, negative }
}

function standsOnData(reading: Reading): reading is Fresh {
  return reading.state === 'fresh' && reading.why.fallback === undefined
}

/** Drops holds whose window has passed; one that a reading belongs to now is of use from now on. */
function forgetEnded(holds: HoldState, nowMs: number): void {
  for (const [key, state] of holds) if (state.keepUntilMs < nowMs) holds.delete(key)
}
