import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { certificateFields } from '../../adapter/security/certificateFields.ts'
import { issueCertificate, selfSignedServing } from '../../adapter/security/selfSigned.ts'

/** On PATH; the one judge of these certificates that shares no code with us. */
const OPENSSL = 'openssl'
const NOW_MS = Date.parse('2026-03-01T00:00:00Z')

describe('issueCertificate', () => {
  test('makes chains that OpenSSL verifies', () => {
    const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 }
    const root = issueCertificate({ commonName: 'root', authority: {}, ...validity })
    const middle = issueCertificate(
      { commonName: 'middle', authority: { pathLength: 0 }, ...validity },
      root,
    )
    const leaf = issueCertificate(
      { commonName: 'leaf', dnsNames: ['a.b.svc'], ipAddresses: ['127.0.0.1'], ...validity },
      middle,
    )
    const folder = mkdtempSync(join(tmpdir(), 'tideline-certificates-'))
    try {
      const write = (name: string, text: string) => {
        writeFileSync(join(folder, name), text)
        return join(folder, name)
      }
      const printed = execFileSync(OPENSSL, [
        ...'verify -x509_strict -purpose sslserver -verify_hostname a.b.svc'.split(' '),
        '-CAfile',
        write('root', root.cert),
        '-untrusted',
        write('middle', middle.cert),
        write('leaf', leaf.cert),
      ])
      expect(printed.toString()).toContain('leaf: OK')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('writes names, addresses, usages and dates as asked', () => {
    const leaf = new X509Certificate(
      issueCertificate({
        commonName: 'jürgen',
        organizations: ['a', 'b,c'],
        dnsNames: ['x.svc', '*.y.svc'],
        ipAddresses: ['10.1.2.3', '::1', 'fe80::1:2', '::ffff:1.2.3.4'],
        usages: ['clientAuth'],
        notBeforeMs: NOW_MS,
        notAfterMs: Date.parse('2051-01-02T03:04:05Z'),
      }).cert,
    )
    expect(leaf.validFromDate.getTime()).toBe(NOW_MS)
    expect(leaf.validToDate.toISOString()).toBe('2051-01-02T03:04:05.000Z')
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect(leaf.checkHost('x.svc')).toBe('x.svc')
    for (const address of ['10.1.2.3', '::1', 'fe80::1:2', '::ffff:1.2.3.4'])
      expect(leaf.checkIP(address), address).toBeDefined()
    expect(certificateFields(leaf.raw).attributes).toEqual(
      new Map([
        ['2.5.4.10', ['a', 'b,c']],
        ['2.5.4.3', ['jürgen']],
      ]),
    )
  })

  test('any name survives the way through DER', () => {
    const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 })
    fc.assert(
      fc.property(names, fc.array(names, { maxLength: 4 }), (commonName, organizations) => {
        const { cert } = issueCertificate({
          commonName,
          organizations,
          notBeforeMs: NOW_MS,
          notAfterMs: NOW_MS + 1_000,
        })
        const { attributes } = certificateFields(new X509Certificate(cert).raw)
        expect(attributes.get('2.5.4.3')).toEqual([commonName])
        expect(attributes.get('2.5.4.10') ?? []).toEqual(organizations)
      }),
      { numRuns: 100 },
    )
  })
})

describe('certificateFields', () => {
  test('broken DER gives a RangeError, never anything else', () => {
    const { authority } = selfSignedServing(['localhost'], NOW_MS)
    const whole = new X509Certificate(authority.cert).raw
    fc.assert(
      fc.property(
        fc.nat(whole.length - 1),
        fc.nat(255),
        fc.nat(whole.length),
        (at, octet, length) => {
          const broken = Buffer.from(whole)
          broken[at] = octet
          try {
            certificateFields(broken.subarray(0, length))
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError)
          }
        },
      ),
    )
  })
})
