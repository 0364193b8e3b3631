import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { messageOf, TidelineError } from '../errors.ts'
import type { Target } from '../model.ts'
import type { Clock } from '../ports.ts'
import { targetSchema } from './scrapeConfig.ts'

const CHECK_MS = 1000
const FILE_BYTES_MAX = 4 * 1024 * 1024

const targetsSchema = z.array(targetSchema)

export interface TargetsFile {
  readonly path: string
  readonly clock: Clock
  publish(targets: readonly Target[]): void
  /** Told of each failed reading; the last good targets stay. */
  failed(failure: TidelineError): void
}

/**
 * Follows a file that lists targets as `[{url, labels}]` in JSON or YAML, for where something else than a
 * cluster knows them. Publishes on start and on each change until `signal` aborts. Never rejects.
 */
export async function followTargetsFile(file: TargetsFile, signal: AbortSignal): Promise<void> {
  let seen: string | undefined
  while (!signal.aborted) {
    try {
      const text = await readFile(file.path, 'utf8')
      if (text !== seen && !signal.aborted) file.publish(targetsOf(text, file.path))
      seen = text
    } catch (thrown) {
      seen = undefined
      if (!signal.aborted) file.failed(failureOfFile(thrown, file.path))
    }
    await file.clock.sleep(CHECK_MS, signal)
  }
}

function targetsOf(text: string, path: string): readonly Target[] {
  if (text.length > FILE_BYTES_MAX)
    throw new TidelineError('too-large', `${path} is longer than ${FILE_BYTES_MAX} bytes`)
  const parsed = targetsSchema.safeParse(parse(text, { maxAliasCount: 0 }))
  if (parsed.success) return parsed.data.map(({ url, labels }) => ({ id: url, url, labels }))
  const [issue] = parsed.error.issues
  const field = issue?.path.map(String).join('.') ?? ''
  throw new TidelineError('bad-response', `${path}: ${field}: ${issue?.message ?? 'not targets'}`)
}

function failureOfFile(thrown: unknown, path: string): TidelineError {
  if (thrown instanceof TidelineError) return thrown
  return new TidelineError('not-configured', `cannot read ${path}: ${messageOf(thrown)}`, thrown)
}
