import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ExpiringMap } from '../../adapter/security/expiringMap.ts'

test('never holds more than it may, never gives what expired, and gives the newest value', () => {
  const step = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), afterMs: fc.nat(20) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = new ExpiringMap<number>(3)
      const last = new Map<string, { value: number; untilMs: number }>()
      let nowMs = 0
      for (const [value, { key, afterMs }] of steps.entries()) {
        nowMs += afterMs
        map.set(key, value, nowMs + 30)
        last.set(key, { value, untilMs: nowMs + 30 })
        expect(map.size).toBeLessThanOrEqual(3)
        expect(map.get(key, nowMs)).toBe(value)
        for (const [other, known] of last) {
          const found = map.get(other, nowMs)
          if (found === undefined) continue
          expect(found).toBe(known.value)
          expect(nowMs).toBeLessThan(known.untilMs)
        }
      }
    }),
  )
})
