import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Season } from '../../src/forecast/season.ts'

const DAY = 5760
const WEEK = 7 * DAY
/** Each block is two slots. */
const blockOf = (slot: number) => Math.floor(slot / 2)

/** What a season is to tell, from all that was ever pushed. */
function expected(pushed: ReadonlyMap<number, number>, from: number, to: number): number {
  let max = -Infinity
  for (let block = blockOf(from); block <= blockOf(to); block++)
    max = Math.max(max, pushed.get(block) ?? NaN)
  return max
}

test('tells the largest load of any time of the last week, and nothing where it is not known', () => {
  const piece = fc.record({
    gap: fc.oneof(
      fc.constant(0),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: DAY }),
    ),
    length: fc.integer({ min: 1, max: DAY }),
  })
  const begins = fc.integer({ min: 0, max: 8 * WEEK })
  const asked = fc.array(fc.integer({ min: 240, max: WEEK }), { maxLength: 30 })
  const load = fc.array(piece, { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(begins, load, asked, (begin, pieces, others) => {
      const season = new Season()
      const pushed = new Map<number, number>()
      let slot = begin
      for (const { gap, length } of pieces) {
        slot += gap
        for (const end = slot + length; slot < end; slot++) {
          const load = 1 + ((slot * 7919) % 1009)
          season.push(slot, load)
          pushed.set(blockOf(slot), Math.max(pushed.get(blockOf(slot)) ?? 0, load))
        }
      }
      const newest = slot - 1
      const all = Math.min(newest - begin, WEEK)
      for (const back of [240, DAY, 2 * DAY, 3 * DAY, WEEK, all, ...others])
        for (const around of [0, 1, 8, 70]) {
          const from = newest - back
          if (from < 0) continue
          const told = season.max(from, Math.min(from + around, newest))
          const right = expected(pushed, from, Math.min(from + around, newest))
          if (Number.isNaN(right)) expect(told).toBeNaN()
          else expect(told / right).toBeCloseTo(1, 2)
        }
    }),
    { numRuns: 60 },
  )
})

test('a clock that steps back goes on from there', () => {
  const season = new Season()
  const begin = 100 * WEEK
  for (let slot = begin; slot < begin + DAY; slot++) season.push(slot, 100)
  const back = begin - 2 * DAY
  season.push(back, 300)
  // There was nothing a week before, although the ring holds what lies ahead now.
  for (let slot = back; slot < back + DAY; slot++)
    expect(season.max(slot - WEEK, slot - WEEK)).toBeNaN()
  for (let slot = back; slot < back + DAY; slot++) season.push(slot, 300)
  expect(season.max(back + 10, back + 20)).toBeCloseTo(300, -1)
  for (let slot = begin + DAY; slot < begin + 2 * DAY; slot++) season.push(slot, 200)
  expect(season.max(back + 10, back + 20)).toBeCloseTo(300, -1)
  expect(season.max(begin + DAY + 10, begin + DAY + 20)).toBeCloseTo(200, -1)
})
