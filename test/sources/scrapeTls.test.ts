import { mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { Server, ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { scrapeSource } from '../../src/sources/scrape.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { RecordingSink } from '../kit/recordingSink.ts'
import { secretsFrom } from '../kit/trial.ts'
import { until } from '../kit/until.ts'
import { makeCertificates } from '../setup/certificates.ts'
import type { Certificates } from '../setup/certificates.ts'

let folder = ''
let pem: Certificates
let other: Certificates
let server: Server
let stop = new AbortController()
let running: Promise<void> = Promise.resolve()
let sink = new RecordingSink()

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scrape-tls-'))
  const second = mkdtempSync(join(folder, 'other-'))
  pem = makeCertificates(folder)
  other = makeCertificates(second)
})
afterAll(() => rmSync(folder, { recursive: true }))

afterEach(async () => {
  stop.abort()
  await running
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
})

async function serve(options: ServerOptions = {}): Promise<string> {
  const { cert, key } = pem
  server = createServer({ cert, key, ...options }, (_, response) => response.end('up 1\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
}

function scrape(url: string, tls: unknown, secrets: Record<string, string> = {}): void {
  sink = new RecordingSink()
  stop = new AbortController()
  const raw = { targets: [{ url }], interval: '1s', ...(tls === undefined ? {} : { tls }) }
  running = scrapeSource
    .create(scrapeSource.schema.parse(raw), {
      name: 'tls',
      clock: systemClock,
      sink,
      log: new RecordingLogger(),
      secrets: secretsFrom(secrets),
    })
    .run(stop.signal)
}

const batch = () => until('a batch', () => sink.batches[0])
const failure = () => until('a failure', () => sink.failures[0])
const CA = { ca: { file: 'ca' } }

test('an authority that is given is trusted', async () => {
  scrape(await serve(), CA, { ca: pem.ca })
  await batch()
  expect(sink.failures).toEqual([])
})

test('a certificate of no known authority is not believed', async () => {
  scrape(await serve(), undefined)
  expect(await failure()).toMatchObject({ code: 'unauthorized' })
})

test('nor one of another authority, until that is rotated in', async () => {
  const secrets = { ca: other.ca }
  scrape(await serve(), CA, secrets)
  expect(await failure()).toMatchObject({ code: 'unauthorized' })
  secrets.ca = pem.ca
  await batch()
})

test('nor one for another name', async () => {
  scrape(await serve(), { ...CA, serverName: 'elsewhere.test' }, { ca: pem.ca })
  expect(await failure()).toMatchObject({ code: 'unauthorized' })
})

test('unless that is asked for by name', async () => {
  scrape(await serve(), { insecureSkipVerify: true })
  await batch()
})

test('a certificate of ours is shown; without it there is no answer', async () => {
  const url = await serve({ ca: pem.ca, requestCert: true, rejectUnauthorized: true })
  scrape(url, CA, { ca: pem.ca })
  expect(await failure()).toMatchObject({ code: 'unauthorized' })
  stop.abort()
  await running
  scrape(
    url,
    { ...CA, cert: { file: 'cert' }, key: { file: 'key' } },
    { ca: pem.ca, cert: pem.cert, key: pem.key },
  )
  await batch()
})

test('plain HTTP where TLS is spoken is a bad response', async () => {
  const url = await serve()
  scrape(url.replace('https:', 'http:'), undefined)
  expect(['bad-response', 'refused']).toContain((await failure()).code)
})
