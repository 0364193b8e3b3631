import { open } from 'node:fs/promises'
import type { Clock } from '../../src/ports.ts'
import { messageOf, TidelineError } from '../../src/errors.ts'

const POLL_MS = 5_000
const FILE_BYTES_MAX = 1 << 20

/**
 * Reads the files whole, in order. Rejects with `TidelineError` `not-configured` naming the file that cannot be
 * read, or `too-large` above 1 MiB.
 */
export async function readTexts(paths: readonly string[]): Promise<readonly string[]> {
  return Promise.all(paths.map(readText))
}

async function readText(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > FILE_BYTES_MAX) throw new TidelineError('too-large', `${path} is larger than 1 MiB`)
    return await file.readFile('utf8')
  } catch (error) {
    if (error instanceof TidelineError) throw error
    throw new TidelineError('not-configured', `cannot read ${path}: ${messageOf(error)}`, error)
  }
}

/**
 * Calls `visit` every 5 s until `signal` aborts. Looking at the content, and not at file system events, is what
 * survives the symlink swap by which Kubernetes updates mounted Secrets. `visit` must not reject.
 */
export async function poll(
  clock: Clock,
  signal: AbortSignal,
  visit: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(POLL_MS, signal)
    if (!signal.aborted) await visit()
  }
}
