/**
 * The jars of a Kafka broker, fetched by Maven into the cache folder once for each pom.xml and version.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { required } from '../programs.ts'

/** The newest, which tests use where they do not say, and the last of 3.x. */
export const KAFKA_VERSIONS = ['4.3.1', '3.9.1'] as const
const [NEWEST] = KAFKA_VERSIONS

const POM = join(import.meta.dirname, 'pom.xml')

/** A class path with a whole broker on it. */
export function kafkaJars(version: string = NEWEST): string {
  const base = process.env['TIDELINE_CACHE'] ?? join(homedir(), '.cache', 'tideline')
  const key = createHash('sha256').update(readFileSync(POM)).update(version).digest('hex')
  const folder = join(base, 'kafka', key)
  if (!existsSync(folder)) fetchInto(folder, version)
  return join(folder, '*')
}

/** Fetches next to the folder and renames, so that a folder which is there is whole. */
function fetchInto(folder: string, version: string): void {
  mkdirSync(dirname(folder), { recursive: true })
  const unfinished = mkdtempSync(join(dirname(folder), 'fetching-'))
  try {
    process.stdout.write(`fetching Kafka ${version}: once, about ten seconds\n`)
    const parameters = [
      ...['-B', '-q', '-f', POM, `-Dkafka.version=${version}`],
      ...['dependency:copy-dependencies', '-DincludeScope=runtime'],
      `-DoutputDirectory=${unfinished}`,
    ]
    execFileSync(required('mvn'), parameters, { stdio: ['ignore', 'ignore', 'pipe'] })
    renameSync(unfinished, folder)
  } catch (thrown) {
    // Another run may have finished first; its folder is as good.
    if (!existsSync(folder)) throw thrown
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}
