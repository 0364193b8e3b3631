import type { Reading, StartUp } from '../model.ts'
import type { Stabilizer, StabilizerState } from '../ports.ts'
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
  if (begun > 0) forgetSurplus(holds, parties)
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

/** So many that are there no more are remembered, or as many as are there. */
const DEPARTED_MAX = 1000

/**
 * Where ever new groups come, those that went first are forgotten. Without new ones none is: a source that fails, and
 * takes all of them away, brings them back.
 */
function forgetSurplus(holds: HoldState, parties: readonly Party[]): void {
  const most = Math.max(DEPARTED_MAX, parties.length)
  if (holds.size - parties.length <= most) return
  const present = new Set(parties.map(({ key }) => key))
  const departed = [...holds].filter(([key]) => !present.has(key))
  departed.sort(([, a], [, b]) => a.keepUntilMs - b.keepUntilMs)
  for (const [key] of departed.slice(0, Math.max(0, departed.length - most))) holds.delete(key)
}
