import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import type { ReplayOptions } from './commandLine.ts'
import type { HoldCause } from '../src/ports.ts'
import { replayPage } from './replayPage.ts'

/** What the engine makes of one row; the composition root gives it. */
export interface ReplayedRow {
  readonly seconds: number
  readonly value: number
  readonly exposed: number
  readonly forecastUpper: number | undefined
  readonly cause: HoldCause
  readonly reason: string
}

/** What a policy would have cost; see `src/replay/compare.ts`. */
export interface Standing {
  readonly name: string
  readonly usual: {
    readonly replicaHours: number
    readonly violations: number
    readonly flapsPerDay: number
  }
  readonly equal: { readonly replicaHours: number; readonly flapsPerDay: number }
}

export interface Replayed {
  readonly rows: readonly ReplayedRow[]
  readonly standings: readonly Standing[]
  readonly capacity: number
  /** Times of which nothing is known; they are not counted. */
  readonly gaps: readonly { readonly fromSeconds: number; readonly toSeconds: number }[]
}

/** A load to replay, read when its turn comes. */
export interface Load {
  readonly name: string
  read(say: (what: string) => void): Promise<readonly LoadRow[]>
}

/** `value` is the mean of the interval that ends at `seconds`. */
interface LoadRow {
  readonly seconds: number
  readonly value: number
}

type Run = (rows: readonly LoadRow[], progress: (what: string) => void) => Replayed

interface Streams {
  readonly out: { write(text: string): unknown }
  readonly progress: { write(text: string): unknown }
}

const HEADER = 't_seconds,exposed_value,stabilization_seconds,observed,forecast_upper,why'

/** Numbers for the column `why`, so that the file stays one of numbers; `--words` writes sentences instead. */
const CODES: Readonly<Record<HoldCause, number>> = {
  observed: 0,
  window: 1,
  forecast: 2,
  bounded: 3,
  'forecast-off': 4,
}

/**
 * Says what a signal would have answered to recorded loads, and what that would have cost. With several traces
 * `--out` is a folder.
 */
export async function writeReplay(
  options: ReplayOptions,
  loads: readonly Load[],
  run: Run,
  streams: Streams,
): Promise<void> {
  const several = loads.length > 1
  if (several && options.out !== undefined) await mkdir(options.out, { recursive: true })
  const pages = new Map<string, Replayed>()
  const ratios: number[] = []
  for (const [at, { name, read }] of loads.entries()) {
    const say = (what: string) =>
      streams.progress.write(`${at + 1}/${loads.length} ${name}: ${what}\n`)
    const replayed = run(await read(say), say)
    if (options.out !== undefined) {
      const file = several ? join(options.out, `${name}.csv`) : options.out
      await writeFile(file, rowsText(replayed.rows, options.words))
    }
    if (options.html !== undefined)
      pages.set(pages.has(name) ? `${name} (${at + 1})` : name, replayed)
    streams.out.write(standingsText(name, replayed))
    const [standard, asked] = replayed.standings
    if (standard && asked) ratios.push(asked.equal.replicaHours / standard.equal.replicaHours)
  }
  if (options.html !== undefined) await writeFile(options.html, replayPage(pages))
  const known = ratios.filter(Number.isFinite)
  if (several && known.length > 0) {
    const mean = Math.exp(known.reduce((sum, one) => sum + Math.log(one), 0) / known.length)
    streams.out.write(
      `geometric mean of the first policy over ${known.length} traces: ${mean.toFixed(3)}\nof the HPA default's replica-hours at equal violations\n`,
    )
  }
}

/** Loads in files, or folders of them. */
export async function loadsIn(
  paths: readonly string[],
  parse: (text: string) => readonly LoadRow[],
): Promise<readonly Load[]> {
  const files = (await Promise.all(paths.map(filesIn))).flat()
  return files.map((file) => ({
    name: basename(file, extname(file)),
    read: async () => parse(await readFile(file, 'utf8')),
  }))
}

async function filesIn(path: string): Promise<readonly string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const names = (await readdir(path)).filter((name) => /\.(csv|json)$/.test(name)).toSorted()
  if (names.length === 0) throw new RangeError(`--trace "${path}" has no .csv or .json file`)
  return names.map((name) => join(path, name))
}

function rowsText(rows: readonly ReplayedRow[], words: boolean): string {
  const lines = [HEADER]
  for (const { seconds, value, exposed, forecastUpper, cause, reason } of rows) {
    const why = words ? `"${reason.replaceAll('"', '""')}"` : CODES[cause]
    lines.push(`${seconds},${num(exposed)},0,${num(value)},${num(forecastUpper)},${why}`)
  }
  return `${lines.join('\n')}\n`
}

function standingsText(name: string, { rows, standings, capacity, gaps }: Replayed): string {
  const seen = new Map<HoldCause, number>()
  for (const { cause } of rows) seen.set(cause, (seen.get(cause) ?? 0) + 1)
  const causes = [...seen].map(([cause, count]) => `${CODES[cause]} ${cause}: ${count}`)
  const head = [`${name}: ${rows.length} rows`, ...gapsText(gaps)].join('; ')
  const why = `why: ${causes.join(', ')}`
  if (standings.length === 0) return `${head}; too short a time is known to compare\n${why}\n`
  const base = standings[0]?.equal.replicaHours ?? NaN
  const width = Math.max(12, ...standings.map((one) => one.name.length))
  const lines = standings.map(({ name: policy, usual, equal }) =>
    [
      policy.padEnd(width),
      usual.replicaHours.toFixed(1).padStart(11),
      `${(usual.violations * 100).toFixed(3)} %`.padStart(11),
      usual.flapsPerDay.toFixed(1).padStart(9),
      orNever(equal.replicaHours, 1).padStart(12),
      orNever(equal.replicaHours / base, 3).padStart(7),
      orNever(equal.flapsPerDay, 1).padStart(10),
    ].join(' '),
  )
  return [
    `${head}; a replica serves ${num(capacity, 3)}`,
    why,
    `${''.padEnd(width)} -------- target 70 % ---------  ---- equal violations -----`,
    `${'policy'.padEnd(width)} replica-h.  violations flaps/day  replica-h.  of HPA  flaps/day`,
    ...lines,
    '',
  ].join('\n')
}

/** None where there is none. */
function gapsText(gaps: Replayed['gaps']): readonly string[] {
  if (gaps.length === 0) return []
  const seconds = gaps.reduce((sum, { fromSeconds, toSeconds }) => sum + toSeconds - fromSeconds, 0)
  const long = seconds < 7200 ? `${num(seconds / 60, 3)} min` : `${num(seconds / 3600, 3)} h`
  return [`${gaps.length} gap${gaps.length === 1 ? '' : 's'} (${long}) not counted`]
}

function orNever(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : 'never'
}

function num(value: number | undefined, digits = 9): string {
  return value === undefined ? '' : String(Number(value.toPrecision(digits)))
}
