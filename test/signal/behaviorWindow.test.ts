import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PREDICTIVE_DEFAULTS } from '../../src/forecast/predictive.ts'
import { createStabilizer } from '../../src/signal/stabilizers.ts'
import { random } from '../forecast/loads.ts'

const WINDOW_MS = 60_000
const fixed = { policy: 'fixed', windowMs: WINDOW_MS } as const

/** What an HPA would hold: the largest observed within its window. */
function largest(observed: readonly number[], seconds: number): number {
  return Math.max(...observed.slice(-Math.floor(seconds) - 1))
}

function run(loads: readonly number[]) {
  const inner = createStabilizer(fixed)
  const outer = createStabilizer(fixed, 'behavior')
  let held = inner.initial()
  let left = outer.initial()
  return loads.map((load, index) => {
    const nowMs = 1_000_000 + index * 1000
    const one = inner.step(held, load, nowMs)
    const other = outer.step(left, load, nowMs)
    held = one.state
    left = other.state
    return { planned: one.value, told: other, observed: loads.slice(0, index + 1) }
  })
}

describe('a hold that is left to the HPA', () => {
  test('the value stays as observed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1 }), (loads) => {
        for (const [index, { told }] of run(loads).entries()) {
          expect(told.value).toBe(loads[index])
          expect(told.hold).toBeUndefined()
        }
      }),
    )
  })

  test('every window between the least and the most holds what was planned, within the HPA’s tolerance', () => {
    const loads = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(loads, (some) => {
        for (const { planned, told, observed } of run(some)) {
          const { leastMs = NaN, mostMs } = told.window ?? {}
          expect(largest(observed, leastMs / 1000)).toBeGreaterThanOrEqual(planned / 1.011)
          // A point as old as the window is out of it.
          if (mostMs !== undefined)
            expect(largest(observed, mostMs / 1000 - 1)).toBeLessThanOrEqual(planned * 1.1 * 1.011)
          else expect(Math.max(...observed)).toBeLessThanOrEqual(planned * 1.1 * 1.011)
        }
      }),
    )
  })

  test('a fixed hold is its window, whenever it is asked', () => {
    const told = run([100, ...Array.from({ length: 50 }, () => 10)])
    for (const { told: one } of told.slice(1)) expect(one.window?.leastMs).toBe(WINDOW_MS)
  })

  test('what was released is out of the window', () => {
    const last = run([100, ...Array.from({ length: 90 }, () => 10)]).at(-1)
    expect(last?.told.window).toMatchObject({ leastMs: 0, mostMs: 90_000 })
  })

  test('what is held for a pulse to come back is known from the moment the load falls', () => {
    const stabilize = { policy: 'predictive', minWindowMs: 0, maxWindowMs: 3600_000, maxHeadroom: 4, startDelayMs: 15_000 } as const // prettier-ignore
    const outer = createStabilizer(stabilize, 'behavior')
    const next = random(1)
    const loads = Array.from({ length: 8 * 3600 }, (_, second) => {
      const rate = second % 75 < 30 ? 58 : 14
      return rate * (1 + 0.02 * next())
    })
    let state = outer.initial()
    for (const [second, load] of loads.entries()) {
      const told = outer.step(state, load, 1_700_000_005_000 + second * 1000)
      state = told.state
      if (second < 7 * 3600 || second % 75 < 30) continue
      // 45 s are to be bridged, and a window that is raised in the last moment is raised too late.
      expect(told.window?.leastMs, `${second % 75} s after the pulse began`).toBeGreaterThan(45_000)
    }
  })
})

test('what is forecast is told in both ways', () => {
  const inner = createStabilizer({ policy: 'predictive', ...PREDICTIVE_DEFAULTS })
  const outer = createStabilizer({ policy: 'predictive', ...PREDICTIVE_DEFAULTS }, 'behavior')
  const one = inner.step(inner.initial(), 5, 1_000_000)
  const other = outer.step(outer.initial(), 5, 1_000_000)
  expect(other.forecast).toEqual(one.forecast)
  expect(other.forecast?.trusted).toBe(true)
})
