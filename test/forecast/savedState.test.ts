import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Stabilized, Stabilizer, StabilizerState } from '../../src/ports.ts'
import { createPredictiveStabilizer, PREDICTIVE_DEFAULTS } from '../../src/forecast/predictive.ts'
import { readBack, written } from '../../src/forecast/walk.ts'
import { createTableStabilizer } from '../../src/forecast/table.ts'
import { createBehaviorStabilizer } from '../../src/signal/behaviorWindow.ts'
import { createFixedStabilizer } from '../../src/signal/stabilize.ts'

const BOUNDS = { minWindowMs: 60_000, maxWindowMs: 1800_000 }
const predictive = () => createPredictiveStabilizer({ ...PREDICTIVE_DEFAULTS, ...BOUNDS })
const POLICIES: readonly (readonly [string, () => Stabilizer])[] = [
  ['fixed', () => createFixedStabilizer(300_000)],
  ['table', () => createTableStabilizer(BOUNDS)],
  ['predictive', predictive],
  ['predictive, left to the behaviour', () => createBehaviorStabilizer(predictive())],
]
const START_MS = Date.UTC(2026, 0, 5)
const TICK_MS = 15_000

/** A day's curve with pulses and noise that is the same each time. */
function load(tick: number): number {
  const day = 100 + 60 * Math.sin((tick / 5760) * 2 * Math.PI)
  const pulse = tick % 240 < 12 ? 200 : 0
  return day + pulse + ((tick * 7919) % 101) / 5
}

function run(
  stabilizer: Stabilizer,
  state: StabilizerState,
  ticks: { readonly from: number; readonly to: number; readonly tickMs?: number },
): { readonly state: StabilizerState; readonly steps: readonly Omit<Stabilized, 'state'>[] } {
  const steps: Omit<Stabilized, 'state'>[] = []
  let now = state
  for (let tick = ticks.from; tick < ticks.to; tick++) {
    const nowMs = START_MS + tick * (ticks.tickMs ?? TICK_MS)
    const { state: next, ...step } = stabilizer.step(now, load(tick), nowMs)
    now = next
    steps.push(step)
  }
  return { state: now, steps }
}

/** As through a file. */
function carried(stabilizer: Stabilizer, state: StabilizerState): unknown {
  return structuredClone(stabilizer.save(state))
}

describe.each(POLICIES)('%s', (_name, create) => {
  test('goes on after a restart, bit by bit, as if there had been none', () => {
    const whole = create()
    const unbroken = run(whole, whole.initial(), { from: 0, to: 9000 }).steps
    const before = create()
    const first = run(before, before.initial(), { from: 0, to: 7001 })
    const after = create()
    const state = after.load(carried(before, first.state))
    expect(state).toBeDefined()
    if (state === undefined) return
    const second = run(after, state, { from: 7001, to: 9000 })
    expect([...first.steps, ...second.steps]).toEqual(unbroken)
  })

  test('wherever the restart falls, and at any pace of the ticks', () => {
    const ticks = fc.integer({ min: 0, max: 400 })
    fc.assert(
      fc.property(ticks, fc.constantFrom(1000, 7000, 15_000, 40_000), (cut, tickMs) => {
        const whole = create()
        const unbroken = run(whole, whole.initial(), { from: 0, to: cut + 100, tickMs }).steps
        const first = run(whole, whole.initial(), { from: 0, to: cut, tickMs })
        const after = create()
        const state = after.load(carried(whole, first.state))
        expect(state).toBeDefined()
        if (state === undefined) return
        const second = run(after, state, { from: cut, to: cut + 100, tickMs })
        expect(second.steps).toEqual(unbroken.slice(cut))
      }),
      { numRuns: 20 },
    )
  })

  test('what passed meanwhile is a gap like one without a restart', () => {
    const whole = create()
    const first = run(whole, whole.initial(), { from: 0, to: 3000 })
    const after = create()
    const state = after.load(carried(whole, first.state))
    expect(state).toBeDefined()
    if (state === undefined) return
    const ticks = { from: 3100, to: 3300 }
    expect(run(after, state, ticks).steps).toEqual(run(whole, first.state, ticks).steps)
  })

  test('takes no state of others, and no damaged one', () => {
    const stabilizer = create()
    const { state } = run(stabilizer, stabilizer.initial(), { from: 0, to: 50 })
    const saved = carried(stabilizer, state)
    const others = [
      createFixedStabilizer(299_000),
      createTableStabilizer({ ...BOUNDS, minWindowMs: 61_000 }),
      createPredictiveStabilizer({ ...PREDICTIVE_DEFAULTS, ...BOUNDS, startDelayMs: 30_000 }),
      createBehaviorStabilizer(createFixedStabilizer(299_000)),
    ]
    for (const other of others) expect(other.load(saved)).toBeUndefined()
    for (const junk of [undefined, null, 7, 'x', [], {}])
      expect(stabilizer.load(junk)).toBeUndefined()
  })
})

test('bits that were cut short are not taken', () => {
  const stabilizer = predictive()
  const { state } = run(stabilizer, stabilizer.initial(), { from: 0, to: 50 })
  const saved = carried(stabilizer, state) as { bits: Uint8Array }
  expect(stabilizer.load({ ...saved, bits: saved.bits.slice(0, -300) })).toBeUndefined()
  const longer = Uint8Array.of(...Array<number>(300).fill(0), ...saved.bits)
  expect(stabilizer.load({ ...saved, bits: longer })).toBeUndefined()
})

test('an array that grows comes back as long as it was, and no other way', () => {
  const bytes = (length: number) =>
    written((walk) => {
      walk.length(length, 100)
      walk.array(new Float64Array(length).fill(7))
    })
  const back = (from: Uint8Array) => {
    let values = new Float64Array(8)
    const whole = readBack(from, (walk) => {
      values = new Float64Array(walk.length(values.length, 100))
      walk.array(values)
    })
    return whole ? [...values] : undefined
  }
  for (const length of [8, 9, 100])
    expect(back(bytes(length))).toEqual(Array.from({ length }, () => 7))
  for (const length of [0, 7, 101]) expect(back(bytes(length))).toBeUndefined()
  for (const strange of [NaN, 8.5, -8, Infinity])
    expect(back(written((walk) => void walk.number(strange)))).toBeUndefined()
})

test('what is kept grows with what was learned: an hour takes less than half of a week', () => {
  const stabilizer = predictive()
  const bytesAfter = (ticks: number) => {
    const { state } = run(stabilizer, stabilizer.initial(), { from: 0, to: ticks })
    return (carried(stabilizer, state) as { bits: Uint8Array }).bits.length
  }
  const week = bytesAfter(8 * 5760)
  expect(bytesAfter(240)).toBeLessThan(week / 2)
  expect(week).toBeLessThan(75_000)
})
