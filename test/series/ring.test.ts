import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RingSeries } from '../../src/series/ring.ts'

const identity = {
  source: 's',
  origin: 'o',
  metric: 'm',
  labels: {},
  kind: 'delta' as const,
}

type Row = [timeMs: number, value: number, startMs: number]

function rowsOf(ring: RingSeries): Row[] {
  return Array.from({ length: ring.length }, (_, i) => [
    ring.timeAt(i),
    ring.valueAt(i),
    ring.startAt(i),
  ])
}

test('a ring is a sorted list that forgets its oldest', () => {
  const action = fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('append'), by: fc.integer({ min: 2, max: 9 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('insert'), by: fc.nat(100) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('drop'), by: fc.integer({ min: 30, max: 150 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('add'), by: fc.nat(100) }) },
  ) // prettier-ignore
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 70 }),
      fc.array(action, { maxLength: 200 }),
      (max, steps) => {
        const ring = new RingSeries(identity, 'k', max)
        let model: Row[] = []
        let timeMs = 0
        for (const [i, step] of steps.entries()) {
          // Starts are given by some points only, and first after the ring has grown.
          const start = i > 20 && i % 3 === 0 ? i : NaN
          const at = model.length === 0 ? 0 : step.by % model.length
          const free = model[at] !== undefined && model[at][0] - 1 !== (model[at - 1]?.[0] ?? -1)
          if (step.do === 'append') {
            timeMs += step.by
            ring.append(timeMs, i, start)
            model.push([timeMs, i, start])
          } else if (step.do === 'insert' && free && !(ring.full && at === 0)) {
            const between = (model[at]?.[0] ?? 0) - 1
            ring.insert(at, between, i, start)
            model.splice(at, 0, [between, i, start])
          } else if (step.do === 'drop') {
            ring.dropUntil(timeMs - step.by)
            model = model.filter(([ms]) => ms > timeMs - step.by)
          } else if (step.do === 'add' && model[at] !== undefined) {
            ring.add(at, 5)
            model[at][1] += 5
          }
          model = model.slice(-max)
          expect(rowsOf(ring)).toEqual(model)
          expect(ring.lastMs).toBe(model.at(-1)?.[0] ?? -Infinity)
          const probe = timeMs - step.by
          expect(ring.firstAfter(probe)).toBe(model.filter(([ms]) => ms <= probe).length)
        }
      },
    ),
    { seed: 7 },
  )
})
