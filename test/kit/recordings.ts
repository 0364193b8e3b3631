/**
 * Recorded loads for tests to play. Ours are made from a seed, as a service would have recorded them; recordings of
 * real services are read from a folder of `t_seconds,value` files where there is one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import type { TraceRow } from '../../src/replay/replay.ts'
import { parseTrace } from '../../src/replay/traceText.ts'
import { poisson, random } from '../forecast/loads.ts'

export interface Recording {
  readonly name: string
  /** Each the mean rate of the interval that ends then. */
  readonly rows: readonly TraceRow[]
}

/** Names a folder; its files are played after ours. */
const FOLDER = 'TIDELINE_RECORDINGS'
const ROW_S = 15

/** Requests a second, as counted each 15 s. */
function recorded(
  name: string,
  { minutes, seed }: { readonly minutes: number; readonly seed: number },
  rateAt: (minute: number) => number,
): Recording {
  const next = random(seed)
  const rows = Array.from({ length: (minutes * 60) / ROW_S }, (_, at) => ({
    seconds: (at + 1) * ROW_S,
    value: poisson(rateAt((at * ROW_S) / 60), next),
  }))
  return { name, rows }
}

/** An evening: users go one by one, most of them within a few minutes. */
const decline = recorded(
  'decline',
  { minutes: 12, seed: 1 },
  (minute) => 25 + 95 / (1 + Math.exp((minute - 5) / 1.2)),
)

/** Work that comes in batches of three minutes, which follow each other within less than five. */
const pulse = recorded('pulse', { minutes: 12, seed: 1 }, (minute) => {
  const begun = [0.5, 7.25].filter((begin) => begin <= minute).at(-1) ?? -Infinity
  return minute - begun < 3 ? 120 : 25
})

/**
 * A day of a service that batches of twelve minutes reach each half hour of the working day. The last one begins at
 * half past six.
 */
export function batchDay(seed: number): Recording {
  return recorded('batch day', { minutes: 24 * 60, seed }, (minute) => {
    const working = minute >= 10 * 60 && minute < 19 * 60
    return working && minute % 30 < 12 ? 120 : 30
  })
}

/** Ours, and those of the folder; says so where there is none. */
export function recordings(): readonly Recording[] {
  const folder = process.env[FOLDER]
  if (folder !== undefined) return [decline, pulse, ...recordingsIn(folder)]
  console.info(`${FOLDER} names no folder with recordings: only our own are played`)
  return [decline, pulse]
}

function recordingsIn(folder: string): readonly Recording[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.csv'))
  if (names.length === 0) throw new Error(`${FOLDER}: ${folder} has no .csv file`)
  return names.toSorted().map((name) => {
    const rows = parseTrace(readFileSync(join(folder, name), 'utf8'))
    return { name: basename(name, extname(name)), rows }
  })
}

/** Values a second apart when a recording is played so many times faster, of which the largest becomes `peak`. */
export function played(
  { rows }: Recording,
  { pace, peak }: { readonly pace: number; readonly peak: number },
): readonly number[] {
  const [first] = rows
  const last = rows.at(-1)
  if (first === undefined || last === undefined) return []
  const scale = peak / Math.max(...rows.map(({ value }) => value))
  const fromS = first.seconds - ((rows[1] ?? first).seconds - first.seconds)
  const length = Math.floor((last.seconds - fromS) / pace)
  return Array.from({ length }, (_, second) => {
    const row = rows.find(({ seconds }) => seconds > fromS + second * pace) ?? last
    return Math.max(1, Math.round(row.value * scale))
  })
}
