import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { levelOf, returnsOf, returnsText } from '../../src/forecast/returns.ts'
import { Season } from '../../src/forecast/season.ts'

const DAY = 5760
const HOUR = 240

/** A season of loads that are told block by block, each block of two slots. */
function seasonOf(blocks: readonly number[]): Season {
  const season = new Season()
  for (const [at, load] of blocks.entries()) {
    season.push(2 * at, load)
    season.push(2 * at + 1, load)
  }
  return season
}

/** Days of `low`, with `high` in some blocks of some days. */
function days(count: number, high: (day: number, block: number) => boolean): number[] {
  return Array.from({ length: (count * DAY) / 2 }, (_, at) =>
    high(Math.floor(at / (DAY / 2)), at % (DAY / 2)) ? 80 : 10,
  )
}

const NOON = DAY / 2
const PULSE = NOON / 2 + 6

function toldAt(blocks: readonly number[], slot: number, level = 64): string | undefined {
  const told = returnsOf(seasonOf(blocks), slot, level)
  return told === undefined ? undefined : returnsText(told)
}

describe('at this time before', () => {
  test.each([
    [[3], 'yesterday at this time load came back to 64 within 4 min, as on 1 of the last 2 days'],
    [
      [2, 3],
      'yesterday at this time load came back to 64 within 4 min, as on 2 of the last 3 days',
    ],
    [[0, 2], 'on 2 of the last 4 days at this time load came back to 64 within 4 min'],
  ])('a pulse after 3 min on the days %j of four', (on, told) => {
    const begun = on.includes(0) ? 0 : (on[0] ?? 0) - 1
    const all = days(5, (day, block) => on.includes(day) && block === PULSE)
    const blocks = all
      .slice(0, (4 * DAY + NOON) / 2)
      .map((load, at) => (at < (begun * DAY) / 2 ? NaN : load))
    const season = new Season()
    for (const [at, load] of blocks.entries()) {
      if (Number.isNaN(load)) continue
      season.push(2 * at, load)
      season.push(2 * at + 1, load)
    }
    const found = returnsOf(season, 4 * DAY + NOON, 64)
    expect(found === undefined ? undefined : returnsText(found)).toBe(told)
  })

  test('one day is told of alone', () => {
    const blocks = days(2, (day, block) => day === 0 && block === PULSE)
    const told = toldAt(blocks.slice(0, (DAY + NOON) / 2), DAY + NOON)
    expect(told).toBe('yesterday at this time load came back to 64 within 4 min')
  })

  test('a load that was as high already did not come back', () => {
    const blocks = days(3, (_, block) => block >= NOON / 2 - 10 && block <= PULSE)
    expect(toldAt(blocks, 3 * DAY - 1 - NOON + 1)).toBeUndefined()
  })

  test('where days tell nothing, hours may', () => {
    const blocks = Array.from({ length: 5 * 120 }, (_, at) => (at % 120 === 10 ? 80 : 10))
    expect(toldAt(blocks, 4 * HOUR + 12)).toBe(
      'an hour ago load came back to 64 within 3 min, as in 4 of the last 4 hours',
    )
  })

  test('nothing known, nothing told', () => {
    expect(toldAt([10], 1)).toBeUndefined()
  })
})

test('what is told is what was', () => {
  const loads = fc.array(fc.record({ load: fc.integer({ min: 1, max: 100 }), blocks: fc.integer({ min: 1, max: 200 }) }), { minLength: 5, maxLength: 60 }) // prettier-ignore
  fc.assert(
    fc.property(loads, fc.integer({ min: 2, max: 100 }), (pieces, level) => {
      const blocks = pieces.flatMap((one) => Array.from({ length: one.blocks }, () => one.load))
      const slot = 2 * blocks.length - 1
      const told = returnsOf(seasonOf(blocks), slot, level)
      const minute = slot - (slot % 4)
      // Codes of loads are true to 0.05 %.
      const high = (load = NaN) => load >= level
      const reached = (back: number, lag: number) => {
        const first = (minute - back * lag) / 2
        if (first < 0) return undefined
        const at = blocks.slice(first, first + 21).findIndex(high)
        return at <= 0 ? at : 2 * (at + 1) - 1
      }
      if (told === undefined) return
      const lag = told.every === 'day' ? DAY : HOUR
      const all = Array.from({ length: told.known }, (_, i) => reached(i + 1, lag))
      const came = all.filter((one) => one !== undefined && one > 0)
      expect(all).not.toContain(undefined)
      expect(came).toHaveLength(told.times)
      expect((all[0] ?? 0) > 0).toBe(told.newest)
      expect(told.slots).toBe(told.newest ? all[0] : Math.max(...came.map(Number)))
    }),
    { numRuns: 300 },
  )
})

test('headroom above the load is no load that comes back', () => {
  expect(levelOf(120, 90)).toBeUndefined()
  expect(levelOf(120, 80)).toBe(96)
})
