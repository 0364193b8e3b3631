import { credentials } from '@grpc/grpc-js'
import { connect } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import type { TlsTexts, Transport } from '../../adapter/external-scaler/ports.ts'
import { issueCertificate } from '../../adapter/security/selfSigned.ts'
import type { KeyPair } from '../../adapter/security/selfSigned.ts'
import { around, authority, client as clientOf } from '../security/certificates.ts'
import { fresh, QUEUE, SERVER_NAME, startScaler } from './scaler.ts'
import type { Running } from './scaler.ts'

const NOW_MS = Date.now()
const CA = authority('keda-ca', NOW_MS)
const OTHER_CA = authority('other-ca', NOW_MS)
const SERVER_CA = authority('server-ca', NOW_MS)
const KEDA = clientOf(CA, NOW_MS, { commonName: 'keda' })

function serving(issuer: KeyPair): KeyPair {
  return issueCertificate(
    {
      commonName: 'server',
      dnsNames: [SERVER_NAME],
      usages: ['serverAuth'],
      ...around(NOW_MS),
    },
    issuer,
  )
}

/** Material in memory that is renewed by hand. */
function changeable(first: TlsTexts) {
  const takers: ((next: TlsTexts) => void)[] = []
  const source = {
    material: first,
    follow: (take: (next: TlsTexts) => void) => void takers.push(take),
  }
  return {
    source,
    renew(next: TlsTexts) {
      source.material = next
      for (const take of takers) take(next)
    },
  }
}

function channel(own?: KeyPair, serverCa = SERVER_CA) {
  return credentials.createSsl(
    Buffer.from(serverCa.cert),
    own === undefined ? null : Buffer.from(own.key),
    own === undefined ? null : Buffer.from(own.cert),
  )
}

let scaler: Running | undefined

afterEach(async () => {
  await scaler?.close()
  scaler = undefined
})

async function start(transport: Transport, namespaces?: ReadonlyMap<string, ReadonlySet<string>>) {
  const running = await startScaler(namespaces === undefined ? {} : { namespaces }, transport)
  running.show(QUEUE, fresh(7))
  scaler = running
  return running
}

function mutual(first: TlsTexts) {
  const tls = changeable(first)
  return { ...tls, transport: { kind: 'tls', tls: tls.source, clientCertificates: true } as const }
}

describe('mutual TLS', () => {
  test('who has no certificate of the CA is not let in', async () => {
    const { transport } = mutual({ ...serving(SERVER_CA), ca: CA.cert })
    const running = await start(transport)
    expect(await running.client(channel(KEDA)).value()).toBe(7)
    expect(await running.client(channel()).value()).toMatch(/^UNAVAILABLE/)
    const stranger = clientOf(OTHER_CA, NOW_MS, { commonName: 'keda' })
    expect(await running.client(channel(stranger)).value()).toMatch(/^UNAVAILABLE/)
    const expired = clientOf(CA, NOW_MS, {
      commonName: 'keda',
      notBeforeMs: NOW_MS - 2000,
      notAfterMs: NOW_MS - 1000,
    })
    expect(await running.client(channel(expired)).value()).toMatch(/^UNAVAILABLE/)
    const server = clientOf(CA, NOW_MS, { commonName: 'keda', usages: ['serverAuth'] })
    expect(await running.client(channel(server)).value()).toMatch(/^UNAVAILABLE/)
    expect(await running.client(credentials.createInsecure()).value()).toMatch(/^UNAVAILABLE/)
    expect(running.log.entries).toEqual([])
  })

  test('a renewed certificate and CA count for new connections, old ones go on', async () => {
    const { transport, renew } = mutual({ ...serving(SERVER_CA), ca: CA.cert })
    const running = await start(transport)
    const before = running.client(channel(KEDA))
    expect(await before.value()).toBe(7)
    renew({ ...serving(OTHER_CA), ca: OTHER_CA.cert })
    expect(await before.value()).toBe(7)
    const next = clientOf(OTHER_CA, NOW_MS, { commonName: 'keda' })
    expect(await running.client(channel(next, OTHER_CA)).value()).toBe(7)
    expect(await running.client(channel(KEDA, OTHER_CA)).value()).toMatch(/^UNAVAILABLE/)
    expect(await running.client(channel(next, SERVER_CA)).value()).toMatch(/^UNAVAILABLE/)
  })

  test('a session of before a renewal is not resumed after it', async () => {
    const first = serving(SERVER_CA)
    const { transport, renew } = mutual({ ...first, ca: CA.cert })
    const running = await start(transport)
    const dial = (session?: Buffer) =>
      new Promise<{ reused: boolean; error?: string; session?: Buffer }>((resolve) => {
        const socket = connect({
          host: '127.0.0.1',
          servername: SERVER_NAME,
          port: running.port,
          ca: SERVER_CA.cert,
          ...KEDA,
          ALPNProtocols: ['h2'],
          ...(session === undefined ? {} : { session }),
        })
        let ticket: Buffer | undefined
        const done = (error?: Error) => {
          const reused = socket.isSessionReused()
          socket.destroy()
          resolve({
            reused,
            ...(error === undefined ? {} : { error: error.message }),
            ...(ticket === undefined ? {} : { session: ticket }),
          })
        }
        socket.once('session', (got: Buffer) => {
          ticket = got
          done()
        })
        socket.once('error', done)
        socket.once('close', () => done(new Error('closed')))
      })
    const { session } = await dial()
    expect(session).toBeDefined()
    renew({ ...first, ca: OTHER_CA.cert })
    const again = await dial(session)
    expect(again.reused).not.toBe(true)
    expect(again.error).toBeDefined()
  })

  test('a CA that is taken away closes the door', async () => {
    const first = serving(SERVER_CA)
    const { transport, renew } = mutual({ ...first, ca: CA.cert })
    const running = await start(transport)
    renew(first)
    expect(await running.client(channel(KEDA)).value()).toMatch(/^UNAVAILABLE/)
  })

  test('is not served without a CA', async () => {
    const { transport } = mutual(serving(SERVER_CA))
    await expect(start(transport)).rejects.toThrow(/no CA/)
  })

  test('a certificate may be bound to namespaces', async () => {
    const { transport } = mutual({ ...serving(SERVER_CA), ca: CA.cert })
    const running = await start(transport, new Map([['keda', new Set(['vision'])]]))
    const keda = running.client(channel(KEDA))
    expect(await keda.value()).toBe(7)
    expect(await keda.value(undefined, 'billing')).toBe(
      'PERMISSION_DENIED: the certificate of "keda" is not bound to namespace billing',
    )
    const other = clientOf(CA, NOW_MS, { commonName: 'team' })
    const team = running.client(channel(other))
    expect(await team.spec()).toMatch(/^PERMISSION_DENIED/)
    expect(await team.active()).toMatch(/^PERMISSION_DENIED/)
    expect(await team.ask('Check', { service: '' })).toEqual({ status: 'SERVING' })
  })
})

describe('less than mutual TLS must be asked for by name, and is said in the log', () => {
  test('TLS without client certificates', async () => {
    const { source } = changeable(serving(SERVER_CA))
    const running = await start({ kind: 'tls', tls: source, clientCertificates: false })
    expect(await running.client(channel()).value()).toBe(7)
    expect(running.log.entries).toMatchObject([{ level: 'warn', event: 'INSECURE-OPEN' }])
  })

  test('plain text', async () => {
    const running = await start({ kind: 'plaintext' })
    expect(await running.client().value()).toBe(7)
    expect(running.log.entries).toMatchObject([{ level: 'warn', event: 'INSECURE-PLAINTEXT' }])
  })
})
