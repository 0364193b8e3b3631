import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Component, Logger } from '../ports.ts'
import type { Config, ConfigFile, Loaded } from './load.ts'
import type { ConfigChecks } from './podSelectors.ts'
import { messageOf } from '../errors.ts'
import { loadConfig } from './load.ts'
import { formatProblem } from './problems.ts'

const FILE_BYTES_MAX = 4 * 1024 * 1024
const FILES_MAX = 2000
const CONFIG_NAME = /\.(ya?ml|json)$/

/**
 * Reads files, and of folders those named *.yaml, *.yml or *.json, in the order of their names. A file that
 * is named twice is read once.
 */
export async function readConfigFiles(paths: readonly string[]): Promise<ConfigFile[]> {
  const files: ConfigFile[] = []
  const read = new Set<string>()
  for (const path of paths) {
    for (const file of await filesAt(path)) {
      const real = await realpath(file)
      if (read.has(real)) continue
      read.add(real)
      const { size } = await stat(file)
      if (size > FILE_BYTES_MAX) throw new Error(`${file} is larger than ${FILE_BYTES_MAX} bytes`)
      files.push({ path: file, text: await readFile(file, 'utf8') })
      if (files.length > FILES_MAX) throw new Error(`more than ${FILES_MAX} files in ${path}`)
    }
  }
  return files
}

async function filesAt(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const names = (await readdir(path)).filter((name) => CONFIG_NAME.test(name))
  return names.toSorted().map((name) => join(path, name))
}

export interface ConfigFilesDeps {
  readonly paths: readonly string[]
  readonly clock: Clock
  readonly log: Logger
  readonly intervalMs: number
  readonly checks?: ConfigChecks
  apply(config: Config): void
}

export interface ConfigFiles extends Component {
  /** Reads and applies once; where it is refused, says why and applies nothing. */
  load(): Promise<Loaded>
  state(): ConfigState
}

export interface ConfigState {
  /** Number of configurations applied since the start. */
  readonly generation: number
  readonly lastAppliedMs: number
  /** Why the files as they are now are not what runs; empty while they are. */
  readonly problems: readonly string[]
}

/**
 * Keeps the running configuration in step with its files. Contents are compared, not times, because mounted
 * ConfigMaps change by a swapped link. A change is applied whole; a bad one is refused and the last good
 * configuration goes on.
 */
export function createConfigFiles(deps: ConfigFilesDeps): ConfigFiles {
  const { paths, clock, log, intervalMs, checks, apply } = deps
  let seen: string | undefined
  let state: ConfigState = { generation: 0, lastAppliedMs: 0, problems: [] }

  async function load(): Promise<Loaded> {
    const files = await readConfigFiles(paths)
    seen = JSON.stringify(files)
    const loaded = loadConfig(files, checks)
    if (loaded.ok) {
      apply(loaded.config)
      state = { generation: state.generation + 1, lastAppliedMs: clock.nowMs(), problems: [] }
      log.info('config-applied', {
        generation: state.generation,
        signals: loaded.config.signals.length,
      })
    } else {
      refuse(loaded.problems.map(formatProblem))
    }
    return loaded
  }

  function refuse(problems: readonly string[]): void {
    if (problems.join('\n') !== state.problems.join('\n'))
      log.error('config-refused', { problems, running: `generation ${state.generation}` })
    state = { ...state, problems }
  }

  return {
    load,
    state: () => state,
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(intervalMs, signal)
        if (signal.aborted) return
        try {
          const files = await readConfigFiles(paths)
          if (JSON.stringify(files) !== seen) await load()
        } catch (thrown) {
          refuse([messageOf(thrown)])
        }
      }
    },
  }
}
