/** Programs built from a Go module of ours into a cache folder, once for each go.sum, Go version and flags. */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

export interface GoModule {
  /** For people: `KEDA v2.20.2`. */
  readonly what: string
  /** Its folder in the cache. */
  readonly name: string
  /** Where its go.mod is; each of its tools becomes a program. */
  readonly folder: string
  readonly flags: readonly string[]
  /** What remains to be done in the folder where the programs are. */
  finish(built: string): void
}

const PROGRESS_EVERY_MS = 15_000

/** Where the programs are or will be; undefined where there is no Go, which is part of the key. */
export function cacheFolder({ name, folder, flags }: GoModule): string | undefined {
  const go = inModule(folder, 'env', 'GOVERSION', 'GOOS', 'GOARCH')
  if (go === undefined) return undefined
  const base = process.env['TIDELINE_CACHE'] ?? join(homedir(), '.cache', 'tideline')
  const key = createHash('sha256')
    .update(readFileSync(join(folder, 'go.sum')))
    .update(JSON.stringify([go, flags]))
    .digest('hex')
  return join(base, name, key)
}

/** What the go command says in the module, whose go.mod chooses the toolchain; undefined where it cannot. */
export function inModule(folder: string, ...parameters: string[]): string | undefined {
  try {
    return execFileSync('go', parameters, {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch {
    return undefined
  }
}

/** Builds next to the folder and renames, so that a folder which is there is whole. */
export async function build(module: GoModule, folder: string): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true })
  const unfinished = mkdtempSync(join(dirname(folder), 'building-'))
  try {
    console.log(`building ${module.what} into ${folder}: once, about five minutes`)
    await goBuild(module, unfinished)
    module.finish(unfinished)
    moveInto(folder, unfinished)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

function moveInto(folder: string, built: string): void {
  try {
    renameSync(built, folder)
  } catch (thrown) {
    if (!existsSync(folder)) throw thrown
    // Another run finished first, or an old folder lacks a program: ours is whole.
    rmSync(folder, { recursive: true, force: true })
    renameSync(built, folder)
  }
}

function goBuild({ what, folder, flags }: GoModule, output: string): Promise<void> {
  const startMs = performance.now()
  const child = spawn('go', ['build', '-v', ...flags, '-o', `${output}/`, 'tool'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  let packages = 0
  const last: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    packages += 1
    last.push(line)
    if (last.length > 40) last.shift()
  })
  const progress = setInterval(() => {
    const seconds = Math.round((performance.now() - startMs) / 1000)
    console.log(`building ${what}: ${seconds} s, ${packages} packages`)
  }, PROGRESS_EVERY_MS)
  return new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`go build ended with ${code}:\n${last.join('\n')}`))
    })
  }).finally(() => clearInterval(progress))
}
