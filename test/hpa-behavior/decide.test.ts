import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scaledPolicies, secondsToWrite, windowOf } from '../../adapter/hpa-behavior/decide.ts'
import { signalOf } from '../kit/signals.ts'

const OPTIONS = {
  restingMs: 300_000,
  minChange: 0.1,
  minStepMs: 10_000,
  intervalMs: 15_000,
  sinceWriteMs: Infinity,
}
const reason = 'because'

describe('what is written', () => {
  test.each([
    ['nothing in force: the resting window', { leastMs: 0 }, undefined, 300],
    ['nothing in force and a long hold', { leastMs: 480_000 }, undefined, 480],
    ['nothing in force and a release', { leastMs: 0, mostMs: 60_000 }, undefined, 60],
    ['the window in force will do', { leastMs: 100_000, mostMs: 400_000 }, 350, undefined],
    ['it holds too little', { leastMs: 480_000 }, 300, 480],
    ['it was raised and holds too little again', { leastMs: 500_000 }, 480, 600],
    [
      'it was raised, and more would hold too much',
      { leastMs: 500_000, mostMs: 510_000 },
      480,
      510,
    ],
    ['no window does: enough is held, with room', { leastMs: 500_000, mostMs: 90_000 }, 480, 600],
    ['no window does, and the room is left', { leastMs: 599_000, mostMs: 190_000 }, 600, undefined],
    ['no window does, and this one holds far too much', { leastMs: 400_000, mostMs: 0 }, 600, 400],
    ['it holds a little too little', { leastMs: 100_000 }, 95, 300],
    ['it holds too much', { leastMs: 0, mostMs: 60_000 }, 300, 60],
    ['back to the resting window', { leastMs: 120_000 }, 60, 300],
    ['beyond the limit of the API', { leastMs: 9_000_000 }, 300, 3600],
    ['a change below the least share', { leastMs: 1_900_000, mostMs: 1_950_000 }, 2000, undefined],
    ['a change below the least step', { leastMs: 0, mostMs: 20_000 }, 25, undefined],
  ])('%s', (_name, window, inForceS, wanted) => {
    expect(secondsToWrite({ ...window, reason }, inForceS, OPTIONS)).toBe(wanted)
  })

  test('not before the interval since the last write is over', () => {
    const window = { leastMs: 480_000, reason }
    expect(secondsToWrite(window, 300, { ...OPTIONS, sinceWriteMs: 14_999 })).toBeUndefined()
    expect(secondsToWrite(window, 300, { ...OPTIONS, sinceWriteMs: 15_000 })).toBe(480)
  })

  const anyWindow = fc
    .record({
      leastMs: fc.nat(8_000_000),
      mostMs: fc.option(fc.nat(8_000_000), { nil: undefined }),
    })
    .map(({ leastMs, mostMs }) => ({
      leastMs,
      reason,
      ...(mostMs === undefined ? {} : { mostMs }),
    }))

  test('always what the API takes, a hold is never cut short, and what was written stays', () => {
    const inForce = fc.option(fc.nat(3600), { nil: undefined })
    const property = fc.property(anyWindow, inForce, (window, inForceS) => {
      const written = secondsToWrite(window, inForceS, OPTIONS)
      if (written === undefined) return
      expect(Number.isInteger(written)).toBe(true)
      expect(written).toBeGreaterThanOrEqual(Math.min(3600, window.leastMs / 1000))
      expect(written).toBeLessThanOrEqual(3600)
      expect(secondsToWrite(window, written, OPTIONS)).toBeUndefined()
    })
    fc.assert(property)
  })

  test('a hold that goes on for an hour over a higher peak is written a few times', () => {
    let inForceS = 300
    let writes = 0
    for (let second = 0; second < 3500; second++) {
      const window = { leastMs: (100 + second) * 1000, mostMs: second * 1000, reason }
      const written = secondsToWrite(window, inForceS, OPTIONS)
      if (written === undefined) continue
      inForceS = written
      writes += 1
    }
    expect(writes).toBeLessThan(20)
  })

  test('periods keep to the limits of the API', () => {
    const policies = [{ type: 'Pods', value: 4, periodSeconds: 60 }]
    expect(scaledPolicies(policies, 600, 300_000)).toMatchObject([{ periodSeconds: 120 }])
    expect(scaledPolicies(policies, 3600, 10_000)).toMatchObject([{ periodSeconds: 1800 }])
    expect(scaledPolicies(policies, 0, 300_000)).toMatchObject([{ periodSeconds: 1, value: 4 }])
  })
})

describe('the window of a signal', () => {
  const series = { fresh: 1, stale: 0, warmingUp: 0 }
  const fresh = (window: { leastMs: number; mostMs?: number }) => ({
    state: 'fresh' as const,
    labels: {},
    value: 1,
    dataMs: 0,
    windowMs: 0,
    why: { series, window: { ...window, reason } },
  })
  const absent = {
    state: 'absent' as const,
    labels: {},
    reason: 'no-series' as const,
    cause: '',
    why: { series },
  }
  const of = (...readings: (ReturnType<typeof fresh> | typeof absent)[]) =>
    windowOf({ signal: signalOf(), evaluatedMs: 0, readings })

  test('is the longest of its groups, so that none is released too soon', () => {
    const longest = fresh({ leastMs: 9, mostMs: 20 })
    expect(of(fresh({ leastMs: 5, mostMs: 7 }), longest)).toMatchObject({ leastMs: 9, mostMs: 20 })
  })

  test('is not known while one of them is not', () => {
    expect(of(fresh({ leastMs: 5 }), absent)).toBeUndefined()
  })
})
