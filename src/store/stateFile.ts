import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { open, readFile, rename } from 'node:fs/promises'
import type { Clock, Component, Logger } from '../ports.ts'
import { messageOf } from '../errors.ts'

/** First line of the file; another one is another format. */
const HEADER = 'tideline-state 1'
/** What is more is left out, so that neither the disk nor the time of a write grows without bound. */
const BYTES_MAX = 64 * 1024 * 1024

/** What an engine remembers, entry by entry as JSON can carry it, and takes back. */
interface Remembering {
  remember(): Iterable<unknown>
  recall(entries: readonly unknown[]): void
}

/** Gives back what the file remembers, and answers with the part that writes it from then on; none without a file. */
export async function openState(
  spec: { readonly file: string; readonly every: number } | undefined,
  engine: Remembering,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<readonly Component[]> {
  if (spec === undefined) return []
  engine.recall(await readStateFile(spec.file, log))
  const entries = () => engine.remember()
  return [createStateFile({ path: spec.file, everyMs: spec.every, clock, log, entries })]
}

interface StateFileOptions {
  readonly path: string
  readonly everyMs: number
  readonly clock: Clock
  readonly log: Logger
  /** What is to be remembered; each entry is of one moment, and JSON can carry it. */
  entries(): Iterable<unknown>
}

/**
 * Writes what is to be remembered to a file, every `everyMs` and at the end. The file is replaced in one step, so
 * that a process that dies while writing leaves the one before: lines of JSON between a header and a SHA-256.
 */
function createStateFile({ path, everyMs, clock, log, entries }: StateFileOptions): Component {
  async function write(): Promise<void> {
    try {
      const temporary = `${path}.new`
      let whole = true
      const file = await open(temporary, 'w', 0o600)
      try {
        whole = await writeEntries(file, entries())
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, path)
      const effect = 'what did not fit is learned anew after a restart'
      if (!whole) log.warn('state-too-large', { file: path, bytesMax: BYTES_MAX, effect })
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

/** Line by line: ticks go on between them, and memory holds one at a time. False where not all had room. */
async function writeEntries(file: FileHandle, entries: Iterable<unknown>): Promise<boolean> {
  const hash = createHash('sha256')
  let length = 0
  let whole = true
  const write = async (line: string) => {
    const text = `${line}\n`
    hash.update(text)
    length += Buffer.byteLength(text)
    await file.writeFile(text)
  }
  await write(HEADER)
  for (const entry of entries) {
    const line = JSON.stringify(entry)
    whole = length + Buffer.byteLength(line) <= BYTES_MAX
    // Nothing is asked for any more: to tell the rest would hold up ticks for nothing.
    if (!whole) break
    await write(line)
  }
  await file.writeFile(`${hash.digest('hex')}\n`)
  return whole
}

/** What the file holds; nothing where there is none. One that is damaged is moved aside, and said so. */
async function readStateFile(path: string, log: Logger): Promise<readonly unknown[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') {
      log.info('state-none', { file: path })
      return []
    }
    log.error('state-not-read', { file: path, error: messageOf(thrown) })
    return []
  }
  const entries = parse(text)
  if (entries !== undefined) return entries
  const aside = `${path}.corrupt`
  log.error('state-corrupt', { file: path, movedTo: aside, effect: 'holds start anew' })
  await rename(path, aside).catch((thrown: unknown) =>
    log.error('state-not-moved', { file: path, error: messageOf(thrown) }),
  )
  return []
}

function parse(text: string): readonly unknown[] | undefined {
  const end = text.lastIndexOf('\n', text.length - 2) + 1
  const body = text.slice(0, end)
  if (text.slice(end) !== `${digest(body)}\n`) return undefined
  const [header, ...lines] = body.trimEnd().split('\n')
  if (header !== HEADER) return undefined
  try {
    return lines.map((line): unknown => JSON.parse(line))
  } catch {
    return undefined
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
