import { describe, expect, test } from 'vitest'
import { observedOf } from '../../adapter/observed.ts'
import type { Labels, Reading } from '../../src/model.ts'
import { PODS_EXPOSURE, signalOf } from '../kit/signals.ts'

const series = { fresh: 1, stale: 0, warmingUp: 0 }
const fresh = (labels: Labels, observed: number, dataMs = 1000): Reading => ({
  ...{ state: 'fresh', labels, dataMs, windowMs: 0 },
  value: observed + 100, // held
  why: { observed, series, hold: { fromMs: 0, untilMs: 9000, reason: 'window' } },
})
const stale = (labels: Labels): Reading => ({
  ...{ state: 'stale', labels, lastValue: 5, dataMs: 0, ageMs: 9000, cause: 'old' },
  why: { observed: 5, series },
})
const declared = (labels: Labels): Reading => ({
  ...{ state: 'fresh', labels, value: 0, dataMs: 1000, windowMs: 0 },
  why: { observed: 5, series, fallback: { policy: 'zero', cause: 'old' } },
})
const of = (readings: readonly Reading[], signal = signalOf()) =>
  observedOf({ signal, evaluatedMs: 1000, readings })

describe('what a signal observes', () => {
  test('is the value before the hold', () => {
    expect(of([fresh({}, 7)]).observed).toEqual([{ group: '', value: 7, dataMs: 1000 }])
  })

  test('is nothing while it is stale, or a declared answer stands in', () => {
    expect(of([stale({})]).observed).toEqual([])
    expect(of([declared({})]).observed).toEqual([])
  })

  test('is told group by group, by labels in order of their names', () => {
    const { observed } = of([
      fresh({ zone: 'b', class: 'person' }, 1),
      fresh({ zone: 'a,"' }, 2),
      stale({ zone: 'c' }),
    ])
    expect(observed.map(({ group }) => group)).toEqual(['class=person,zone=b', 'zone="a,\\""'])
  })

  test('of pods is their total, with the oldest of their data, and nothing while one is missing', () => {
    const pods = signalOf({ expose: PODS_EXPOSURE })
    const pod = (name: string) => ({ pod: name, model: 'm' })
    const { observed } = of([fresh(pod('a'), 1, 900), fresh(pod('b'), 2, 800)], pods)
    expect(observed).toEqual([{ group: 'model=m', value: 3, dataMs: 800 }])
    for (const readings of [
      [fresh(pod('a'), 1), stale(pod('b')), fresh(pod('c'), 1)],
      [stale(pod('b')), fresh(pod('a'), 1)],
    ])
      expect(of(readings, pods).observed).toEqual([])
  })

  test('is not told where groups are too many', () => {
    const groups = Array.from({ length: 101 }, (_, at) => fresh({ n: String(at) }, 1))
    expect(of(groups)).toEqual({ observed: [], leftOut: 101 })
    expect(of(groups.slice(1))).toMatchObject({ leftOut: 0, observed: { length: 100 } })
  })
})
