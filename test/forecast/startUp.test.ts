/** A start-up time that turns out to be another one: what was learned stays, and bounds go on to hold. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Stabilized, Stabilizer, StabilizerState } from '../../src/ports.ts'
import { createPredictiveStabilizer, PREDICTIVE_DEFAULTS } from '../../src/forecast/predictive.ts'
import { LONGEST_START_MS, resizedRing, startInForce } from '../../src/forecast/startUp.ts'
import { createBehaviorStabilizer } from '../../src/signal/behaviorWindow.ts'
import { DAY, flat, hourlyPulse } from './loads.ts'

const BEGIN_MS = 1_700_000_010_000
const SLOT_MS = 15_000
const predictive = () => createPredictiveStabilizer(PREDICTIVE_DEFAULTS)

/** `starts`: from which slot on a start-up takes so many seconds. */
type Starts = readonly (readonly [fromSlot: number, seconds: number])[]

function run(
  stabilizer: Stabilizer,
  load: readonly number[],
  starts: Starts = [],
  from: { readonly slot: number; readonly state?: StabilizerState } = { slot: 0 },
): { readonly steps: Stabilized[]; readonly state: StabilizerState } {
  let state = from.state ?? stabilizer.initial()
  const steps = load.slice(from.slot).map((value, i) => {
    const slot = from.slot + i
    const seconds = starts.findLast(([fromSlot]) => fromSlot <= slot)?.[1]
    const startMs = seconds === undefined ? undefined : seconds * 1000
    const step = stabilizer.step(state, value, BEGIN_MS + slot * SLOT_MS, startMs)
    state = step.state
    return step
  })
  return { steps, state }
}

describe('the start-up time in force', () => {
  test.each([
    ['the same', 90, 90, 90],
    ['a little more', 90, 92, 90],
    ['a fifth more', 90, 108, 90],
    ['more than a fifth', 90, 109, 120],
    ['less than a fifth below', 90, 73, 90],
    ['half', 90, 45, 45],
    ['another one within its slot', 30, 16, 30],
    ['one slot less', 30, 15, 15],
    ['none', 30, 0, 15],
    ['more than is looked ahead to', 90, 5000, 900],
    ['a configured one that is no whole slot', 100, 100, 100],
  ])('%s: %d s, and then %d s, is %d s', (_name, before, seconds, after) => {
    expect(startInForce(before * 1000, seconds * 1000)).toBe(after * 1000)
  })

  test('what is no time changes nothing', () => {
    for (const startMs of [NaN, -1, -Infinity]) expect(startInForce(90_000, startMs)).toBe(90_000)
  })

  test('it is a whole number of slots, and settles at once', () => {
    const times = fc.array(fc.integer({ min: 0, max: 2_000_000 }), { minLength: 1 })
    fc.assert(
      fc.property(times, (all) => {
        let inForceMs = PREDICTIVE_DEFAULTS.startDelayMs
        for (const startMs of all) {
          inForceMs = startInForce(inForceMs, startMs)
          expect(inForceMs % SLOT_MS).toBe(0)
          expect(inForceMs).toBeGreaterThan(0)
          expect(inForceMs).toBeLessThanOrEqual(LONGEST_START_MS)
          expect(startInForce(inForceMs, startMs)).toBe(inForceMs)
        }
      }),
    )
  })
})

test('a ring of another length ends with the same values', () => {
  const lengths = fc.integer({ min: 1, max: 12 })
  fc.assert(
    fc.property(lengths, lengths, fc.nat(40), (length, next, count) => {
      const ring = new Float64Array(length)
      for (let i = 0; i < count; i++) ring[i % length] = i + 1
      const resized = resizedRing(ring, count, next)
      expect(resized).toHaveLength(next)
      const kept = Math.min(length, next, count)
      for (let i = count - kept; i < count; i++) expect(resized[i % next]).toBe(i + 1)
      if (count >= length)
        for (const value of resized) expect(value).toBeGreaterThanOrEqual(count - length + 1)
    }),
  )
})

describe('another start-up time', () => {
  const CHANGE = 2 * DAY + 60

  test.each([
    [90, 300],
    [90, 15],
    [300, 90],
  ])('%d s, then %d s: what was learned of pulses stays', (before, after) => {
    const load = hourlyPulse(3 * DAY, 10, 80)
    const { steps } = run(predictive(), load, [[0, before], [CHANGE, after]]) // prettier-ignore
    const unbroken = run(predictive(), load, [[0, after]]).steps
    const fresh = run(predictive(), load, [[CHANGE, after]], { slot: CHANGE }).steps
    const paid = (all: readonly Stabilized[]) =>
      all.slice(-DAY / 2).reduce((sum, { value }) => sum + value, 0)
    expect(paid(steps) / paid(unbroken)).toBeGreaterThan(0.95)
    expect(paid(steps) / paid(unbroken)).toBeLessThan(1.05)
    // In the two hours after the change, it is nearer to one that never knew another than to one that begins.
    const apart = (all: readonly Stabilized[], from: number) =>
      all.slice(from, from + 480).reduce((sum, { value }, i) => {
        const other = unbroken[CHANGE + i]?.value ?? NaN
        return sum + Math.abs(Math.log(value / other))
      }, 0)
    expect(apart(steps, CHANGE)).toBeLessThan(0.7 * apart(fresh, 0))
  })

  test('a flat load makes no jump of it', () => {
    const load = flat(2 * DAY, 100, 7)
    const at = DAY + 7
    for (const seconds of [15, 45, 200, 900]) {
      const changed = run(predictive(), load, [[at, seconds]]).steps
      const unbroken = run(predictive(), load).steps
      expect(changed.slice(0, at).map(({ value }) => value)).toEqual(
        unbroken.slice(0, at).map(({ value }) => value),
      )
      for (let i = at; i < at + 8; i++) {
        const share = changed[i]!.value / unbroken[i]!.value
        expect(share).toBeGreaterThan(0.9)
        expect(share).toBeLessThan(1.15)
      }
    }
  })

  test('words name what is looked ahead to now', () => {
    const load = [...flat(300, 100, 8), ...Array.from({ length: 20 }, () => 20)]
    const { steps } = run(predictive(), load, [[200, 160]])
    expect(steps.at(-1)?.hold?.reason).toContain('in the next 195 s (95 %)')
  })

  const loads = fc.array(fc.oneof(fc.constantFrom(0, 1e-9, 1e9), fc.double({ min: 0, max: 1e4, noNaN: true })), { minLength: 2, maxLength: 300 }) // prettier-ignore
  const changes = fc.array(fc.tuple(fc.nat(300), fc.integer({ min: 0, max: 1200 })), {
    maxLength: 8,
  })

  test('whenever it changes, the value is finite and never below what is observed', () => {
    fc.assert(
      fc.property(loads, changes, (load, unsorted) => {
        const starts = unsorted.toSorted(([a], [b]) => a - b)
        for (const [i, { value }] of run(predictive(), load, starts).steps.entries()) {
          expect(Number.isFinite(value)).toBe(true)
          expect(value).toBeGreaterThanOrEqual(load[i]!)
        }
      }),
    )
  })

  test('over a restart it goes on with the one in force, bit by bit, whatever is configured', () => {
    const policies = [predictive, () => createBehaviorStabilizer(predictive())]
    fc.assert(
      fc.property(loads, changes, fc.nat(300), (load, unsorted, cut) => {
        const starts = unsorted.toSorted(([a], [b]) => a - b)
        const at = Math.min(cut, load.length)
        for (const create of policies) {
          const whole = run(create(), load, starts).steps.map(({ state: _, ...step }) => step)
          const first = run(create(), load.slice(0, at), starts)
          const after = create()
          const state = after.load(structuredClone(create().save(first.state)))
          expect(state).toBeDefined()
          if (state === undefined) return
          const later = starts.filter(([slot]) => slot >= at)
          const second = run(after, load, later, { slot: at, state })
          expect(second.steps.map(({ state: _, ...step }) => step)).toEqual(whole.slice(at))
        }
      }),
      { numRuns: 30 },
    )
  })

  test('a saved one that cannot be is not taken', () => {
    const saved = predictive().save(run(predictive(), flat(50, 5, 1)).state) as object
    expect(predictive().load(saved)).toBeDefined()
    for (const startMs of [0, -15_000, NaN, '90000', undefined, 1e9, 105_000])
      expect(predictive().load({ ...saved, startMs })).toBeUndefined()
  })

  test('the state does not grow with the number of changes', () => {
    const load = flat(400, 50, 9)
    const starts = Array.from({ length: 40 }, (_, i) => [i * 10, i % 2 === 0 ? 15 : 900] as const)
    const size = (given: Starts) =>
      (predictive().save(run(predictive(), load, given).state) as { bits: Uint8Array }).bits.length
    expect(size([...starts, [399, 90]])).toBeLessThan(size([[0, 90]]) + 100)
  })
})
