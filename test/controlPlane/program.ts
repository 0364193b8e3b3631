import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { eventually } from '../setup/running.ts'

export interface Program {
  /** Waits until `attempt` does not throw; fails at once, with the end of the log, when the program ends. */
  ready(attempt: () => Promise<unknown>): Promise<void>
  /** Ends it without grace and waits for it: its data is thrown away. */
  kill(): Promise<void>
}

const READY_MS = 120_000
const TAIL_LINES = 30

/** Starts a program whose output goes to a file, with the environment of this one where none is given. */
export function startProgram(
  path: string,
  parameters: readonly string[],
  log: string,
  env: NodeJS.ProcessEnv = process.env,
): Program {
  const output = openSync(log, 'w')
  const child = spawn(path, parameters, { stdio: ['ignore', output, output], env })
  closeSync(output)
  // An interrupted test run leaves nothing behind.
  const killed = () => void child.kill('SIGKILL')
  process.once('exit', killed)
  let ended = false
  const end = new Promise<void>((resolve) => {
    const settle = () => {
      ended = true
      process.off('exit', killed)
      resolve()
    }
    child.once('error', settle)
    child.once('exit', settle)
  })
  const failure = (what: string, cause?: unknown) => {
    const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
    return new Error(`${path} ${what}; the end of ${log}:\n${tail}`, { cause })
  }
  return {
    async ready(attempt) {
      let stopped = false
      const tried = eventually(
        path,
        async () => {
          if (ended || stopped) return
          await attempt()
        },
        READY_MS,
      )
      try {
        await Promise.race([tried, end])
      } catch (thrown) {
        throw failure('did not become ready', thrown)
      } finally {
        stopped = true
      }
      if (ended) throw failure('ended')
    },
    async kill() {
      child.kill('SIGKILL')
      await end
    },
  }
}
