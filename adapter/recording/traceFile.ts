import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { Row } from './intervals.ts'

const HEADER = 't_seconds,value\n'

/** Where rows go. */
export interface RowSink {
  /** The last row that is there already; -Infinity where there is none. */
  readonly lastMs: number
  write(row: Row): Promise<void>
}

/**
 * A trace in a file, made or gone on with. Each row is one write that is on disk before the next, so that whatever
 * ends the process leaves whole rows; a line that a crash of the machine cut off is taken away when it is opened.
 */
export async function openTraceFile(path: string): Promise<RowSink> {
  const file = await open(path, 'a+')
  try {
    const { bytes, lastMs } = await existing(file, path)
    return new TraceFile(path, bytes, lastMs)
  } finally {
    await file.close()
  }
}

async function existing(
  file: FileHandle,
  path: string,
): Promise<{ bytes: number; lastMs: number }> {
  const text = await file.readFile('utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  if (whole === '' && HEADER.startsWith(text)) {
    await file.truncate(0)
    await file.appendFile(HEADER)
    return { bytes: HEADER.length, lastMs: -Infinity }
  }
  if (!whole.startsWith(HEADER))
    throw new RangeError(
      `--out ${path} is there and no recording: its first line is not t_seconds,value; name another file`,
    )
  const bytes = Buffer.byteLength(whole)
  const line = whole.slice(HEADER.length).trimEnd().split('\n').at(-1) ?? ''
  if (line === '') return { bytes, lastMs: -Infinity }
  const lastMs = Math.round(Number(line.split(',')[0]) * 1000)
  if (!Number.isFinite(lastMs))
    throw new RangeError(`--out ${path}: its last line is no row of a trace; name another file`)
  if (text.length > whole.length) await file.truncate(bytes)
  return { bytes, lastMs }
}

class TraceFile implements RowSink {
  readonly lastMs: number
  readonly #path: string
  #bytes: number

  constructor(path: string, bytes: number, lastMs: number) {
    this.#path = path
    this.#bytes = bytes
    this.lastMs = lastMs
  }

  async write(row: Row): Promise<void> {
    const file = await open(this.#path, 'a')
    try {
      const { size } = await file.stat()
      if (size !== this.#bytes)
        throw new Error(`${this.#path} was changed by another: one recording for each file`)
      const line = rowText(row)
      try {
        await file.appendFile(line)
        await file.datasync()
      } catch (thrown) {
        await file.truncate(size)
        throw thrown
      }
      this.#bytes = size + line.length
    } finally {
      await file.close()
    }
  }
}

/** Rows for whoever reads what is written, from its beginning. */
export function streamSink(stream: { write(text: string): unknown }): RowSink {
  stream.write(HEADER)
  return {
    lastMs: -Infinity,
    async write(row) {
      stream.write(rowText(row))
    },
  }
}

function rowText({ endMs, value }: Row): string {
  return `${endMs / 1000},${value}\n`
}
