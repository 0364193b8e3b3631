import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import type { ReplayOptions } from './commandLine.ts'
import type { HoldCause } from '../src/ports.ts'
import { messageOf } from '../src/errors.ts'
import { instant } from './instant.ts'
import { replayPage, UNIX_FROM } from './replayPage.ts'

/** What the engine makes of one row; the composition root gives it. */
export interface ReplayedRow {
  readonly seconds: number
  readonly value: number
  readonly exposed: number
  readonly windowSeconds: number
  readonly forecastUpper: number | undefined
  readonly cause: HoldCause
  readonly reason: string
  /** Where the value is held. */
  readonly untilSeconds: number | undefined
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
  /** Why there are none. */
  readonly incomparable?: string
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
 * `--out` is a folder. One of several that cannot be read is told of, and the others go on; the exit code is 1 then.
 */
export async function writeReplay(
  options: ReplayOptions,
  loads: readonly Load[],
  run: Run,
  streams: Streams,
): Promise<number> {
  const several = loads.length > 1
  const folder = options.out === undefined ? undefined : await folderOf(options.out, several)
  const pages = new Map<string, Replayed>()
  const ratios: number[] = []
  let failed = 0
  for (const [at, { name, read }] of withOwnNames(loads).entries()) {
    const say = (what: string) =>
      streams.progress.write(`${at + 1}/${loads.length} ${name}: ${what}\n`)
    let replayed: Replayed
    try {
      replayed = run(await read(say), say)
    } catch (thrown) {
      if (!several) throw thrown
      say(`left out: ${messageOf(thrown)}`)
      failed += 1
      continue
    }
    if (options.out !== undefined) {
      const file = folder === undefined ? options.out : join(folder, `${name}.csv`)
      await writeFile(file, rowsText(replayed.rows, options.words))
    }
    if (options.html !== undefined) pages.set(name, replayed)
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
  if (failed > 0) streams.progress.write(`${failed} of ${loads.length} traces were left out\n`)
  return failed > 0 ? 1 : 0
}

/** Where the answers of each trace go to a file of their own: several of them, or into a folder that is there. */
async function folderOf(out: string, several: boolean): Promise<string | undefined> {
  if (several) {
    await mkdir(out, { recursive: true })
    return out
  }
  const isFolder = await stat(out).then((found) => found.isDirectory(), () => false) // prettier-ignore
  return isFolder ? out : undefined
}

/** Loads of the same name, from several folders, are numbered: none takes the place of another. */
function withOwnNames(loads: readonly Load[]): readonly Load[] {
  const taken = new Set<string>()
  return loads.map(({ name, read }) => {
    let own = name
    for (let number = 2; taken.has(own); number++) own = `${name} (${number})`
    taken.add(own)
    return { name: own, read }
  })
}

/** Loads in files, or folders of them. */
export async function loadsIn(
  paths: readonly string[],
  parse: (text: string, say: (what: string) => void) => readonly LoadRow[],
): Promise<readonly Load[]> {
  const files = (await Promise.all(paths.map(filesIn))).flat()
  return files.map((file) => ({
    name: basename(file, extname(file)),
    read: async (say) => {
      const text = await readFile(file, 'utf8')
      try {
        return parse(text, say)
      } catch (thrown) {
        throw new RangeError(`${file}: ${messageOf(thrown)}`, { cause: thrown })
      }
    },
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
  for (const row of rows) {
    const { seconds, value, exposed, windowSeconds, forecastUpper, cause } = row
    const why = words ? `"${wordsOf(row).replaceAll('"', '""')}"` : CODES[cause]
    const numbers = [num(exposed), windowSeconds, num(value), num(forecastUpper)]
    lines.push(`${seconds},${numbers.join(',')},${why}`)
  }
  return `${lines.join('\n')}\n`
}

/** As "held until 2026-05-04T14:07:00Z: …"; of a trace with a beginning of its own, in its seconds. */
function wordsOf({ reason, untilSeconds }: ReplayedRow): string {
  if (untilSeconds === undefined) return reason
  const until =
    untilSeconds > UNIX_FROM ? instant(untilSeconds * 1000) : `${Math.round(untilSeconds)} s`
  return `held until ${until}: ${reason}`
}

function standingsText(name: string, replayed: Replayed): string {
  const { rows, standings, capacity, gaps, incomparable } = replayed
  const seen = new Map<HoldCause, number>()
  for (const { cause } of rows) seen.set(cause, (seen.get(cause) ?? 0) + 1)
  const causes = [...seen].map(([cause, count]) => `${CODES[cause]} ${cause}: ${count}`)
  const head = [`${name}: ${rows.length} rows`, ...gapsText(gaps)].join('; ')
  const why = `why: ${causes.join(', ')}`
  if (standings.length === 0) return `${head}; ${incomparable ?? 'nothing to compare'}\n${why}\n`
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
