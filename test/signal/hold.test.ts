import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Reading, Stabilization } from '../../src/model.ts'
import { PREDICTIVE_DEFAULTS } from '../../src/forecast/predictive.ts'
import type { HoldState } from '../../src/signal/hold.ts'
import { holdReadings } from '../../src/signal/hold.ts'
import { createStabilizer } from '../../src/signal/stabilizers.ts'

const BEGIN_MS = 1_700_000_010_000
const POLICIES: readonly Stabilization[] = [
  { policy: 'fixed', windowMs: 60_000 },
  { policy: 'table', minWindowMs: 0, maxWindowMs: 600_000 },
  { policy: 'predictive', ...PREDICTIVE_DEFAULTS },
]

function fresh(value: number, key = ''): Reading {
  const why = { observed: value, series: { fresh: 1, stale: 0, warmingUp: 0 } }
  return { state: 'fresh', labels: { key }, value, dataMs: 0, windowMs: 0, why }
}

const valueOf = (reading: Reading | undefined) =>
  reading?.state === 'fresh' ? reading.value : undefined

describe.each(POLICIES)('$policy: what is told of several is held on their total', (policy) => {
  const stabilizer = createStabilizer(policy)
  const load = fc.oneof(
    fc.double({ min: 0, max: 1e6, noNaN: true }),
    fc.constantFrom(0, -5, 5e-324, 1e-300, 1e300, Number.MAX_VALUE),
  )

  test('none falls below what it observes, none is no number, and the parts come to the whole', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(load, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 40 }),
        (rounds) => {
          // prettier-ignore
          const holds: HoldState = new Map()
          for (const [i, values] of rounds.entries()) {
            const readings = values.map((value) => fresh(value))
            const parties = [{ key: 'all', members: values.map((_, at) => at) }]
            const at = { nowMs: BEGIN_MS + i * 7000, stabilizer }
            const held = holdReadings(readings, parties, holds, at).map(valueOf)
            for (const [member, value = NaN] of held.entries()) {
              expect(Number.isFinite(value)).toBe(true)
              expect(value).toBeGreaterThanOrEqual(values[member] ?? NaN)
            }
          }
        },
      ),
    )
  })

  test('a pod that goes leaves the total', () => {
    const holds: HoldState = new Map()
    const round = (values: readonly number[], nowMs: number) => {
      const readings = values.map((value) => fresh(value))
      const parties = [{ key: 'all', members: values.map((_, at) => at) }]
      return holdReadings(readings, parties, holds, { nowMs, stabilizer }).map(valueOf)
    }
    round([30, 60], BEGIN_MS)
    const held = round([10, 20], BEGIN_MS + 1000)
    const [one = NaN, other = NaN] = held
    expect(one + other).toBeGreaterThanOrEqual(90 - 1e-9)
    expect(other / one).toBeCloseTo(2, 9)
  })

  test('where groups come and go for ever, those that went are not all remembered', () => {
    const holds: HoldState = new Map()
    let most = 0
    for (let i = 0; i < 2000; i++) {
      const keys = Array.from({ length: 5 }, (_, at) => `${i}-${at}`)
      const readings = keys.map((key) => fresh(5, key))
      const parties = keys.map((key, at) => ({ key, members: [at] }))
      holdReadings(readings, parties, holds, { nowMs: BEGIN_MS + i * 1000, stabilizer })
      most = Math.max(most, holds.size)
      expect(holds.has(`${i}-0`)).toBe(true)
    }
    expect(most).toBeLessThanOrEqual(1005)
  })
})

test('many that go at once are remembered, and found again', () => {
  const stabilizer = createStabilizer(POLICIES[2] as Stabilization)
  const holds: HoldState = new Map()
  const keys = Array.from({ length: 1500 }, (_, at) => String(at))
  const all = { readings: keys.map((key) => fresh(5, key)), parties: keys.map((key, at) => ({ key, members: [at] })) } // prettier-ignore
  holdReadings(all.readings, all.parties, holds, { nowMs: BEGIN_MS, stabilizer })
  for (let i = 1; i < 100; i++)
    holdReadings([], [], holds, { nowMs: BEGIN_MS + i * 1000, stabilizer })
  expect(holds.size).toBe(1500)
  const again = { nowMs: BEGIN_MS + 200_000, stabilizer }
  holdReadings(all.readings, all.parties, holds, again)
  expect(holds.size).toBe(1500)
})
