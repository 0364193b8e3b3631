/** The file alone: sizes and damage. Restarts are shown with a whole adapter: test/adapter/state.test.ts */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import type { Clock } from '../../src/ports.ts'
import { openState } from '../../src/store/stateFile.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { temporaryFolder } from '../setup/running.ts'

const folder = temporaryFolder()
const file = join(folder.path, 'state')
const MIB = 1024 * 1024

afterAll(() => folder.remove())

/** Writes once, as an adapter that is stopped does. */
async function written(entries: Iterable<unknown>, bytesMax?: number): Promise<readonly string[]> {
  const stopping = new AbortController()
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: () => Promise.resolve(stopping.abort()),
  }
  const log = new RecordingLogger()
  const engine = { remember: () => entries, recall: () => {} }
  const deps = { clock, log, ...(bytesMax === undefined ? {} : { bytesMax }) }
  const [writing] = await openState({ file, every: 1000 }, engine, deps)
  log.entries.length = 0
  await writing?.run(stopping.signal)
  return log.entries.map(({ event }) => event)
}

async function recalled(): Promise<{ entries: readonly unknown[]; events: readonly string[] }> {
  const log = new RecordingLogger()
  let entries: readonly unknown[] = []
  const engine = {
    remember: () => [],
    recall: (told: readonly unknown[]) => void (entries = told),
  }
  const clock: Clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() }
  await openState({ file, every: 1000 }, engine, { clock, log })
  return { entries, events: log.entries.map(({ event }) => event) }
}

/** With no name that the format keeps for itself. */
const values = fc
  .array(fc.jsonValue({ stringUnit: 'binary' }))
  .map((entries) => JSON.parse(JSON.stringify(entries)) as unknown[])

test('what was written comes back, whatever is in it', async () => {
  await fc.assert(
    fc.asyncProperty(values, fc.array(fc.uint8Array()), async (plain, bytes) => {
      const entries = [...plain, { deep: [{ bytes }] }, ...bytes]
      expect(await written(entries)).toEqual([])
      const { entries: found, events } = await recalled()
      expect(events).toEqual([])
      expect(found.slice(0, plain.length)).toEqual(plain)
      const [deep, ...flat] = found.slice(plain.length) as [
        { deep: [{ bytes: Uint8Array[] }] },
        ...Uint8Array[],
      ]
      for (const list of [deep.deep[0].bytes, flat])
        expect(list.map((one) => [...one])).toEqual(bytes.map((one) => [...one]))
    }),
    { numRuns: 30 },
  )
})

test('entries of many sizes fill several blocks', async () => {
  const entries = Array.from({ length: 300 }, (_, at) => ({
    at,
    what: new Uint8Array(randomBytes(at * 60)),
  }))
  await written(entries)
  expect(statSync(file).size).toBeGreaterThan(2 * MIB)
  const { entries: found } = await recalled()
  expect(found).toHaveLength(300)
  for (const [at, one] of (found as typeof entries).entries()) {
    expect(one.at).toBe(at)
    expect(Buffer.compare(one.what, entries[at]?.what ?? Buffer.of())).toBe(0)
  }
})

test('what has no room is not written, not even made, and the log says so', async () => {
  let made = 0
  const entries = function* () {
    for (; made < 100; made++) yield { made, what: new Uint8Array(randomBytes(MIB / 4)) }
  }
  expect(await written(entries(), 2 * MIB)).toEqual(['state-too-large'])
  expect(statSync(file).size).toBeLessThanOrEqual(2 * MIB)
  expect(made).toBeLessThanOrEqual(8)
  const { entries: found, events } = await recalled()
  expect(events).toEqual([])
  expect(found).toHaveLength(6)
  expect(found[3]).toMatchObject({ made: 3 })
})

test('a damaged file is moved aside, wherever the damage is, and nothing of it is taken', async () => {
  await written([{ a: 1 }, { b: 'x'.repeat(100), c: Uint8Array.of(1, 2, 3) }])
  const whole = readFileSync(file)
  const each = Array.from({ length: whole.length }, (_, at) => at)
  const damages = [
    ...each.map((at) => whole.subarray(0, at)),
    ...each.map((at) => Buffer.from(whole.map((byte, place) => (place === at ? ~byte : byte)))),
    Buffer.concat([whole, Buffer.of(0)]),
    Buffer.from('tideline-state 1\n'),
  ]
  for (const damaged of damages) {
    writeFileSync(file, damaged)
    expect(await recalled()).toEqual({ entries: [], events: ['state-corrupt'] })
    expect(existsSync(file)).toBe(false)
    expect(readFileSync(`${file}.corrupt`).equals(damaged)).toBe(true)
  }
})

test('a file that cannot be read is no damaged one, and stays', async () => {
  rmSync(file, { force: true })
  mkdirSync(file)
  expect(await recalled()).toEqual({ entries: [], events: ['state-not-read'] })
  expect(existsSync(file)).toBe(true)
})
