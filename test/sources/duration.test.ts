import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDurationMs } from '../../src/duration.ts'
import { durationSchema, positiveDurationSchema } from '../../src/sources/duration.ts'
import { secretReferenceSchema } from '../../src/sources/reference.ts'

describe('durations', () => {
  test.each<[string, number]>([
    ['500ms', 500],
    ['15s', 15_000],
    ['1m', 60_000],
    ['1h30m', 5_400_000],
    ['1d', 86_400_000],
    ['1m500ms', 60_500],
    ['0s', 0],
    ['90s', 90_000],
  ])('%s', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms)
  })
  test.each([
    '',
    '15',
    's',
    '1.5s',
    '-1s',
    '1s1m',
    '1s ',
    '1S',
    '5 m',
    '1s2s',
    '1w',
    '9'.repeat(30) + 'd',
  ])('%j is none', (text) => {
    expect(parseDurationMs(text)).toBeUndefined()
    expect(durationSchema.safeParse(text).success).toBe(false)
  })
  test('is the sum of its parts, whichever of them are there', () => {
    const units = Object.entries({ d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 })
    const counts = fc.tuple(...units.map(() => fc.option(fc.nat({ max: 999 }))))
    fc.assert(
      fc.property(
        counts.filter((some) => some.some((count) => count !== null)),
        (some) => {
          const parts = units.map(([unit, ms], at) => ({ unit, ms, count: some[at] ?? null }))
          const there = parts.filter(({ count }) => count !== null)
          const text = there.map(({ unit, count }) => `${count}${unit}`).join('')
          const sum = there.reduce((total, { ms, count }) => total + ms * (count ?? 0), 0)
          expect(parseDurationMs(text)).toBe(sum)
        },
      ),
    )
  })
  test('the message names the mend', () => {
    const message = (input: unknown) => durationSchema.safeParse(input).error?.issues[0]?.message
    expect(message('15')).toMatch(/^"15" is not a duration: write .* 15s/)
    expect(message(15)).toMatch(/^15 is not a duration/)
    expect(message(undefined)).toMatch(/^nothing is not a duration/)
    expect(positiveDurationSchema.safeParse('0s').error?.issues[0]?.message).toMatch(/than zero/)
  })
})

describe('references', () => {
  test.each([
    { file: '/etc/token' },
    { env: 'TOKEN' },
    { secret: { name: 's', key: 'k' } },
    { secret: { namespace: 'n', name: 's', key: 'k' } },
  ])('%j', (reference) => {
    expect(secretReferenceSchema.parse(reference)).toEqual(reference)
  })
  test.each(['token', {}, { file: 'a', env: 'b' }, { secret: { name: 's' } }])(
    '%j is none, and is not repeated in the message',
    (raw) => {
      const { error } = secretReferenceSchema.safeParse(raw)
      expect(error?.issues[0]?.message).toMatch(/^must be a reference/)
      expect(error?.issues[0]?.message).not.toContain('token')
    },
  )
})
