import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Scalar } from '../../../src/sources/kafka/events/jsonScan.ts'
import { jsonScan } from '../../../src/sources/kafka/events/jsonScan.ts'

const FIELDS = ['class', 'ts', 'a', 'é', '__proto__'] as const
const scan = jsonScan(FIELDS)

/** What `JSON.parse` says of these fields; undefined where it is no JSON object, or a field holds more than a scalar. */
function truth(json: Buffer): Scalar[] | undefined {
  try {
    const parsed = JSON.parse(json.toString('utf8')) as unknown
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined
    return FIELDS.map((field) =>
      Object.hasOwn(parsed, field) ? (parsed as Record<string, Scalar>)[field] : undefined,
    )
  } catch {
    return undefined
  }
}

function never(json: Buffer): boolean {
  const found: Scalar[] = []
  if (!scan(json, found)) return true
  expect(found).toEqual(truth(json))
  return true
}

const key = fc.oneof(fc.constantFrom(...FIELDS), fc.string({ unit: 'grapheme' }))
const scalar = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
)
const value = fc.oneof({ weight: 10, arbitrary: scalar }, { weight: 1, arbitrary: fc.jsonValue() })
const space = fc.constantFrom('', '', '', ' ', '\n\t ', '\r\n', '\u00a0', '\ufeff')

/** Objects as text, with white space anywhere, and keys that come twice. */
const object = fc
  .tuple(fc.array(fc.tuple(key, value, space, space), { maxLength: 8 }), space, space)
  .map(([members, before, after]) => {
    const inside = members.map(
      ([name, of, left, right]) => `${left}${JSON.stringify(name)}${right}:${left}${JSON.stringify(of)}${right}`, // prettier-ignore
    )
    return `${before}{${inside.join(',')}}${after}`
  })

test('it says what JSON.parse says, or nothing', () => {
  fc.assert(
    fc.property(object, (text) => never(Buffer.from(text))),
    { numRuns: 3000 },
  )
})

test('the same where bytes were changed, lost or doubled', () => {
  const broken = fc
    .tuple(object, fc.nat(), fc.nat(255), fc.constantFrom('change', 'lose', 'double', 'cut'))
    .map(([text, where, byte, how]) => {
      const json = Buffer.from(text)
      const at = where % json.length
      if (how === 'change') json[at] = byte
      if (how === 'lose') return Buffer.concat([json.subarray(0, at), json.subarray(at + 1)])
      if (how === 'double') return Buffer.concat([json.subarray(0, at + 1), json.subarray(at)])
      return how === 'cut' ? json.subarray(0, at) : json
    })
  fc.assert(fc.property(broken, never), { numRuns: 5000 })
})

test.each([
  '-0',
  '0',
  '01',
  '-',
  '1.',
  '.5',
  '1e',
  '1e+5',
  '1E-5',
  '-12.5e3',
  '123456789012345678',
  '9007199254740993',
  '1e400',
  '+1',
  'tru',
  'truex',
  'nul',
  'NaN',
  '"a\u0001"',
  '"\\u0041"',
  '"\t"',
  "'a'",
])('the value %s', (text) => {
  // prettier-ignore
  expect(never(Buffer.from(`{"a":${text}}`))).toBe(true)
})

test('an ordinary event is read without JSON.parse', () => {
  const found: Scalar[] = []
  const event = { ts: 1_700_000_000_123, class: 'person', confidence: 0.87, camera: 'dock-4' }
  expect(scan(Buffer.from(JSON.stringify(event)), found)).toBe(true)
  expect(found).toEqual(['person', 1_700_000_000_123, undefined, undefined, undefined])
})
