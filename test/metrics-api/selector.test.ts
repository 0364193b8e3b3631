import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseSelector, SelectorError } from '../../adapter/metrics-api/selector.ts'
import type { Labels } from '../../src/model.ts'

const SELECTOR_CHARACTERS = 'ab1-./=!<>(), in'.split('')
const WEB: Labels = { app: 'web', tier: 'front', replica: '7', 'example.com/zone': 'a' }

test.each<[string, boolean]>([
  ['', true],
  ['app=web', true],
  ['app==web', true],
  ['app = web , tier = front', true],
  ['app=api', false],
  ['app!=api', true],
  ['app!=web', false],
  ['missing!=x', true],
  ['app in (web,api)', true],
  ['app in ( web )', true],
  ['app in(web)', true],
  ['app in (api)', false],
  ['missing in (x)', false],
  ['app notin (api)', true],
  ['app notin (web)', false],
  ['missing notin (x)', true],
  ['app', true],
  ['missing', false],
  ['!missing', true],
  ['! missing', true],
  ['!app', false],
  ['replica>6', true],
  ['replica>7', false],
  ['replica<8', true],
  ['replica < 7', false],
  ['app>1', false],
  ['missing>1', false],
  ['example.com/zone=a', true],
  ['missing=', false],
  ['app=', false],
  ['in=x', false],
  ['in in (in)', false],
  ['app in (web,)', true],
  ['app in ()', false],
  ['app=web,!missing,tier in (front,back),replica>1', true],
  ['constructor', false],
  ['!toString', true],
])('%s on a web pod: %s', (text, expected) => {
  expect(parseSelector(text).matches(WEB)).toBe(expected)
})

describe('what cannot be parsed is named', () => {
  test.each([
    ['==bad', `found '==', expected: !, identifier, or 'end of string'`],
    [',a', `found ',', expected: !, identifier, or 'end of string'`],
    ['a=b c', `found 'c', expected: ',' or 'end of string'`],
    ['a,', `found '', expected: identifier after ','`],
    ['a in b', `found 'b' expected: '('`],
    ['a in (b', `found '', expected: ',' or ')'`],
    ['a in (b c)', `found 'c', expected: ',' or ')'`],
    ['a b', `found 'b', expected: in, notin, =, ==, !=, >, <`],
    ['!', `found '', expected: identifier`],
    ['a==(', `found '(', expected: identifier`],
    ['a>x', 'must be an integer'],
    ['a>', 'must be an integer'],
    ['-a=b', 'label key'],
    ['a/b/c=d', 'label key'],
    ['UPPER.com/a=b', 'label key'],
    [`${'k'.repeat(64)}=b`, 'label key'],
    ['a=-b', 'label value'],
    [`a=${'v'.repeat(64)}`, 'label value'],
    ['a="b"', 'label value'],
    ['a=b\u0000', 'label value'],
  ])('%j', (text, message) => {
    expect(() => parseSelector(text)).toThrow(SelectorError)
    expect(() => parseSelector(text)).toThrow(message)
  })
})

test('any text is either a selector or a SelectorError, in time that follows its length', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...SELECTOR_CHARACTERS), maxLength: 60 }),
      (text) => {
        try {
          parseSelector(text).matches(WEB)
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SelectorError)
        }
      },
    ),
  )
  const long = `a in (${'x,'.repeat(5000)}x)`
  expect(parseSelector(long).requirements[0]?.values).toEqual(['x'])
})

test('set operators agree with their plain meaning', () => {
  const value = fc.constantFrom('a', 'b', 'c', 'd')
  fc.assert(
    fc.property(fc.option(value), fc.array(value, { minLength: 1 }), (own, set) => {
      const labels: Labels = own === null ? {} : { k: own }
      const list = set.join(',')
      expect(parseSelector(`k in (${list})`).matches(labels)).toBe(
        own !== null && set.includes(own),
      )
      expect(parseSelector(`k notin (${list})`).matches(labels)).toBe(
        own === null || !set.includes(own),
      )
    }),
  )
})

test('equal text is compiled once, and a flood of texts does not disturb', () => {
  const first = parseSelector('flood=0')
  expect(parseSelector('flood=0')).toBe(first)
  for (let index = 1; index < 2000; index += 1) parseSelector(`flood=${index}`)
  expect(parseSelector('flood=0').matches({ flood: '0' })).toBe(true)
})
