import { open, rename } from 'node:fs/promises'
import type { Clock, Component, Logger } from '../ports.ts'
import { messageOf } from '../errors.ts'
import { readEntries, writeEntries } from './stateFormat.ts'

/** What is more is left out, so that neither the disk nor the time of a write grows without bound. */
const BYTES_MAX = 128 * 1024 * 1024

/** What an engine remembers, entry by entry as JSON and arrays of bytes can carry it, and takes back. */
interface Remembering {
  remember(): Iterable<unknown>
  recall(entries: readonly unknown[]): void
}

/** Gives back what the file remembers, and answers with the part that writes it from then on; none without a file. */
export async function openState(
  spec: { readonly file: string; readonly every: number } | undefined,
  engine: Remembering,
  { clock, log, bytesMax = BYTES_MAX }: StateSurroundings,
): Promise<readonly Component[]> {
  if (spec === undefined) return []
  engine.recall(await readStateFile(spec.file, log))
  const entries = () => engine.remember()
  return [createStateFile({ path: spec.file, everyMs: spec.every, bytesMax, clock, log, entries })]
}

interface StateSurroundings {
  readonly clock: Clock
  readonly log: Logger
  /** Of the file. */
  readonly bytesMax?: number
}

interface StateFileOptions extends Required<StateSurroundings> {
  readonly path: string
  readonly everyMs: number
  /** What is to be remembered; each entry is of one moment. */
  entries(): Iterable<unknown>
}

/**
 * Writes what is to be remembered to a file, every `everyMs` and at the end. The file is replaced in one step, so
 * that a process that dies while writing leaves the one before.
 */
function createStateFile(options: StateFileOptions): Component {
  const { path, everyMs, bytesMax, clock, log, entries } = options
  async function write(): Promise<void> {
    try {
      const temporary = `${path}.new`
      let whole = true
      const file = await open(temporary, 'w', 0o600)
      try {
        whole = await writeEntries(file, entries(), bytesMax)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, path)
      const effect = 'what did not fit is learned anew after a restart'
      if (!whole) log.warn('state-too-large', { file: path, bytesMax, effect })
    } catch (thrown) {
      const mend = 'the folder must exist and be writable; until then a restart forgets the holds'
      log.error('state-not-written', { file: path, error: messageOf(thrown), mend })
    }
  }
  return {
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(everyMs, signal)
        await write()
      }
    },
  }
}

/** What the file holds; nothing where there is none. One that is damaged, or of another format, is moved aside. */
async function readStateFile(path: string, log: Logger): Promise<readonly unknown[]> {
  let entries: readonly unknown[] | undefined
  try {
    entries = await readEntries(path)
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') {
      log.info('state-none', { file: path })
      return []
    }
    log.error('state-not-read', { file: path, error: messageOf(thrown) })
    return []
  }
  if (entries !== undefined) return entries
  const aside = `${path}.corrupt`
  log.error('state-corrupt', { file: path, movedTo: aside, effect: 'holds start anew' })
  await rename(path, aside).catch((thrown: unknown) =>
    log.error('state-not-moved', { file: path, error: messageOf(thrown) }),
  )
  return []
}
