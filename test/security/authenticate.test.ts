import { createServer, request } from 'node:https'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Identity } from '../../adapter/metrics-api/ports.ts'
import { delegatedAuthenticator } from '../../adapter/security/authenticate.ts'
import type { AuthenticationConfig, TokenReviewer } from '../../adapter/security/authenticate.ts'
import { issueCertificate, selfSignedServing } from '../../adapter/security/selfSigned.ts'
import type { KeyPair } from '../../adapter/security/selfSigned.ts'
import { around, authority, client } from './certificates.ts'
import { ManualClock } from './manualClock.ts'

const START_MS = Date.now()
const clientCa = authority('cluster CA', START_MS)
const proxyCa = authority('front proxy CA', START_MS)
const proxy = client(proxyCa, START_MS, { commonName: 'front-proxy-client' })
const bob = client(clientCa, START_MS, { commonName: 'bob', organizations: ['dev', 'a,b'] })

const settings = {
  clientCa: clientCa.cert,
  requestHeader: {
    ca: proxyCa.cert,
    allowedNames: ['front-proxy-client'],
    usernameHeaders: ['X-Remote-User'],
    groupHeaders: ['X-Remote-Group'],
    extraPrefixes: ['X-Remote-Extra-'],
    uidHeaders: [],
  },
} satisfies AuthenticationConfig

const tokens: TokenReviewer = {
  review: (token) =>
    token === 'good'
      ? { authenticated: true, user: { name: 'carol', groups: ['ops'], extra: {} } }
      : Promise.resolve({ authenticated: false, message: 'unknown' }),
}

let config: AuthenticationConfig | undefined
let clock: ManualClock
let server: Server
let authenticator: ReturnType<typeof delegatedAuthenticator>

beforeEach(() => {
  config = settings
  clock = new ManualClock(START_MS)
  authenticator = delegatedAuthenticator({ config: () => config, tokens, clock })
})

beforeAll(async () => {
  const { serving } = selfSignedServing(['localhost'], START_MS)
  server = createServer(
    { ...serving, requestCert: true, rejectUnauthorized: false },
    (incoming, answer) => {
      const tell = async () => authenticator.authenticate(incoming)
      tell().then(
        (identity) => answer.end(JSON.stringify(identity)),
        (error: Error) => answer.writeHead(503).end(error.message),
      )
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const port = () => (server.address() as AddressInfo).port

async function ask(
  certificate: KeyPair | undefined,
  headers: Record<string, string | string[]> = {},
): Promise<Identity> {
  const { status, text } = await exchange(certificate, headers)
  if (status !== 200) throw new Error(`${status} ${text}`)
  return JSON.parse(text) as Identity
}

function exchange(
  certificate: KeyPair | undefined,
  headers: Record<string, string | string[]>,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        port: port(),
        host: '127.0.0.1',
        rejectUnauthorized: false,
        agent: false,
        ...certificate,
        headers,
      },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (piece: string) => (text += piece))
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
      },
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
}

const admin = { 'X-Remote-User': 'admin', 'X-Remote-Group': ['system:masters', 'a,b'] }
const user = (name: string, ...groups: string[]): Identity => ({
  kind: 'user',
  user: { name, groups, extra: {} },
})

describe('front proxy', () => {
  test('its headers are believed, groups whole, system:authenticated added', async () => {
    expect(await ask(proxy, admin)).toEqual(
      user('admin', 'system:masters', 'a,b', 'system:authenticated'),
    )
  })

  test('extra keys are decoded', async () => {
    const identity = await ask(proxy, {
      ...admin,
      'X-Remote-Extra-Authentication.kubernetes.io%2fCredential-Id': 'JTI=1',
    })
    expect(identity).toMatchObject({
      user: { extra: { 'authentication.kubernetes.io/credential-id': ['JTI=1'] } },
    })
  })

  test('a user whom it names as anonymous does not become authenticated', async () => {
    const anonymous = {
      'X-Remote-User': 'system:anonymous',
      'X-Remote-Group': 'system:unauthenticated',
    }
    expect(await ask(proxy, anonymous)).toEqual(user('system:anonymous', 'system:unauthenticated'))
  })

  test('without a user header its certificate counts for nothing', async () => {
    expect(await ask(proxy)).toMatchObject({ kind: 'invalid' })
  })

  test('works through an intermediate, in a resumed TLS session too', async () => {
    const middle = issueCertificate(
      { commonName: 'middle', authority: { pathLength: 0 }, ...around(START_MS) },
      proxyCa,
    )
    const leaf = client(middle, START_MS, { commonName: 'front-proxy-client' })
    const chain = { key: leaf.key, cert: leaf.cert + middle.cert }
    const overTls = (session: Buffer | undefined) =>
      new Promise<{ reused: boolean; text: string; session: Buffer | undefined }>(
        (resolve, reject) => {
          let ticket: Buffer | undefined
          let text = ''
          let reused = false
          const options = { port: port(), host: '127.0.0.1', rejectUnauthorized: false, ...chain }
          const socket = connect(session === undefined ? options : { ...options, session })
          socket.on('secureConnect', () => (reused = socket.isSessionReused()))
          socket.on('session', (given: Buffer) => (ticket = given))
          socket.on('data', (piece) => (text += piece.toString()))
          socket.on('error', reject)
          socket.on('close', () => resolve({ reused, text, session: ticket }))
          socket.write(
            'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Remote-User: eve\r\n\r\n',
          )
        },
      )
    const first = await overTls(undefined)
    expect(first.text).toContain('"name":"eve"')
    const second = await overTls(first.session)
    expect(second.reused).toBe(true)
    expect(second.text).toContain('"name":"eve"')
  })
})

describe('forged headers', () => {
  test('a client CA’s user stays who they are', async () => {
    expect(await ask(bob, admin)).toEqual(user('bob', 'dev', 'a,b', 'system:authenticated'))
  })

  test('without a certificate the headers are not seen', async () => {
    expect(await ask(undefined, admin)).toEqual({ kind: 'anonymous' })
  })

  test('a name that is not allowed', async () => {
    const other = client(proxyCa, START_MS, { commonName: 'somebody' })
    expect(await ask(other, admin)).toMatchObject({ kind: 'invalid' })
    config = { ...settings, requestHeader: { ...settings.requestHeader, allowedNames: [] } }
    expect(await ask(other, admin)).toMatchObject({ user: { name: 'admin' } })
  })

  test('an expired, a foreign and a server’s certificate', async () => {
    const name = { commonName: 'front-proxy-client' }
    const expired = client(proxyCa, START_MS, { ...name, notAfterMs: START_MS - 1_000 })
    const foreign = client(authority('front proxy CA', START_MS), START_MS, name)
    const serving = client(proxyCa, START_MS, { ...name, usages: ['serverAuth'] })
    for (const certificate of [expired, foreign, serving])
      expect(await ask(certificate, admin)).toMatchObject({ kind: 'invalid' })
  })

  test('a certificate that nobody accepts does no harm to a good token', async () => {
    const foreign = client(authority('x', START_MS), START_MS, { commonName: 'y' })
    expect(await ask(foreign, { ...admin, Authorization: 'Bearer good' })).toMatchObject({
      user: { name: 'carol' },
    })
  })
})

describe('tokens and the rest', () => {
  test('a good token, a bad one, no credentials', async () => {
    expect(await ask(undefined, { Authorization: 'bearer good' })).toEqual(
      user('carol', 'ops', 'system:authenticated'),
    )
    expect(await ask(undefined, { Authorization: 'Bearer bad' })).toMatchObject({ kind: 'invalid' })
    expect(await ask(undefined, { Authorization: 'Basic eDp5' })).toEqual({ kind: 'anonymous' })
    expect(await ask(undefined)).toEqual({ kind: 'anonymous' })
  })

  test('nobody is told from anybody before the settings are known', async () => {
    config = undefined
    await expect(ask(bob)).rejects.toThrow('503')
  })
})

test('changes are seen on an open connection: a rotated CA, an expired certificate', async () => {
  const socket = connect({ port: port(), host: '127.0.0.1', rejectUnauthorized: false, ...proxy })
  let received = ''
  socket.on('data', (piece) => (received += piece.toString()))
  const name = async () => {
    received = ''
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-Remote-User: eve\r\n\r\n')
    await new Promise<void>((resolve) => {
      const look = () => (/\{.*\}/.test(received) ? resolve() : socket.once('data', look))
      look()
    })
    const identity = JSON.parse(/\{.*\}/.exec(received)?.[0] ?? '') as Identity
    return identity.kind === 'user' ? identity.user.name : identity.kind
  }
  try {
    expect(await name()).toBe('eve')
    config = {
      ...settings,
      requestHeader: { ...settings.requestHeader, ca: authority('new', START_MS).cert },
    }
    expect(await name()).toBe('invalid')
    config = settings
    expect(await name()).toBe('eve')
    clock.advance(2 * 86_400_000)
    expect(await name()).toBe('invalid')
  } finally {
    socket.destroy()
  }
})
