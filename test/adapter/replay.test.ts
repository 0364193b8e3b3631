import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ramps } from '../forecast/loads.ts'

const root = resolve(import.meta.dirname, '../..')
let folder = ''
const load = ramps(2000, 60, 1)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tideline-replay-'))
  const rows = load.map((value, i) => `${(i + 1) * 15},${value.toFixed(4)}`)
  writeFileSync(join(folder, 'trace.csv'), `t_seconds,value\n${rows.join('\n')}\n`)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function tideline(...args: string[]): string {
  return execFileSync(process.execPath, ['adapter/main.ts', ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: 'pipe',
  })
}

function replayed(...args: string[]): Record<string, string>[] {
  const out = join(folder, 'out.csv')
  tideline('replay', '--trace', join(folder, 'trace.csv'), '--out', out, ...args)
  const [header = '', ...lines] = readFileSync(out, 'utf8').trim().split('\n')
  expect(header).toBe('t_seconds,exposed_value,stabilization_seconds,observed,forecast_upper,why')
  const names = header.split(',')
  return lines.map((line) =>
    Object.fromEntries(names.map((name, i) => [name, line.split(',')[i] ?? ''])),
  )
}

describe('tideline replay', () => {
  test.each(['predictive', 'table', 'fixed:300'])('%s answers every row', (policy) => {
    const rows = replayed('--policy', policy)
    expect(rows).toHaveLength(load.length)
    for (const row of rows)
      expect(Number(row['exposed_value'])).toBeGreaterThanOrEqual(Number(row['observed']))
  })

  test('the start-up time is the horizon', () => {
    const exposed = (delay: string) =>
      replayed('--start-delay', delay).map((row) => row['exposed_value'])
    expect(exposed('30')).not.toEqual(exposed('180'))
  })

  test('--words writes why', () => {
    const rows = replayed('--words', '--policy', 'fixed:60')
    expect(
      rows.some((row) => /^"held until \d+ s: highest value of the last 60 s \(fixed window\)"$/.test(row['why'] ?? '')), // prettier-ignore
    ).toBe(true)
  })

  test('--signal takes policy and bounds of a Signal', () => {
    const file = join(folder, 'signal.yaml')
    writeFileSync(file, signal('{ policy: fixed, window: 60s }'))
    const exposed = (...args: string[]) => replayed(...args).map((row) => row['exposed_value'])
    expect(exposed('--signal', file)).toEqual(exposed('--policy', 'fixed:60'))
    writeFileSync(file, signal('{ policy: fixed }'))
    expect(() => tideline('replay', '--trace', 'a', '--signal', file)).toThrow(
      'say how long the fixed window is',
    )
  })

  test('--html writes one page that needs nothing else', () => {
    const page = join(folder, 'page.html')
    tideline('replay', '--trace', join(folder, 'trace.csv'), '--html', page)
    const text = readFileSync(page, 'utf8')
    expect(text.match(/<path /g)).toHaveLength(3)
    for (const name of ['HPA default', 'predictive', 'table', 'fixed:300'])
      expect(text).toContain(`<td>${name}</td>`)
    expect(text).not.toMatch(/NaN|undefined|<script|src=|href=|url\(/)
  })

  test('a folder of traces: each policy beside the default of the HPA', () => {
    const traces = join(folder, 'traces')
    mkdirSync(traces)
    for (const name of ['a.csv', 'b.csv'])
      copyFileSync(join(folder, 'trace.csv'), join(traces, name))
    const text = tideline('replay', '--trace', traces, '--out', join(folder, 'outs'))
    const named = text.split('\n').map((line) => line.split(/[ :]/)[0])
    for (const name of ['a', 'b']) expect(named).toContain(name)
    const policies = ['HPA', 'predictive', 'table', 'fixed']
    expect(named.filter((one) => policies.includes(one ?? ''))).toEqual([...policies, ...policies])
    expect(text).toContain('geometric mean of the first policy over 2 traces')
    expect(readdirSync(join(folder, 'outs'))).toEqual(['a.csv', 'b.csv'])
  })

  test('one of several that cannot be read is told of, and the others go on', () => {
    const traces = join(folder, 'some')
    mkdirSync(traces)
    copyFileSync(join(folder, 'trace.csv'), join(traces, 'a.csv'))
    writeFileSync(join(traces, 'b.csv'), 't_seconds,value\n15,x\n')
    const [again, outs] = [join(folder, 'trace.csv'), join(folder, 'outs-of-some')]
    const page = join(folder, 'some.html')
    const files = ['--trace', traces, '--trace', again, '--trace', again]
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ['adapter/main.ts', 'replay', ...files, '--out', outs, '--html', page],
      { cwd: root, encoding: 'utf8' },
    )
    expect(status).toBe(1)
    expect(stderr).toContain('b.csv: line 2: t_seconds and value must be numbers: value is "x"')
    expect(stderr).toContain('1 of 4 traces were left out')
    expect(stdout).toContain('over 3 traces')
    // Two of one name: none takes the place of the other.
    expect(readdirSync(outs)).toEqual(['a.csv', 'trace (2).csv', 'trace.csv'])
    expect(readFileSync(page, 'utf8').match(/<h2>/g)).toHaveLength(3)
  })

  test('act: behavior is replayed as it acts', () => {
    const file = join(folder, 'behavior.yaml')
    writeFileSync(file, signal('{ act: behavior, policy: fixed, window: 10m }'))
    const rows = replayed('--signal', file, '--words')
    for (const row of rows) expect(row['exposed_value']).toBe(row['observed'])
    const windows = new Set(rows.map((row) => Number(row['stabilization_seconds'])))
    expect(Math.min(...windows)).toBeGreaterThanOrEqual(0)
    expect(windows.size).toBeGreaterThan(1)
    const page = join(folder, 'behavior.html')
    tideline('replay', '--trace', join(folder, 'trace.csv'), '--signal', file, '--html', page)
    const text = readFileSync(page, 'utf8')
    expect(text).toContain('held by the HPA, as depth says')
    const [observed, inHpa] = ['load', 'held'].map((kind) => new RegExp(`class="${kind}" d="([^"]*)"`).exec(text)?.[1]) // prettier-ignore
    expect(inHpa).toMatch(/^M/)
    expect(inHpa).not.toBe(observed)
    const held = replayed('--policy', 'fixed:600').map((row) => row['stabilization_seconds'])
    expect(new Set(held)).toEqual(new Set(['0']))
  })

  test('a gap is told and shown, and no curve goes over it', () => {
    const [file, page] = [join(folder, 'gap.csv'), join(folder, 'gap.html')]
    const rows = load.map((value, i) => `${1_700_000_000 + (i < 1000 ? i : i + 240) * 15},${value}`)
    writeFileSync(file, `t_seconds,value\n${rows.join('\n')}\n`)
    const out = join(folder, 'gap.out.csv')
    const outs = ['--out', out, '--words', '--html', page]
    const text = tideline('replay', '--trace', file, '--policy', 'table', ...outs)
    expect(readFileSync(out, 'utf8')).toMatch(/"held until 2023-11-1\dT\d\d:\d\d:\d\dZ: highest/)
    expect(text).toContain('gap: 2000 rows; 1 gap (60 min) not counted; a replica serves')
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    const shown = readFileSync(page, 'utf8')
    expect(shown.match(/<rect /g)).toHaveLength(1)
    const curves = [...shown.matchAll(/<path class="(\w+)" d="([^"]*)"/g)]
    const pieces = curves.map(([, kind, line = '']) => [kind, line.split('M').length - 1])
    expect(pieces).toEqual([
      ['load', 2],
      ['upper', 0],
      ['held', 2],
    ])
    expect(shown).toContain('From 2023-11-14T22:13:20Z to ')
  })

  test('of less than a minute it answers, and compares nothing', () => {
    const [file, page] = [join(folder, 'short.csv'), join(folder, 'short.html')]
    writeFileSync(file, 't_seconds,value\n1,5\n2,7\n3,2\n')
    const text = tideline('replay', '--trace', file, '--policy', 'fixed:60', '--html', page)
    expect(text).toContain('short: 3 rows')
    expect(text).toContain('too short a time is known to compare')
    expect(readFileSync(page, 'utf8')).not.toMatch(/NaN|undefined|<table/)
  })

  test.each([
    [['replay'], 'replay needs --trace FILE'],
    [['replay', '--trace', 'a', '--out', 'b', '--policy', 'best'], '--policy is "best"'],
    [['replay', '--trace', 'a', '--out', 'b', '--start-delay', '0'], '--start-delay is "0"'],
  ])('%j is refused', (args, message) => {
    expect(() => tideline(...args)).toThrow(message)
  })
})

function signal(stabilize: string): string {
  return `apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: { namespace: shop, name: depth }
spec:
  source: jobs
  select: { metric: depth }
  expose: { external: { name: depth } }
  stabilize: ${stabilize}
`
}
