import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Stabilized, Stabilizer } from '../../src/ports.ts'
import {
  createPredictiveStabilizer,
  PREDICTIVE_DEFAULTS,
  type PredictiveOptions,
} from '../../src/forecast/predictive.ts'
import { createFixedStabilizer } from '../../src/signal/stabilize.ts'
import { DAY, flat, hourlyPulse, ramps, wave } from './loads.ts'
import { paidAt } from './outcome.ts'

const BEGIN_MS = 1_700_000_010_000

function predictive(changes: Partial<PredictiveOptions> = {}): Stabilizer {
  return createPredictiveStabilizer({ ...PREDICTIVE_DEFAULTS, ...changes })
}

interface Tick {
  readonly atMs: number
  readonly value: number
}

function run(stabilizer: Stabilizer, ticks: readonly Tick[]): Stabilized[] {
  let state = stabilizer.initial()
  return ticks.map(({ atMs, value }) => {
    const step = stabilizer.step(state, value, atMs)
    state = step.state
    return step
  })
}

const every15s = (load: readonly number[]): Tick[] =>
  load.map((value, i) => ({ atMs: BEGIN_MS + i * 15_000, value }))

const values = (steps: readonly Stabilized[]) => steps.map((step) => step.value)

/** Ticks at odd times: mostly seconds apart, some with gaps, some with a clock that goes back. */
const ticks = fc
  .array(
    fc.record({
      waitMs: fc.oneof(
        { weight: 20, arbitrary: fc.integer({ min: 1, max: 40_000 }) },
        { weight: 1, arbitrary: fc.integer({ min: -7_200_000, max: 30 * 86_400_000 }) },
      ),
      value: fc.oneof(
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.constantFrom(0, 1e-9, 1e15, -5),
      ),
    }),
    { minLength: 1, maxLength: 200 },
  )
  .map((steps) => {
    let atMs = BEGIN_MS
    return steps.map(({ waitMs, value }) => ({ atMs: (atMs += waitMs), value }))
  })

describe('whatever comes', () => {
  test('the value is finite and never below what is observed', () => {
    fc.assert(
      fc.property(ticks, (all) => {
        for (const [i, step] of run(predictive(), all).entries()) {
          expect(Number.isFinite(step.value)).toBe(true)
          expect(step.value).toBeGreaterThanOrEqual(all[i]!.value)
          expect(step.hold === undefined).toBe(step.value <= all[i]!.value)
        }
      }),
    )
  })

  test('it never leads by more than the largest headroom', () => {
    const options = { maxHeadroom: 0.2, maxWindowMs: 600_000 }
    const load = [...wave(800, 100, 1), ...hourlyPulse(2000, 10, 80)]
    const steps = run(predictive(options), every15s(load))
    for (const [i, step] of steps.entries()) {
      const recent = Math.max(...load.slice(Math.max(0, i - 41), i + 1))
      expect(step.value).toBeLessThanOrEqual(recent * 1.2 + 1e-9)
    }
  })

  test('it never falls below the maximum of the least window', () => {
    const load = ramps(1500, 90, 2)
    const steps = run(predictive({ minWindowMs: 300_000 }), every15s(load))
    for (const [i, step] of steps.entries())
      expect(step.value).toBeGreaterThanOrEqual(Math.max(...load.slice(Math.max(0, i - 19), i + 1)))
  })

  test('a hold ends within the longest window, and names an end that lies ahead', () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e5, noNaN: true }), fc.nat(200), (peak, before) => {
        const load = [...flat(before, 5, 1), peak, ...Array.from({ length: 260 }, () => 0.5)]
        const all = every15s(load)
        const steps = run(predictive({ maxHeadroom: 0 }), all)
        for (const [i, { hold }] of steps.entries()) {
          if (hold === undefined) continue
          expect(hold.untilMs).toBeGreaterThan(all[i]!.atMs)
          expect(hold.fromMs).toBeLessThanOrEqual(all[i]!.atMs)
        }
        expect(steps.at(-1)!.value).toBe(0.5)
      }),
      { numRuns: 20 },
    )
  })

  test('the same observations give the same values, and later ones change none before', () => {
    fc.assert(
      fc.property(ticks, ticks, (before, after) => {
        const first = values(run(predictive(), before))
        const shift = before.at(-1)!.atMs - BEGIN_MS
        const more = after.map(({ atMs, value }) => ({ atMs: atMs + shift, value }))
        expect(values(run(predictive(), [...before, ...more])).slice(0, first.length)).toEqual(
          first,
        )
      }),
      { numRuns: 50 },
    )
  })
})

describe('time', () => {
  test('a tick each second learns what a tick each 15 s does', () => {
    const load = ramps(1200, 80, 3)
    const slow = run(predictive(), every15s(load))
    const fast = run(
      predictive(),
      load.flatMap((value, i) =>
        Array.from({ length: 15 }, (_, s) => ({
          atMs: BEGIN_MS + i * 15_000 - 14_000 + s * 1000,
          value,
        })),
      ),
    )
    for (let i = 10; i < load.length; i++)
      expect(fast[i * 15 + 14]!.value).toBeCloseTo(slow[i]!.value, 3)
  })

  test.each([
    ['a gap of an hour', 3600_000],
    ['a gap of a month', 30 * 86_400_000],
    ['a clock set back by a day', -86_400_000],
    ['a clock set back by a minute', -60_000],
  ])('%s does no harm', (_name, jumpMs) => {
    const load = flat(2000, 20, 4)
    const all = every15s(load).map(({ atMs, value }, i) => ({
      atMs: i < 1000 ? atMs : atMs + jumpMs,
      value,
    }))
    const steps = run(predictive(), all)
    for (const step of steps.slice(1000)) expect(step.value).toBeLessThan(60)
    expect(steps.at(-1)!.value).toBeGreaterThanOrEqual(load.at(-1)!)
  })
})

describe('loads with known answers', () => {
  const fixed = createFixedStabilizer(300_000)
  const cost = (load: readonly number[], stabilizer: Stabilizer, capacity: number) =>
    paidAt(load, values(run(stabilizer, every15s(load))), {
      violated: 0.05,
      from: load.length >> 1,
      capacity,
    })

  test('a pulse each hour costs much less than with a fixed window', () => {
    const load = hourlyPulse(4 * DAY, 10, 80)
    expect(cost(load, predictive(), 4) / cost(load, fixed, 4)).toBeLessThan(0.6)
  })

  test('ramps and crashes cost less', () => {
    const load = ramps(3 * DAY, 100, 5)
    expect(cost(load, predictive(), 5) / cost(load, fixed, 5)).toBeLessThan(0.95)
  })

  test('a flat load costs no more', () => {
    const load = flat(2 * DAY, 20, 6)
    expect(cost(load, predictive(), 1) / cost(load, fixed, 1)).toBeLessThan(1.05)
  })

  test('a daily wave costs hardly more', () => {
    const load = wave(3 * DAY, 60, 7)
    expect(cost(load, predictive(), 5) / cost(load, fixed, 5)).toBeLessThan(1.06)
  })
})

test('memory for each series is bounded and does not grow', () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const bytes = () => {
    collectGarbage()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const COUNT = 50
  const stabilizer = predictive()
  const before = bytes()
  let states = Array.from({ length: COUNT }, () => stabilizer.initial())
  const advance = (from: number, slots: number) => {
    for (let i = from; i < from + slots; i++)
      states = states.map(
        (state, one) => stabilizer.step(state, 10 + (i % (7 + one)), BEGIN_MS + i * 15_000).state,
      )
  }
  advance(0, 500)
  const after = bytes()
  advance(500, 1500)
  expect((after - before) / COUNT).toBeLessThan(250_000)
  expect((bytes() - after) / COUNT).toBeLessThan(20_000)
})

test('a hold says why in words', () => {
  const steps = run(predictive(), every15s(ramps(400, 100, 8)))
  const reasons = steps.flatMap(({ hold }) => (hold === undefined ? [] : [hold.reason]))
  expect(reasons.length).toBeGreaterThan(0)
  for (const reason of reasons) expect(reason).toMatch(/is expected in the next 120 s \(95 %\)/)
})

test('what came back at this time before is a reason', () => {
  const load = hourlyPulse(DAY, 10, 80)
  const steps = run(predictive(), every15s(load))
  const reasons = steps.flatMap(({ hold }) => hold?.reason ?? [])
  const words =
    /^an hour ago load came back to \d+ within \d+ min, as in \d of the last \d hours; at most/
  expect(reasons.filter((reason) => words.test(reason)).length).toBeGreaterThan(20)
})

test('a least window of nothing holds nothing, whatever the pace of ticks', () => {
  const load = ramps(200, 100, 9).flatMap((value, i) =>
    Array.from({ length: 15 }, (_, s) => ({
      atMs: BEGIN_MS + i * 15_000 + s * 1000,
      value: value + ((7 * s) % 5),
    })),
  )
  for (const { cause, hold } of run(predictive(), load)) {
    expect(cause).not.toBe('window')
    expect(hold?.reason ?? '').not.toContain('least window')
  }
})

test('what is expected is said of the time that is looked ahead to, in whole slots', () => {
  const steps = run(predictive({ startDelayMs: 100_000 }), every15s(ramps(100, 100, 8)))
  const reasons = steps.flatMap(({ hold }) => hold?.reason ?? [])
  expect(reasons.length).toBeGreaterThan(0)
  for (const reason of reasons) expect(reason).toContain('in the next 135 s')
})
