/** What must hold of every policy, whatever comes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Stabilization } from '../../src/model.ts'
import { createStabilizer } from '../../src/signal/stabilizers.ts'

const BEGIN_MS = 1_700_000_010_000

const bounds = fc
  .record({
    minWindowMs: fc.integer({ min: 0, max: 600_000 }),
    more: fc.integer({ min: 0, max: 7_200_000 }),
    maxHeadroom: fc.double({ min: 0, max: 5, noNaN: true }),
    startDelayMs: fc.integer({ min: 1000, max: 900_000 }),
  })
  .map(({ more, ...rest }) => ({ ...rest, maxWindowMs: rest.minWindowMs + more }))

const policies: fc.Arbitrary<Stabilization> = fc.oneof(
  bounds.map((all) => ({ policy: 'predictive', ...all }) as const),
  bounds.map(({ minWindowMs, maxWindowMs }) => ({ policy: 'table', minWindowMs, maxWindowMs }) as const), // prettier-ignore
  bounds.map(({ minWindowMs }) => ({ policy: 'fixed', windowMs: minWindowMs + 1 }) as const),
)

const anything = fc.oneof(
  fc.double({ min: 0, max: 1e6, noNaN: true }),
  fc.constantFrom(0, 1e-12, 1e-300, 5e-324, 1e15, 1e300, Number.MAX_VALUE, -5, -1e300),
)

interface Wait {
  readonly waitMs: number
  readonly value: number
}

const within = (min: number, max: number) => fc.integer({ min, max })
/** A clock that mostly goes on, and sometimes back or far ahead. */
const odd = fc.oneof(
  { weight: 30, arbitrary: within(1, 60_000) },
  { weight: 2, arbitrary: within(-3_600_000, 0) },
  { weight: 1, arbitrary: within(60_000, 40 * 86_400_000) },
)
const stepsOf = (waitMs: fc.Arbitrary<number>, value: fc.Arbitrary<number>) =>
  fc.array(fc.record({ waitMs, value }), { minLength: 1, maxLength: 300 })

function* run(policy: Stabilization, steps: readonly Wait[]) {
  const stabilizer = createStabilizer(policy)
  let state = stabilizer.initial()
  let nowMs = BEGIN_MS
  for (const { waitMs, value: observed } of steps) {
    nowMs += waitMs
    const told = stabilizer.step(state, observed, nowMs)
    state = told.state
    yield { nowMs, observed, told }
  }
}

test('a value is a number, and no lower than what is observed; a hold has begun and has not ended', () => {
  fc.assert(
    fc.property(policies, stepsOf(odd, anything), (policy, steps) => {
      for (const { nowMs, observed, told } of run(policy, steps)) {
        const { value, hold, forecast, cause } = told
        expect(Number.isFinite(value)).toBe(true)
        expect(value).toBeGreaterThanOrEqual(observed)
        expect(cause === 'observed').toBe(value === observed)
        expect(hold === undefined).toBe(value === observed)
        expect(hold?.fromMs ?? nowMs).toBeLessThanOrEqual(nowMs)
        expect(hold?.untilMs ?? Infinity).toBeGreaterThan(nowMs)
        expect(hold?.reason ?? '').not.toMatch(/NaN|undefined|Infinity/)
        expect(Number.isFinite(forecast?.upper ?? 0)).toBe(true)
        expect(Number.isFinite(forecast?.losses?.own ?? 0)).toBe(true)
      }
    }),
    { numRuns: 300 },
  )
})

test('bounds win', () => {
  const steps = stepsOf(within(1, 60_000), fc.double({ min: 0, max: 1e6, noNaN: true }))
  fc.assert(
    fc.property(bounds, steps, (options, all) => {
      const seen: { readonly nowMs: number; readonly observed: number }[] = []
      for (const { nowMs, observed, told } of run({ policy: 'predictive', ...options }, all)) {
        seen.push({ nowMs, observed })
        const most = (ms: number) =>
          Math.max(...seen.filter((one) => one.nowMs > nowMs - ms).map((one) => one.observed))
        const least = Math.max(most(options.minWindowMs), observed)
        expect(told.value).toBeGreaterThanOrEqual(least)
        // What was observed within 15 s counts as one, at the end of them.
        const [floor, ceiling] = [options.minWindowMs, options.maxWindowMs].map((ms) => most(ms + 15_001)) // prettier-ignore
        const highest = Math.max(floor ?? 0, (ceiling ?? 0) * (1 + options.maxHeadroom))
        expect(told.value).toBeLessThanOrEqual(highest * (1 + 1e-9))
      }
    }),
    { numRuns: 200 },
  )
})

test('a load in other units is held alike', () => {
  const steps = stepsOf(within(1, 60_000), fc.double({ min: 1, max: 1e6, noNaN: true }))
  fc.assert(
    fc.property(policies, steps, fc.constantFrom(1e-3, 8, 1000), (policy, all, unit) => {
      const others = all.map(({ waitMs, value }) => ({ waitMs, value: value * unit }))
      const told = [...run(policy, others)]
      for (const [i, { told: one }] of [...run(policy, all)].entries())
        // The season is kept in steps of 0.1 %, and a release may come a slot later by it.
        expect((told[i]?.told.value ?? 0) / (one.value * unit)).toBeCloseTo(1, 1)
    }),
    { numRuns: 100 },
  )
})

test('the same tick twice, and a state that was saved between, change nothing', () => {
  fc.assert(
    fc.property(policies, stepsOf(odd, anything), fc.nat(), (policy, steps, cut) => {
      const stabilizer = createStabilizer(policy)
      let one = stabilizer.initial()
      let other = stabilizer.initial()
      let nowMs = BEGIN_MS
      for (const [i, { waitMs, value }] of steps.entries()) {
        nowMs += waitMs
        if (i === cut % steps.length) {
          const saved: unknown = structuredClone(stabilizer.save(other))
          other = stabilizer.load(saved) ?? stabilizer.initial()
        }
        const first = stabilizer.step(one, value, nowMs)
        const once = stabilizer.step(other, value, nowMs)
        const twice = stabilizer.step(once.state, value, nowMs)
        one = first.state
        other = twice.state
        expect(twice.value).toBe(first.value)
        expect(twice.hold).toEqual(first.hold)
      }
    }),
    { numRuns: 200 },
  )
})
