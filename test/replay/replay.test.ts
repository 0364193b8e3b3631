import { expect, test } from 'vitest'
import { secondsToWrite } from '../../adapter/hpa-behavior/decide.ts'
import { replay } from '../../src/replay/replay.ts'
import { study } from '../../src/replay/study.ts'
import { createFixedStabilizer } from '../../src/signal/stabilize.ts'
import { createStabilizer } from '../../src/signal/stabilizers.ts'
import { hourlyPulse } from '../forecast/loads.ts'

test('each row is what the stabilizer answers at that time', () => {
  const trace = [10, 4, 6, 2, 2].map((value, i) => ({ seconds: (i + 1) * 20, value }))
  const rows = [...replay(trace, createFixedStabilizer(60_000))]
  expect(rows.map((row) => row.exposed)).toEqual([10, 10, 10, 6, 6])
  expect(rows.map((row) => row.cause)).toEqual(['observed', 'window', 'window', 'window', 'window'])
})

const RULES = { restingMs: 300_000, minChange: 0.1, minStepMs: 10_000, intervalMs: 15_000 }
const write: NonNullable<Parameters<typeof study>[2]['write']> = (window, inForceS, sinceWriteMs) =>
  secondsToWrite(window, inForceS, { ...RULES, sinceWriteMs })

test('where the hold is left to the HPA the value stays, and the window is told from row to row', () => {
  const trace = [10, 4, 4, 4, 4, 4, 4].map((value, i) => ({ seconds: (i + 1) * 15, value }))
  const rows = [...replay(trace, createStabilizer({ policy: 'fixed', windowMs: 60_000 }, 'behavior'), write)] // prettier-ignore
  expect(rows.map((row) => row.exposed)).toEqual([10, 4, 4, 4, 4, 4, 4])
  // Any window of a minute or more holds it for a minute; after that the window must be shorter than its age.
  expect(rows.map((row) => row.windowSeconds)).toEqual([300, 300, 300, 300, 60, 60, 60])
  expect(rows[2]?.reason).toBe('highest value of the last 60 s (fixed window)')
  const [unwritten] = replay(trace, createStabilizer({ policy: 'fixed', windowMs: 60_000 }, 'behavior')) // prettier-ignore
  expect(unwritten?.windowSeconds).toBe(300)
})

test('a hold costs much the same in the value and in the behaviour', () => {
  const trace = hourlyPulse(3000, 10, 80).map((value, i) => ({ seconds: (i + 1) * 15, value }))
  const stabilize = { policy: 'fixed', windowMs: 600_000 } as const
  const policies = new Map([
    ['behaviour', () => createStabilizer(stabilize, 'behavior')],
    ['value', () => createStabilizer(stabilize)],
    ['nothing held', () => createFixedStabilizer(0)],
  ])
  const { standings } = study(trace, policies, { startDelayMs: 90_000, write }, () => undefined)
  const [, behaviour, value, nothing] = standings.map((one) => one.usual.replicaHours)
  expect((behaviour ?? 0) / (value ?? 0)).toBeCloseTo(1, 1)
  expect((nothing ?? 0) / (value ?? 0)).toBeLessThan(0.8)
})

test('a load of nothing is answered, and compared with nothing', () => {
  const trace = Array.from({ length: 100 }, (_, i) => ({ seconds: (i + 1) * 15, value: 0 }))
  const policies = new Map([['fixed', () => createFixedStabilizer(60_000)]])
  const { rows, standings, incomparable } = study(trace, policies, { startDelayMs: 90_000 }, () => undefined) // prettier-ignore
  expect(rows).toHaveLength(100)
  expect(standings).toEqual([])
  expect(incomparable).toMatch(/nothing to compare/)
})
