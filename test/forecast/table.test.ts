import { describe, expect, test } from 'vitest'
import type { Stabilized } from '../../src/ports.ts'
import { createTableStabilizer, tableWindow } from '../../src/forecast/table.ts'

describe('the published table', () => {
  const rows: [string, number, number, boolean, number][] = [
    ['steady decline', -0.06, 0.05, false, 480],
    ['steady decline, at the edge of confidence', -0.05, 0.08, false, 480],
    ['steep and steady', -0.3, 0.05, false, 480],
    ['decline, less sure', -0.06, 0.1, false, 300],
    ['decline, at the edges', -0.15, 0.149, false, 300],
    ['decline, not sure', -0.06, 0.2, false, 60],
    ['steep, not sure', -0.2, 0.1, false, 60],
    ['flat', 0, 0.02, false, 60],
    ['rising', 0.1, 0.02, false, 60],
    ['slow decline', -0.04, 0.02, false, 60],
    ['noise', 0, 0.5, false, 60],
    ['pulse', 0, 0.5, true, 120],
    ['pulse in a steady decline', -0.06, 0.05, true, 480],
  ]
  test.each(rows)('%s', (...[, slope, fluctuation, pulseRisk, seconds]) => {
    expect(tableWindow({ slope, fluctuation, pulseRisk }).seconds).toBe(seconds)
  })
})

function run(load: readonly number[], bounds = { minWindowMs: 0, maxWindowMs: 3600_000 }) {
  const stabilizer = createTableStabilizer(bounds)
  let state = stabilizer.initial()
  return load.map((value, i): Stabilized => {
    const step = stabilizer.step(state, value, 1_700_000_010_000 + i * 15_000)
    state = step.state
    return step
  })
}

test('a flat load that drops is held for 60 s', () => {
  const steps = run([...Array.from({ length: 60 }, () => 10), 9, 9, 9, 9, 9, 9])
  expect(steps.slice(60).map((step) => step.value)).toEqual([10, 10, 10, 9, 9, 9])
})

test('a steady decline is held for 480 s, and says so', () => {
  const steps = run(Array.from({ length: 60 }, (_, i) => 100 - 1.5 * i))
  expect(steps.at(-1)!.value).toBeCloseTo(100 - 1.5 * (59 - 31), 6)
  expect(steps.at(-1)!.hold?.reason).toMatch(/^highest value of the last 480 s \(table: steady/)
})

test('bounds win', () => {
  const decline = Array.from({ length: 60 }, (_, i) => 100 - 1.5 * i)
  const bounded = run(decline, { minWindowMs: 0, maxWindowMs: 60_000 })
  expect(bounded.at(-1)!.value).toBeCloseTo(100 - 1.5 * (59 - 3), 6)
  const flat = [...Array.from({ length: 60 }, () => 10), ...Array.from({ length: 10 }, () => 9)]
  const long = run(flat, { minWindowMs: 300_000, maxWindowMs: 3600_000 })
  expect(long.at(-1)!.value).toBe(10)
})
