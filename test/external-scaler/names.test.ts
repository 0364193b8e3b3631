import fc from 'fast-check'
import { expect, test } from 'vitest'
import { metricSpec } from '../../adapter/external-scaler/answer.ts'
import { readTrigger } from '../../adapter/external-scaler/trigger.ts'
import { createBoard } from '../../src/signal/board.ts'
import { signalOf } from '../kit/signals.ts'
import { fresh, ref } from './scaler.ts'

const signal = signalOf({
  combine: { function: 'sum', by: ['class', 'camera'], minCoverage: 0.9 },
  expose: { keda: { name: 'detections', target: 50, activation: 0 } },
})
const board = createBoard()

/** The metric's name, and what KEDA makes of it for a trigger at this place in its ScaledObject. */
function nameOf(groups: Readonly<Record<string, string>>, index = 0): string {
  const asked = ref({ signal: 'queue', ...groups })
  const { metricSpecs } = metricSpec(() => readTrigger(asked, board))
  return `s${index}-${metricSpecs[0]?.metricName}`
}

test('names are of [a-z0-9-], stable whatever the readings are, and different for each trigger', () => {
  const value = fc.string({ minLength: 1, maxLength: 300, unit: 'binary' })
  const triggers = fc.array(fc.record({ class: value, camera: value }), {
    minLength: 1,
    maxLength: 5,
  })
  fc.assert(
    fc.property(triggers, (all) => {
      board.publish([{ signal, evaluatedMs: 0, readings: [fresh(1)] }], true)
      const names = all.map(nameOf)
      for (const name of names) expect(name).toMatch(/^s\d+-[a-z0-9]([a-z0-9-]{0,198}[a-z0-9])?$/)
      expect(new Set(names).size).toBe(all.length)
      board.publish([{ signal, evaluatedMs: 1, readings: [] }], false)
      expect(all.map(nameOf)).toEqual(names)
    }),
  )
})

test('a name that is cut ends with a letter or digit', () => {
  board.publish([{ signal, evaluatedMs: 0, readings: [fresh(1)] }], true)
  const camera = `${'a'.repeat(187)}--b`
  expect(nameOf({ class: 'x', camera })).toBe(`s0-detections-${'a'.repeat(187)}`)
})
