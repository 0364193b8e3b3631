import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Running {
  readonly output: () => string
  /** Waits until the program printed `text`; throws with what it printed where it ends before. */
  says(text: string, deadlineMs?: number): Promise<void>
  signal(name: NodeJS.Signals): void
  /** Ends the process and waits for it. Stopping twice is nothing. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Programs that run: none of them outlives this process. */
const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** Starts a program in the foreground. Its output is kept for the message where it fails. */
export function start(path: string, parameters: readonly string[]): Running {
  const child = spawn(path, parameters, { stdio: ['ignore', 'pipe', 'pipe'] })
  alive.add(child)
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-20_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      output += error.message
      resolve()
    })
    child.once('close', () => {
      alive.delete(child)
      resolve()
    })
  })
  return {
    output: () => output,
    async says(text, deadlineMs = 60_000) {
      const endMs = performance.now() + deadlineMs
      while (!output.includes(text)) {
        if (child.exitCode !== null || performance.now() > endMs)
          throw new Error(`${path} did not say ${JSON.stringify(text)}: ${output}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    signal: (name) => void child.kill(name),
    async stop(signal = 'SIGKILL') {
      child.kill(signal)
      await ended
    },
  }
}

/** A port on 127.0.0.1 that nothing listened on just now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export interface Folder {
  readonly path: string
  remove(): void
}

export function temporaryFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'tideline-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Waits until `attempt` does not throw. */
export async function eventually<T>(what: string, attempt: () => Promise<T>, deadlineMs = 25_000) {
  const endMs = performance.now() + deadlineMs
  for (;;) {
    try {
      return await attempt()
    } catch (thrown) {
      if (performance.now() > endMs)
        throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: thrown })
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
}
