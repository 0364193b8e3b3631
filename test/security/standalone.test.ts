import type { IncomingMessage } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openStandalone } from '../../adapter/security/standalone.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { until } from '../kit/until.ts'
import { ManualClock } from './manualClock.ts'

let folder: string
let tokenFile: string
let log: RecordingLogger
let clock: ManualClock

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tideline-standalone-'))
  tokenFile = join(folder, 'tokens.csv')
  log = new RecordingLogger()
  clock = new ManualClock(0)
})
afterEach(() => rmSync(folder, { recursive: true }))

/** All that a request without TLS tells. */
const request = (authorization?: string) =>
  ({ headers: { authorization }, rawHeaders: [], socket: {} }) as unknown as IncomingMessage

describe('openStandalone', () => {
  test('tokens name users and groups; other tokens are wrong', async () => {
    writeFileSync(tokenFile, '# people\nsesame,ali,thieves|readers\r\n\nplain, bob\n')
    const { authenticator } = await openStandalone(
      { tokenFile, insecureOpen: false },
      { clock, log },
    )
    expect(await authenticator.authenticate(request('Bearer sesame'))).toMatchObject({
      user: { name: 'ali', groups: ['thieves', 'readers', 'system:authenticated'] },
    })
    expect(await authenticator.authenticate(request('Bearer plain'))).toMatchObject({
      user: { name: 'bob' },
    })
    expect(await authenticator.authenticate(request('Bearer simsim'))).toMatchObject({
      kind: 'invalid',
    })
    expect(await authenticator.authenticate(request())).toEqual({ kind: 'anonymous' })
  })

  test('no way in is refused; a broken file is named by line, without its token', async () => {
    await expect(openStandalone({ insecureOpen: false }, { clock, log })).rejects.toMatchObject({
      code: 'not-configured',
    })
    writeFileSync(tokenFile, 'ok,bob\nsesame\n')
    await expect(
      openStandalone({ tokenFile, insecureOpen: false }, { clock, log }),
    ).rejects.toMatchObject({ message: expect.stringMatching(/tokens\.csv, line 2(?!.*sesame)/) })
    writeFileSync(tokenFile, 'no certificate')
    await expect(
      openStandalone({ clientCaFile: tokenFile, insecureOpen: false }, { clock, log }),
    ).rejects.toThrow('holds no PEM certificate')
  })

  test('an open port is loud, lets everybody read and nobody write', async () => {
    const { authenticator, authorizer } = await openStandalone(
      { insecureOpen: true },
      { clock, log },
    )
    expect(log.entries).toMatchObject([{ level: 'warn', event: 'INSECURE-OPEN' }])
    const identity = await authenticator.authenticate(request())
    if (identity.kind !== 'user') throw new Error(identity.kind)
    const resource = { kind: 'resource', group: 'g', version: 'v', resource: 'r' } as const
    const may = (verb: string) => authorizer.authorize(identity.user, { ...resource, verb })
    expect(await may('list')).toEqual({ allowed: true })
    expect(await may('delete')).toMatchObject({ allowed: false })
    const anonymous = { name: 'system:anonymous', groups: ['system:unauthenticated'], extra: {} }
    expect(await authorizer.authorize(anonymous, { ...resource, verb: 'get' })).toMatchObject({
      allowed: false,
    })
    expect(await authenticator.authenticate(request('Bearer wrong'))).toMatchObject({
      kind: 'invalid',
    })
  })

  test('the token file is followed; a broken one changes nothing', async () => {
    writeFileSync(tokenFile, 'old,bob\n')
    const standalone = await openStandalone({ tokenFile, insecureOpen: false }, { clock, log })
    const kind = async (token: string) =>
      (await standalone.authenticator.authenticate(request(`Bearer ${token}`))).kind
    const stop = new AbortController()
    const running = standalone.run(stop.signal)
    writeFileSync(tokenFile, 'garbage\n')
    clock.advance(5_000)
    await until('refusal', () => log.entries.some(({ event }) => event.endsWith('-refused')))
    expect(await kind('old')).toBe('user')
    await until('asleep', () => clock.sleeping === 1)
    writeFileSync(tokenFile, 'new,bob\n')
    clock.advance(5_000)
    await until('reload', () => log.entries.some(({ event }) => event.endsWith('-reloaded')))
    expect([await kind('old'), await kind('new')]).toEqual(['invalid', 'user'])
    stop.abort()
    await running
    expect(JSON.stringify(log.entries)).not.toMatch(/garbage|"new|"old/)
  })
})
