import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { countedOf, onGrid, unknownOnGrid } from '../../src/replay/compare.ts'
import { bridged, gapsIn } from '../../src/replay/gaps.ts'
import { policiesToReplay } from '../../src/replay/policies.ts'
import { study } from '../../src/replay/study.ts'

const at = (...seconds: number[]) => seconds.map((one) => ({ seconds: one, value: 1 }))

describe('a gap', () => {
  test.each([
    ['none at an even pace', at(15, 30, 45), []],
    ['none in two rows', at(15, 3600), []],
    ['none at the pace of minutes', at(600, 1200, 1800), []],
    ['two minutes are none at any pace', at(15, 30, 150), []],
    ['more are', at(15, 30, 300), [{ fromSeconds: 30, toSeconds: 285 }]],
    ['three intervals are none', at(60, 120, 300), []],
    ['more are one', at(60, 120, 315), [{ fromSeconds: 120, toSeconds: 255 }]],
    ['right after the first row', at(15, 300, 315), [{ fromSeconds: 15, toSeconds: 285 }]],
    [
      'a row alone between two',
      at(15, 30, 300, 600, 615),
      [
        { fromSeconds: 30, toSeconds: 285 },
        { fromSeconds: 300, toSeconds: 585 },
      ],
    ],
  ])('%s', (_, rows, gaps) => {
    expect(gapsIn(rows)).toEqual(gaps)
  })

  test('holds the value before it, and the row after it is of its own interval', () => {
    const rows = [
      { seconds: 15, value: 2 },
      { seconds: 30, value: 4 },
      { seconds: 180, value: 8 },
    ]
    const gaps = gapsIn(rows)
    expect([...onGrid(bridged(rows, gaps))]).toEqual([2, ...Array(10).fill(4), 8])
    expect([...unknownOnGrid(rows, gaps)]).toEqual([0, 0, ...Array(9).fill(1), 0])
  })

  test('is not counted, nor are the ten minutes after it', () => {
    const unknown = new Uint8Array(400)
    unknown.fill(1, 100, 150)
    const counted = [...countedOf(unknown)]
    expect(counted.slice(0, 40)).toEqual(Array(40).fill(0))
    expect(counted.slice(40, 100)).toEqual(Array(60).fill(1))
    expect(counted.slice(100, 190)).toEqual(Array(90).fill(0))
    expect(counted.slice(190)).toEqual(Array(210).fill(1))
  })

  test('of any place and length costs nothing: an even load costs as much for each hour that is counted', () => {
    const rows = Array.from({ length: 1000 }, (_, k) => ({ seconds: 15 * (k + 1), value: 10 }))
    const { policies, startDelayMs } = policiesToReplay({ name: 'fixed', windowMs: 60_000 }, {})
    const fixed = new Map([...policies].slice(0, 1))
    const known = { startDelayMs, capacity: 1 }
    const hours = (of: typeof rows) => study(of, fixed, known, () => undefined)
    const whole = hours(rows)
    fc.assert(
      fc.property(
        fc.integer({ min: 60, max: 700 }),
        fc.integer({ min: 10, max: 200 }),
        (from, long) => {
          const { standings, gaps } = hours([...rows.slice(0, from), ...rows.slice(from + long)])
          expect(gaps).toEqual([{ fromSeconds: 15 * from, toSeconds: 15 * (from + long) }])
          for (const [index, { usual }] of standings.entries()) {
            const cost = whole.standings[index]?.usual
            expect(usual.replicaHours / (1000 - 40 - long - 40)).toBeCloseTo(
              (cost?.replicaHours ?? NaN) / 960,
              9,
            )
            expect(usual.violations).toBe(0)
          }
        },
      ),
      { numRuns: 20 },
    )
  })
})

test('rows so far apart that each is a gap to the forecast are told of', () => {
  const { policies, startDelayMs } = policiesToReplay({ name: 'table' }, {})
  const told = (pace: number) => {
    const said: string[] = []
    const rows = Array.from({ length: 50 }, (_, k) => ({ seconds: pace * (k + 1), value: 5 }))
    study(rows, policies, { startDelayMs }, (what) => said.push(what))
    return said.filter((what) => what.includes('apart'))
  }
  expect(told(120)).toEqual([])
  expect(told(300)).toEqual([expect.stringContaining('rows are 300 s apart')])
})
