/** The recorder under a clock of its own, over what an adapter says at each look. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { RecordOptions } from '../../adapter/recordFlags.ts'
import { observationsIn } from '../../adapter/recording/observations.ts'
import { record } from '../../adapter/recording/record.ts'
import { TidelineError } from '../../src/errors.ts'
import type { Sample } from '../../src/model.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { temporaryFolder } from '../setup/running.ts'

const START_MS = 1_700_000_000_000
const folder = temporaryFolder()
afterAll(() => folder.remove())
let runs = 0
let place = ''
beforeEach(() => {
  place = join(folder.path, String(runs++))
  mkdirSync(place)
})

/** What the adapter says at a time; an error where it does not answer. */
type World = (ms: number) => Readonly<Record<string, number | 'stale' | 'declared'>> | TidelineError

const options = (changes: Partial<RecordOptions> = {}): RecordOptions => ({
  command: 'record',
  connection: { url: 'https://adapter', tls: { insecureSkipVerify: false }, headers: {} },
  signals: ['shop/depth'],
  everyMs: 15_000,
  forMs: 60_000,
  ...changes,
})

/** By `namespace/name` or `namespace/name group`. */
function samplesOf(seen: Readonly<Record<string, number | string>>, ms: number): Sample[] {
  return Object.entries(seen).flatMap(([name, value]) => {
    const [, namespace = '', signal = '', group = ''] = /^(\w+)\/(\w+) ?(.*)$/.exec(name) ?? []
    const sample = (metric: string, of: number, more: Record<string, string>): Sample => ({
      ...{ metric, value: of, kind: 'gauge', timestampMs: ms },
      labels: { namespace, signal, ...more },
    })
    const state = value === 'stale' ? 'stale' : 'fresh'
    const readings = sample('tideline_readings', 1, { state })
    if (typeof value !== 'number') return [readings]
    const own = group === '' ? {} : { group }
    return [
      readings,
      sample('tideline_signal_observed', value, own),
      sample('tideline_signal_observed_data_seconds', ms / 1000, own),
    ]
  })
}

async function recorded(world: World, changes: Partial<RecordOptions> = {}, afterMs = 0) {
  const clock = new ManualClock(START_MS + afterMs)
  const told = { out: '', progress: '' }
  const stopping = new AbortController()
  const recording = record(
    options(changes),
    {
      clock,
      async look() {
        const seen = world(clock.nowMs() - START_MS)
        if (seen instanceof TidelineError) throw seen
        return observationsIn(samplesOf(seen, clock.nowMs()))
      },
      out: { write: (text: string) => (told.out += text) },
      progress: { write: (text: string) => (told.progress += text) },
    },
    stopping.signal,
  )
  let over = false
  const end = () => {
    over = true
  }
  recording.then(end, end)
  // Files are written between the steps of this clock.
  while (!over) {
    if (clock.sleeping > 0) await clock.advance(1000)
    else await new Promise((resolve) => setImmediate(resolve))
  }
  return { rows: await recording, ...told }
}

/** Seconds after the start, and values. */
const rowsIn = (text: string) =>
  text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').map(Number))
    .map(([seconds = NaN, value]) => [seconds - START_MS / 1000, value])

/** The start is 5 s into an interval. */
describe('record', () => {
  test('writes the mean of each interval, ended when its end has come', async () => {
    const { out, rows, progress } = await recorded((ms) => ({ 'shop/depth': ms / 1000 }))
    // Looks at 0, 3, 6, 9 | 12, 15, … 24 | 27 …
    expect(rowsIn(out)).toEqual([
      [10, 4.5],
      [25, 18],
      [40, 33],
      [55, 48],
    ])
    expect(rows).toBe(4)
    expect(progress).toBe('shop/depth: 4 rows; no gap\n')
  })

  test('where there is no value is a gap, never a zero: told and counted by its cause', async () => {
    const { out, progress } = await recorded((ms) => {
      if (ms >= 11_000 && ms < 26_000) return { 'shop/depth': 'stale' }
      if (ms >= 41_000 && ms < 56_000) return new TidelineError('refused', 'nobody there')
      return { 'shop/depth': 6 }
    })
    expect(rowsIn(out)).toEqual([
      [10, 6],
      [40, 6],
    ])
    expect(progress.split('\n')).toEqual([
      '2023-11-14T22:13:32Z shop/depth has no value: 1 reading is stale',
      '2023-11-14T22:13:47Z shop/depth has a value again',
      '2023-11-14T22:14:02Z shop/depth has no value: the adapter does not answer: nobody there',
      '2023-11-14T22:14:17Z shop/depth has a value again',
      'shop/depth: 2 rows; gaps: stale for 1 rows, no answer (refused) for 1 rows',
      '',
    ])
  })

  test('a declared answer is none', async () => {
    const { out, rows, progress } = await recorded(() => ({ 'shop/depth': 'declared' }))
    expect(out).toBe('')
    expect(rows).toBe(0)
    expect(progress).toContain('has no value: a declared answer stands in for data')
    expect(progress).toContain('shop/depth: no row, there never was a value')
  })

  test('goes on with a file; what lies between is a gap', async () => {
    const out = join(place, 'depth.csv')
    await recorded(() => ({ 'shop/depth': 1 }), { out })
    const before = readFileSync(out, 'utf8')
    await recorded(() => ({ 'shop/depth': 2 }), { out }, 105_000)
    const after = readFileSync(out, 'utf8')
    expect(after.startsWith(before)).toBe(true)
    const rows = [10, 25, 40, 55].map((seconds) => [seconds, 1])
    expect(rowsIn(after)).toEqual([...rows, [115, 2], [130, 2], [145, 2], [160, 2]])
    await expect(recorded(() => ({ 'shop/depth': 1 }), { out })).rejects.toThrow(
      '--out ends at 2023-11-14T22:16:00Z, which is after now',
    )
  })

  test('what was recorded before the process ended is not recorded again', async () => {
    const out = join(place, 'depth.csv')
    await recorded(() => ({ 'shop/depth': 1 }), { out })
    await recorded(() => ({ 'shop/depth': 2 }), { out }, 51_000)
    const seconds = rowsIn(readFileSync(out, 'utf8')).map(([at]) => at)
    expect(seconds).toEqual([10, 25, 40, 55, 70, 85, 100])
  })

  test('several signals and groups go into a folder, each into its file', async () => {
    const world: World = () => ({
      'shop/depth': 1,
      'shop/seen zone=a,b': 2,
      'shop/seen zone=c/d': 3,
    })
    const { progress } = await recorded(world, { signals: ['depth', 'seen'], out: place })
    expect(readdirSync(place).toSorted()).toEqual([
      'shop.depth.csv',
      'shop.seen.zone=a,b.csv',
      'shop.seen.zone=c%2Fd.csv',
    ])
    expect(rowsIn(readFileSync(join(place, 'shop.seen.zone=a,b.csv'), 'utf8'))).toContainEqual([
      25, 2,
    ])
    expect(progress).toContain('shop/seen zone=c/d: 4 rows; no gap')
  })

  test('--group chooses, in any order of labels', async () => {
    const world: World = () => ({ 'shop/depth class=x,zone=a': 1, 'shop/depth class=x,zone=b': 2 })
    const { out } = await recorded(world, { group: 'zone=b,class=x' })
    expect(rowsIn(out)).toContainEqual([25, 2])
    await expect(recorded(world)).rejects.toThrow(
      'shop/depth has several groups (class=x,zone=a; class=x,zone=b): choose one by --group',
    )
    const none = await recorded(world, { group: 'zone=z' })
    expect(none.progress).toContain(
      'has no value: it has the groups class=x,zone=a; class=x,zone=b',
    )
  })

  test.each<[World, string]>([
    [
      () => ({ 'shop/other': 1 }),
      '--signal "shop/depth" is not known to the adapter: it has shop/other',
    ],
    [() => ({}), 'which has none'],
    [() => new TidelineError('unauthorized', 'answered 403'), 'answered 403'],
  ])('what is wrong from the start ends it', async (world, message) => {
    await expect(recorded(world)).rejects.toThrow(message)
  })

  test('a name alone will do where one namespace has it', async () => {
    const world: World = () => ({ 'shop/depth': 1, 'mail/depth': 2, 'mail/sent': 3 })
    expect((await recorded(world, { signals: ['sent'] })).rows).toBe(4)
    await expect(recorded(world, { signals: ['depth'] })).rejects.toThrow(
      '--signal "depth" is in several namespaces: shop/depth, mail/depth',
    )
  })
})
