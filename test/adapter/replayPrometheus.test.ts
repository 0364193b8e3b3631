/** `tideline replay --prometheus`, as users run it, against a real Prometheus that wants a password over TLS. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ramps } from '../forecast/loads.ts'
import { makeCertificates } from '../setup/certificates.ts'
import type { PrometheusServer } from '../setup/prometheusServer.ts'
import { startPrometheus } from '../setup/prometheusServer.ts'
import { temporaryFolder } from '../setup/running.ts'

const MAIN = join(import.meta.dirname, '../../adapter/main.ts')
/** bcrypt of the password, cost 4. */
const HASH = '$2b$04$abcdefghijklmnopqrstuupOWRSKKNe562z1DsLEArFuJDHVyRIMa'
const folder = temporaryFolder()
const at = (name: string) => join(folder.path, name)
const endMs = Math.floor(Date.now() / 15_000) * 15_000 - 60_000
const load = ramps(1200, 60, 1).map((value) => Number(value.toFixed(3)))
const rows = load.map((value, i) => ({ seconds: endMs / 1000 - (load.length - 1 - i) * 15, value }))

let prometheus: PrometheusServer
let flags: string[] = []

beforeAll(async () => {
  const { files } = makeCertificates(folder.path)
  const lines = rows.map(
    ({ seconds, value }) => `load ${value} ${seconds}\nhalf{of="load"} 1 ${seconds}`,
  )
  prometheus = await startPrometheus({
    targets: [],
    scrapeInterval: '1s',
    past: `${lines.join('\n')}\n# EOF\n`,
    web: {
      tls_server_config: { cert_file: files.cert, key_file: files.key },
      basic_auth_users: { tideline: HASH },
    },
  })
  writeFileSync(at('password'), 'correct-horse-battery\n')
  flags = [
    ...['replay', '--prometheus', `https://127.0.0.1:${prometheus.port}`],
    ...['--ca-file', files.ca, '--user', 'tideline', '--password-file', at('password')],
    ...['--from', '6h', '--query'],
  ]
}, 60_000)
afterAll(async () => {
  await prometheus?.stop()
  folder.remove()
})

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

function tideline(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    )
  })
}

describe('replay --prometheus', () => {
  test('answers as it does to the same load in a file, which it can keep', async () => {
    const asked = await tideline(...flags, 'load', '--save', at('kept.csv'), '--out', at('a.csv'))
    expect(asked).toMatchObject({ code: 0 })
    expect(asked.err).toContain('1/1 prometheus: fetching 1 of 1\n')
    const csv = rows.map(({ seconds, value }) => `${seconds},${value}\n`).join('')
    // After the last sample Prometheus repeats it for up to 5 minutes.
    expect(readFileSync(at('kept.csv'), 'utf8').startsWith(`t_seconds,value\n${csv}`)).toBe(true)
    const again = await tideline('replay', '--trace', at('kept.csv'), '--out', at('b.csv'))
    expect(again.out.replace('kept: ', 'prometheus: ')).toBe(asked.out)
    expect(readFileSync(at('b.csv'), 'utf8')).toBe(readFileSync(at('a.csv'), 'utf8'))
  })

  test('says where there is no sample, and that the step is finer than the data', async () => {
    const { err } = await tideline(...flags, 'load', '--step', '5s')
    expect(err).toMatch(/\d+ of \d+ steps have no sample: gaps, not zeros/)
    expect(err).toContain('changes every 15 s at most, the step is 5 s: if the data comes at that')
  })

  test('several series are refused by name, with the mend', async () => {
    const ran = await tideline(...flags, '{__name__=~"load|half"}')
    expect(ran).toMatchObject({ code: 1, out: '' })
    expect(ran.err).toMatch(/gave 2 series \(.*half\{of="load"\}.*sum/)
  })

  test.each([
    [['nothing'], 2, 'the query has 0 samples in that time: check'],
    [['load', '--to', '7h'], 2, '--from is not before --to'],
    [['load', '--user', 'someone'], 1, 'answered 401: check auth and tls'],
  ])('%j is refused', async (args, code, message) => {
    const ran = await tideline(...flags, ...args)
    expect(ran).toMatchObject({ code, out: '' })
    expect(ran.err).toContain(message)
  })

  test('a server that nobody vouches for is not asked', async () => {
    const ran = await tideline('replay', '--prometheus', flags[2] ?? '', '--query', 'load')
    expect(ran.code).toBe(1)
    expect(ran.err).toContain('certificate')
  })
})
