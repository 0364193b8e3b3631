import { X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { trustAnchors, verifyClientChain } from '../../adapter/security/chain.ts'
import { issueCertificate } from '../../adapter/security/selfSigned.ts'
import type { KeyPair } from '../../adapter/security/selfSigned.ts'
import { around, authority, client, DAY_MS } from './certificates.ts'

const NOW_MS = Date.parse('2026-03-01T00:00:00Z')
const root = authority('root', NOW_MS)

const middle = (pathLength?: number, issuer = root) =>
  issueCertificate(
    {
      commonName: 'middle',
      authority: pathLength === undefined ? {} : { pathLength },
      ...around(NOW_MS),
    },
    issuer,
  )

function verdict(anchors: string, chain: readonly KeyPair[], nowMs = NOW_MS) {
  const found = verifyClientChain(
    chain.map(({ cert }) => new X509Certificate(cert)),
    trustAnchors(anchors),
    nowMs,
  )
  return found.trusted ? 'trusted' : found.reason
}

describe('verifyClientChain', () => {
  test('a leaf of the CA is trusted until its path expires', () => {
    const leaf = client(root, NOW_MS, { commonName: 'x', notAfterMs: NOW_MS + 5_000 })
    const found = verifyClientChain(
      [new X509Certificate(leaf.cert)],
      trustAnchors(root.cert),
      NOW_MS,
    )
    expect(found).toEqual({ trusted: true, notAfterMs: NOW_MS + 5_000 })
  })

  const other = authority('root', NOW_MS)
  const inner = middle()
  const last = middle(0)
  const below = middle(undefined, last)
  const notCa = client(root, NOW_MS, { commonName: 'not a CA' })
  test.each([
    ['nothing presented', root.cert, [], 'no client certificate'],
    [
      'of another CA with the same name',
      root.cert,
      [client(other, NOW_MS, { commonName: 'x' })],
      'not signed by the required CA',
    ],
    [
      'no CA is configured',
      '',
      [client(root, NOW_MS, { commonName: 'x' })],
      'not signed by the required CA',
    ],
    [
      'through an intermediate',
      root.cert,
      [client(inner, NOW_MS, { commonName: 'x' }), inner],
      'trusted',
    ],
    [
      'an intermediate in the bundle',
      root.cert + inner.cert,
      [client(inner, NOW_MS, { commonName: 'x' })],
      'trusted',
    ],
    [
      'the intermediate is missing',
      root.cert,
      [client(inner, NOW_MS, { commonName: 'x' })],
      'not signed by the required CA',
    ],
    [
      'the path is longer than a CA allows',
      root.cert,
      [client(below, NOW_MS, { commonName: 'x' }), below, last],
      'chain too long',
    ],
    [
      'signed by a certificate that is no CA',
      root.cert,
      [client(notCa, NOW_MS, { commonName: 'x' }), notCa],
      'not signed by the required CA',
    ],
    [
      'expired',
      root.cert,
      [client(root, NOW_MS, { commonName: 'x', notAfterMs: NOW_MS - 1_000 })],
      'certificate expired',
    ],
    [
      'not yet valid',
      root.cert,
      [client(root, NOW_MS, { commonName: 'x', notBeforeMs: NOW_MS + 1_000 })],
      'certificate not yet valid',
    ],
    [
      'for servers alone',
      root.cert,
      [client(root, NOW_MS, { commonName: 'x', usages: ['serverAuth'] })],
      'certificate is not for client authentication',
    ],
    [
      'for no named use',
      root.cert,
      [client(root, NOW_MS, { commonName: 'x', usages: [] })],
      'trusted',
    ],
  ] as const)('%s', (_, anchors, chain, expected) => {
    expect(verdict(anchors, chain)).toBe(expected)
  })

  test('an expired CA vouches for nobody', () => {
    const leaf = client(root, NOW_MS, { commonName: 'x', notAfterMs: NOW_MS + 9 * DAY_MS })
    expect(verdict(root.cert, [leaf], NOW_MS + 2 * DAY_MS)).toBe('certificate expired')
  })

  test('many intermediates of one name end the search', () => {
    const crowd = Array.from({ length: 9 }, () => middle(undefined, inner))
    expect(verdict(root.cert, [client(other, NOW_MS, { commonName: 'x' }), ...crowd])).toBe(
      'not signed by the required CA',
    )
  })
})
