import { expect, test } from 'vitest'
import fc from 'fast-check'
import { formatAddress, parseAddress } from '../../src/sources/redis/address.ts'

test('an address that was written is read back', () => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6())
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), (name, port) => {
      const address = { host: name, port }
      expect(parseAddress(formatAddress(address))).toEqual(address)
    }),
  )
})

test.each([
  '',
  'redis',
  'redis:',
  ':1',
  'redis:0',
  'redis:65536',
  'a:b:1',
  'redis://a:1',
  'u@a:1',
  ' a:1',
])('%j is no address', (text) => {
  expect(parseAddress(text)).toBeUndefined()
})
