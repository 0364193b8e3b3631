import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { issueCertificate } from '../../adapter/security/selfSigned.ts'
import {
  openServingCertificate,
  readTlsMaterial,
  tlsWarnings,
} from '../../adapter/security/tlsMaterial.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { until } from '../kit/until.ts'
import { DAY_MS } from './certificates.ts'
import { ManualClock } from './manualClock.ts'

const NOW_MS = Date.now()
let folder: string
let paths: { certFile: string; keyFile: string }

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tideline-tls-'))
  paths = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
})
afterEach(() => rmSync(folder, { recursive: true }))

const pair = (commonName: string, days = 90) =>
  issueCertificate({
    commonName,
    dnsNames: ['metrics.monitoring.svc'],
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + days * DAY_MS,
  })

function write(cert: string, key: string) {
  writeFileSync(paths.certFile, cert)
  writeFileSync(paths.keyFile, key)
}

describe('readTlsMaterial', () => {
  test('gives the pair and its end', async () => {
    const one = pair('one')
    write(one.cert, one.key)
    const material = await readTlsMaterial(paths)
    expect(material).toMatchObject(one)
    expect(Math.abs(material.notAfterMs - (NOW_MS + 90 * DAY_MS))).toBeLessThan(1_000)
  })

  test('a key of another certificate names both files and tells nothing of the key', async () => {
    const other = pair('two')
    write(pair('one').cert, other.key)
    const error = await readTlsMaterial(paths).catch((thrown: unknown) => thrown as Error)
    expect(error).toMatchObject({ name: 'TidelineError', code: 'bad-response' })
    expect((error as Error).message).toContain(paths.certFile)
    expect((error as Error).message).toContain(paths.keyFile)
  })

  test('what is missing or no PEM is named', async () => {
    await expect(readTlsMaterial(paths)).rejects.toMatchObject({
      code: 'not-configured',
      message: expect.stringContaining('tls.'),
    })
    write(pair('one').cert, 'hunter2')
    await expect(readTlsMaterial(paths)).rejects.toMatchObject({
      code: 'bad-response',
      message: expect.not.stringContaining('hunter2'),
    })
    write('<html>', pair('one').key)
    await expect(readTlsMaterial(paths)).rejects.toThrow(paths.certFile)
    const one = pair('one')
    write(one.cert, one.key)
    await expect(readTlsMaterial({ ...paths, caFile: paths.keyFile })).rejects.toThrow(
      'holds no PEM certificate',
    )
  })
})

describe('tlsWarnings', () => {
  const warningsOf = (days: number, names: string[], nowMs = NOW_MS) => {
    const { cert, key } = pair('x', days)
    return tlsWarnings({ cert, key, notAfterMs: NOW_MS + days * DAY_MS }, names, nowMs)
  }
  test('a good one has none', () => {
    expect(warningsOf(90, ['metrics.monitoring.svc'])).toEqual([])
  })
  test('expired, soon expired, too early, a missing name', () => {
    expect(warningsOf(90, [], NOW_MS + 91 * DAY_MS)[0]).toMatch(/expired at \d{4}-/)
    expect(warningsOf(6, [])[0]).toMatch(/expires soon, at \d{4}-/)
    expect(warningsOf(90, [], NOW_MS - 2 * DAY_MS)[0]).toMatch(/not valid before \d{4}-/)
    expect(warningsOf(90, ['other.monitoring.svc'])[0]).toContain('other.monitoring.svc')
    expect(warningsOf(90, ['x'])[0]).toContain('does not name x')
  })
})

test('a served certificate follows its files, and stays when they break', async () => {
  const clock = new ManualClock(NOW_MS)
  const log = new RecordingLogger()
  // As a mounted Secret: files are links into a folder that is swapped as a whole.
  const publish = (name: string, cert: string, key: string) => {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'tls.crt'), cert)
    writeFileSync(join(folder, name, 'tls.key'), key)
    symlinkSync(name, join(folder, '..new'))
    renameSync(join(folder, '..new'), join(folder, '..data'))
  }
  symlinkSync('..data/tls.crt', paths.certFile)
  symlinkSync('..data/tls.key', paths.keyFile)
  const one = pair('one')
  publish('1', one.cert, one.key)
  const serving = await openServingCertificate(paths, { clock, log, expectedNames: [] })
  const peers: unknown[] = []
  const server = createServer({
    cert: one.cert,
    key: one.key,
    requestCert: true,
    rejectUnauthorized: false,
  })
  server.on('secureConnection', (socket) => peers.push(socket.getPeerCertificate().subject?.CN))
  const visitor = pair('visitor')
  serving.attach(server, {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const open = () =>
    new Promise<{ name: unknown; close: () => void; alive: () => boolean }>((resolve, reject) => {
      const socket = connect(
        { port, host: '127.0.0.1', rejectUnauthorized: false, ...visitor },
        () =>
          resolve({
            name: socket.getPeerCertificate().subject.CN,
            close: () => socket.destroy(),
            alive: () => socket.readyState === 'open',
          }),
      )
      socket.on('error', reject)
    })
  const stop = new AbortController()
  const running = serving.run(stop.signal)
  try {
    const before = await open()
    expect(before.name).toBe('one')
    publish('2', pair('two').cert, pair('other').key)
    clock.advance(5_000)
    await until('refusal', () => log.entries.some(({ event }) => event === 'tls-reload-refused'))
    await until('asleep again', () => clock.sleeping === 1)
    clock.advance(5_000)
    await until('asleep again', () => clock.sleeping === 1)
    expect(log.entries.filter(({ event }) => event === 'tls-reload-refused')).toHaveLength(1)
    const during = await open()
    expect(during.name).toBe('one')
    const three = pair('three', 30)
    publish('3', three.cert, three.key)
    clock.advance(5_000)
    await until('reload', () => log.entries.some(({ event }) => event === 'tls-reloaded'))
    const after = await open()
    expect(after.name).toBe('three')
    expect(before.alive()).toBe(true)
    await until('handshakes', () => peers.length === 3)
    expect(peers).toEqual(['visitor', 'visitor', 'visitor'])
    expect(serving.notAfterMs).toBeLessThan(NOW_MS + 31 * DAY_MS)
    for (const socket of [before, during, after]) socket.close()
  } finally {
    stop.abort()
    await running
    server.close()
  }
  expect(clock.sleeping).toBe(0)
  expect(JSON.stringify(log.entries)).not.toContain('PRIVATE')
})
