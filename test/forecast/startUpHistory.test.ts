import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PodStartUp } from '../../src/ports.ts'
import { StartUpHistory } from '../../src/forecast/startUpHistory.ts'

const NOW_MS = 1_800_000_000_000
const DAY_MS = 86_400_000

interface Seen {
  readonly seconds: number
  readonly agoMs?: number
  readonly witnessed?: boolean
  readonly pod?: string
}

let serial = 0
function startUp({ seconds, agoMs = 0, witnessed = true, pod = `uid-${serial++}` }: Seen) {
  return { pod, ms: seconds * 1000, readyMs: NOW_MS - agoMs, witnessed } satisfies PodStartUp
}

function historyOf(...all: readonly Seen[]): StartUpHistory {
  const history = new StartUpHistory()
  for (const one of all) history.add(startUp(one), NOW_MS)
  return history
}

const found = (seconds: number): Seen => ({ seconds, witnessed: false })
const seconds = (...all: readonly number[]): Seen[] => all.map((one) => ({ seconds: one }))

describe('what is counted', () => {
  const cases: [name: string, seen: readonly Seen[], quantile: number, measured: unknown][] = [
    ['nothing', [], 0.9, undefined],
    ['one', seconds(90), 0.9, { ms: 90_000, seen: 1 }],
    ['the ninth of ten', seconds(10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 0.9, { ms: 9000, seen: 10 }],
    ['the middle', seconds(30, 10, 20), 0.5, { ms: 20_000, seen: 3 }],
    ['the longest', seconds(30, 10, 20), 1, { ms: 30_000, seen: 3 }],
    ['the least for a quantile next to 0', seconds(30, 10, 20), 1e-9, { ms: 10_000, seen: 3 }],
    ['none in no time', seconds(0), 0.9, { ms: 0, seen: 1 }],
    ['ready before its node was chosen', seconds(-1), 0.9, undefined],
    ['no time at all', seconds(NaN), 0.9, undefined],
    ['longer than is looked ahead to', seconds(1200), 0.9, { ms: 900_000, seen: 1 }],
    ['more than an hour', seconds(3601), 0.9, undefined],
    ['the same pod again', [{ seconds: 50, pod: 'a' }, { seconds: 70, pod: 'a' }], 1, { ms: 50_000, seen: 1 }], // prettier-ignore
    ['a month ago', [{ seconds: 50, agoMs: 30 * DAY_MS }], 1, undefined],
    ['nearly a month ago', [{ seconds: 50, agoMs: 30 * DAY_MS - 1 }], 1, { ms: 50_000, seen: 1 }],
    ['found ready', [found(100), found(150)], 1, { ms: 150_000, seen: 2 }],
    ['found ready, perhaps not for the first time', [found(100), found(201)], 1, { ms: 100_000, seen: 1 }], // prettier-ignore
    ['slower, but witnessed', [found(100), { seconds: 300 }], 1, { ms: 300_000, seen: 2 }],
    ['found so late that it cannot be the first time', [found(901)], 1, undefined],
    ['found, quick, within a slot', [found(2), found(17), found(18)], 1, { ms: 17_000, seen: 2 }],
    ['told from the future', [{ seconds: 40, agoMs: -DAY_MS }], 1, { ms: 40_000, seen: 1 }],
  ]
  test.each(cases)('%s', (_name, seen, quantile, measured) => {
    expect(historyOf(...seen).measured(quantile, NOW_MS)).toEqual(measured)
  })

  test('old ones leave, and it is told when the first will', () => {
    const history = historyOf({ seconds: 60, agoMs: 10 * DAY_MS }, { seconds: 20 })
    expect(history.changesMs).toBe(NOW_MS + 20 * DAY_MS)
    expect(history.measured(1, history.changesMs - 1)).toEqual({ ms: 60_000, seen: 2 })
    const { version } = history
    expect(history.measured(1, NOW_MS + 20 * DAY_MS)).toEqual({ ms: 20_000, seen: 1 })
    expect(history.version).toBeGreaterThan(version)
    expect(history.measured(1, NOW_MS + 30 * DAY_MS)).toBeUndefined()
    expect(history.changesMs).toBe(Infinity)
  })

  test('what a wrong clock told as from the future does not stay the newest', () => {
    const history = historyOf({ seconds: 500, agoMs: -365 * DAY_MS })
    for (let i = 0; i < 64; i++) history.add(startUp({ seconds: 50, agoMs: -i }), NOW_MS + i)
    expect(history.measured(1, NOW_MS + 100)).toEqual({ ms: 50_000, seen: 64 })
  })
})

const seen = fc.record({
  seconds: fc.oneof(fc.integer({ min: -10, max: 5000 }), fc.constantFrom(NaN, Infinity)),
  agoMs: fc.integer({ min: -DAY_MS, max: 40 * DAY_MS }),
  witnessed: fc.boolean(),
})

test('however many come, the newest 64 are kept, in whatever order they come', () => {
  const many = fc.array(seen, { maxLength: 300 })
  fc.assert(
    fc.property(many, (all) => {
      const given = all.map(startUp)
      const history = new StartUpHistory()
      for (const one of given) {
        history.add(one, NOW_MS)
        expect(history.all.length).toBeLessThanOrEqual(64)
      }
      const times = history.all.map(({ readyMs }) => readyMs)
      expect(times).toEqual(times.toSorted((a, b) => a - b))
      const other = new StartUpHistory()
      for (const one of given.toReversed()) other.add(one, NOW_MS)
      // At one time there may be more than fit; which of them stay is of no importance.
      expect(other.all.map(({ readyMs }) => readyMs)).toEqual(times)
    }),
  )
})

test('what is measured lies within what was seen, and rises with the quantile', () => {
  const many = fc.array(seen, { minLength: 1, maxLength: 100 })
  const share = fc.double({ min: 0.001, max: 1, noNaN: true })
  fc.assert(
    fc.property(many, share, share, (all, one, other) => {
      const history = historyOf(...all)
      const low = history.measured(Math.min(one, other), NOW_MS)
      const high = history.measured(Math.max(one, other), NOW_MS)
      expect(low === undefined).toBe(history.all.length === 0)
      if (low === undefined || high === undefined) return
      const known = history.all.map(({ ms }) => ms)
      expect(low.ms).toBeGreaterThanOrEqual(Math.min(...known))
      expect(high.ms).toBeLessThanOrEqual(Math.max(...known))
      expect(low.ms).toBeLessThanOrEqual(high.ms)
      expect(known).toContain(low.ms)
      expect(low.seen).toBeLessThanOrEqual(known.length)
    }),
  )
})
