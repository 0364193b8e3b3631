import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { TidelineError } from '../../src/errors.ts'
import type { Clock } from '../../src/ports.ts'
import type { RecordOptions } from '../recordFlags.ts'
import { instant } from '../instant.ts'
import type { Observations } from './observations.ts'
import { openTraceFile, streamSink } from './traceFile.ts'
import type { RowSink } from './traceFile.ts'
import type { Nothing } from './track.ts'
import { Silence, Track } from './track.ts'

export interface RecordDeps {
  readonly clock: Clock
  /** Asks the adapter. Rejects with `TidelineError`. */
  look(signal: AbortSignal): Promise<ReadonlyMap<string, Observations>>
  readonly out: { write(text: string): unknown }
  readonly progress: { write(text: string): unknown }
}

/** Looks for each row: a value is the mean of what was observed in its interval. */
const LOOKS = 5

/**
 * Writes what signals of a live adapter observe as traces, until `stopping` aborts or the time is over. While there
 * is no value nothing is written: that is told and counted, with why. Resolves with the number of rows.
 */
export async function record(
  options: RecordOptions,
  deps: RecordDeps,
  stopping: AbortSignal,
): Promise<number> {
  const { clock } = deps
  const first = await deps.look(stopping)
  const signals = options.signals.map((name) => signalNamed(name, first))
  const recorder = new Recorder(options, signals, await folderOf(options), deps)
  const endMs = options.forMs === undefined ? Infinity : clock.monotonicMs() + options.forMs
  const paceMs = Math.max(1, Math.floor(options.everyMs / LOOKS))
  await recorder.take(first)
  for (;;) {
    const leftMs = endMs - clock.monotonicMs()
    if (leftMs > 0) await clock.sleep(Math.min(paceMs, leftMs), stopping)
    if (leftMs <= 0 || stopping.aborted) break
    const seen = await deps.look(stopping).catch(failed)
    if (!stopping.aborted) await recorder.take(seen)
  }
  return await recorder.end()
}

function failed(thrown: unknown): TidelineError {
  if (thrown instanceof TidelineError) return thrown
  throw thrown
}

/** The signal's id; a name alone will do where one namespace has it. */
function signalNamed(name: string, known: ReadonlyMap<string, Observations>): string {
  const found = [...known.keys()].filter((id) => id === name || id.endsWith(`/${name}`))
  const [id] = found
  if (found.length > 1)
    throw new RangeError(`--signal "${name}" is in several namespaces: ${found.join(', ')}`)
  if (id !== undefined) return id
  const all = [...known.keys()].toSorted()
  const shown = all.length > 20 ? [...all.slice(0, 20), `and ${all.length - 20} more`] : all
  throw new RangeError(
    `--signal "${name}" is not known to the adapter${all.length === 0 ? ', which has none' : `: it has ${shown.join(', ')}`}`,
  )
}

class Recorder {
  readonly #options: RecordOptions
  readonly #folder: string | undefined
  readonly #deps: RecordDeps
  /** What is written of each signal, by group. */
  readonly #signals: ReadonlyMap<string, { tracks: Map<string, Track>; silence: Silence }>

  constructor(
    options: RecordOptions,
    signals: readonly string[],
    folder: string | undefined,
    deps: RecordDeps,
  ) {
    this.#options = options
    this.#folder = folder
    this.#deps = deps
    this.#signals = new Map(
      signals.map((id) => [id, { tracks: new Map(), silence: this.#silence(id) }]),
    )
  }

  /** What a look brought, or why it brought nothing. */
  async take(seen: ReadonlyMap<string, Observations> | TidelineError): Promise<void> {
    const lateMs = this.#deps.clock.nowMs() - this.#options.everyMs
    for (const [id, { tracks, silence }] of this.#signals) {
      const told = seen instanceof TidelineError ? undefined : seen.get(id)
      const groups = told?.groups ?? new Map<string, never>()
      await this.#open(id, tracks, [...groups.keys()])
      const nothing = seen instanceof TidelineError ? noAnswer(seen) : whyNone(told)
      if (tracks.size === 0) silence.see(nothing)
      for (const [group, track] of tracks) {
        const one = groups.get(group)
        track.silence.see(one === undefined ? nothing : undefined)
        if (one !== undefined) await track.add(one.value, one.dataMs)
        await track.close(lateMs)
      }
    }
  }

  /** Writes rows of intervals that are over, says what there is, and counts rows. */
  async end(): Promise<number> {
    const { clock, progress } = this.#deps
    let rows = 0
    for (const { tracks, silence } of this.#signals.values()) {
      if (tracks.size === 0) progress.write(`${silence.name}: no row, there never was a value\n`)
      for (const track of tracks.values()) {
        await track.close(clock.nowMs())
        rows += track.rows
        const gaps = track.silence.account(this.#options.everyMs)
        const told = gaps === undefined ? 'no gap' : `gaps: ${gaps}`
        progress.write(`${track.silence.name}: ${track.rows} rows; ${told}\n`)
      }
    }
    return rows
  }

  /** Begins traces of groups that are wanted and new. Into a file, or a stream, goes only one. */
  async #open(id: string, tracks: Map<string, Track>, groups: readonly string[]): Promise<void> {
    const wanted = groups.filter((group) => isWanted(this.#options, group))
    if (this.#folder === undefined && tracks.size > 0) return
    if (this.#folder === undefined && wanted.length > 1)
      throw new RangeError(
        `${id} has several groups (${wanted.toSorted().join('; ')}): choose one by --group, or name a folder by --out, such as traces/`,
      )
    for (const group of wanted) {
      if (tracks.has(group)) continue
      const sink = await sinkOf(this.#options, this.#folder, { id, group, out: this.#deps.out })
      if (sink.lastMs > this.#deps.clock.nowMs() + this.#options.everyMs)
        throw new RangeError(
          `--out ends at ${instant(sink.lastMs)}, which is after now: name another file`,
        )
      const silence = this.#silence(group === '' ? id : `${id} ${group}`)
      tracks.set(group, new Track(silence, sink, this.#options.everyMs))
    }
  }

  #silence(name: string): Silence {
    return new Silence(name, this.#deps.clock, this.#deps.progress)
  }
}

function isWanted({ group }: RecordOptions, found: string): boolean {
  if (group === undefined || group === found) return true
  return group.split(',').toSorted().join(',') === found
}

/** A folder is named with a slash, is there, or is needed for several signals. */
async function folderOf({ out, signals }: RecordOptions): Promise<string | undefined> {
  if (out === undefined) return undefined
  const there = await stat(out).catch(() => undefined)
  const isFolder = there?.isDirectory() ?? (out.endsWith('/') || signals.length > 1)
  if (!isFolder) return undefined
  await mkdir(out, { recursive: true })
  return out
}

async function sinkOf(
  { out }: RecordOptions,
  folder: string | undefined,
  track: { id: string; group: string; out: RecordDeps['out'] },
): Promise<RowSink> {
  if (out === undefined) return streamSink(track.out)
  if (folder === undefined) return await openTraceFile(out)
  const parts = [...track.id.split('/'), ...(track.group === '' ? [] : [track.group])]
  const name = parts.map(encodeURIComponent).join('.').replaceAll('%3D', '=').replaceAll('%2C', ',')
  return await openTraceFile(join(folder, `${name}.csv`))
}

function noAnswer({ code, message }: TidelineError): Nothing {
  return { cause: `no answer (${code})`, message: `the adapter does not answer: ${message}` }
}

/** Why the adapter tells of no observation. */
function whyNone(seen: Observations | undefined): Nothing {
  if (seen === undefined)
    return { cause: 'no such signal', message: 'the adapter has no such signal any more' }
  const { leftOut, states, groups } = seen
  if (leftOut > 0)
    return {
      cause: 'too many groups',
      message: `it has ${leftOut} groups, too many to be told of one by one`,
    }
  const bad = [...states].filter(([state]) => state !== 'fresh')
  if (bad.length > 0) {
    const told = bad.map(
      ([state, count]) => `${count} ${count === 1 ? 'reading is' : 'readings are'} ${state}`,
    )
    return { cause: bad.map(([state]) => state).join(' and '), message: told.join(', ') }
  }
  return groups.size > 0
    ? {
        cause: 'no such group',
        message: `it has the groups ${[...groups.keys()].toSorted().join('; ')}`,
      }
    : { cause: 'a declared answer', message: 'a declared answer stands in for data' }
}
