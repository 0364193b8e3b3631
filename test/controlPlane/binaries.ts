/**
 * The programs of a Kubernetes control plane. Each is looked for, in this order, in `$KUBEBUILDER_ASSETS` (where
 * envtest puts them), in the cache folder, and in the PATH; if one is nowhere, all are built from their Go
 * modules into the cache folder, once for each go.sum, Go version and set of flags.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

const NAMES = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'] as const
export type Binary = (typeof NAMES)[number]
export type Binaries = Readonly<Record<Binary, string>>

const MODULE = join(import.meta.dirname, 'tools')
const VERSION = 'v1.36.3'
const STAMP = 'k8s.io/component-base/version'
const FLAGS = [
  '-mod=readonly',
  '-trimpath',
  '-ldflags',
  // kubectl cannot compare versions where none is stamped.
  `-s -w -X ${STAMP}.gitVersion=${VERSION} -X ${STAMP}.gitMajor=1 -X ${STAMP}.gitMinor=36`,
]
const PROGRESS_EVERY_MS = 15_000

/** Paths of all programs. Throws, saying what to install, where they are nowhere and cannot be built. */
export async function controlPlaneBinaries(): Promise<Binaries> {
  const assets = process.env['KUBEBUILDER_ASSETS'] ?? ''
  const path = (process.env['PATH'] ?? '').split(delimiter)
  const cache = cacheFolder()
  const places = [assets, cache ?? '', ...path].filter((place) => place !== '')
  const missing = NAMES.filter((name) => find(name, places) === undefined)
  if (missing.length > 0) {
    if (cache === undefined)
      throw new Error(
        `${missing.join(', ')}: not in KUBEBUILDER_ASSETS nor in the PATH, and there is no Go (1.21 or later) to build them`,
      )
    await build(cache)
  }
  const required = (name: Binary): string => {
    const found = find(name, places)
    if (found === undefined) throw new Error(`${name} was built and is not in ${cache}`)
    return found
  }
  return {
    etcd: required('etcd'),
    'kube-apiserver': required('kube-apiserver'),
    'kube-controller-manager': required('kube-controller-manager'),
    kubectl: required('kubectl'),
  }
}

function find(name: Binary, places: readonly string[]): string | undefined {
  return places.map((place) => join(place, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Undefined where there is no Go, which is part of the key. */
function cacheFolder(): string | undefined {
  const go = goVersion()
  if (go === undefined) return undefined
  const base = process.env['TIDELINE_CACHE'] ?? join(homedir(), '.cache', 'tideline')
  const key = createHash('sha256')
    .update(readFileSync(join(MODULE, 'go.sum')))
    .update(JSON.stringify([go, FLAGS]))
    .digest('hex')
  return join(base, 'control-plane', key)
}

/** Asked in the module, so that it is the toolchain which go.mod wants. */
function goVersion(): string | undefined {
  try {
    return execFileSync('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'], {
      cwd: MODULE,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch {
    return undefined
  }
}

/** Builds next to the folder and renames, so that a folder which is there is whole. */
async function build(folder: string): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true })
  const unfinished = mkdtempSync(join(dirname(folder), 'building-'))
  try {
    console.log(`building the control plane ${VERSION} into ${folder}: once, about five minutes`)
    await goBuild(unfinished)
    // The module go.etcd.io/etcd/server/v3 names its program after its folder.
    renameSync(join(unfinished, 'server'), join(unfinished, 'etcd'))
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

function goBuild(output: string): Promise<void> {
  const startMs = performance.now()
  const child = spawn('go', ['build', '-v', ...FLAGS, '-o', `${output}/`, 'tool'], {
    cwd: MODULE,
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
    console.log(`building the control plane: ${seconds} s, ${packages} packages`)
  }, PROGRESS_EVERY_MS)
  return new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`go build ended with ${code}:\n${last.join('\n')}`))
    })
  }).finally(() => clearInterval(progress))
}
