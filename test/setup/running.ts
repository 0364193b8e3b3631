import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
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

/**
 * Where Linux takes no port from for whoever does not say which: what is free here stays free until the program that
 * is told of it listens, and while it is stopped to be started again.
 */
const PORTS = { from: 12_000, to: 32_000 } as const
/** Each process begins elsewhere and gives no port twice. */
let nextPort = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from))

/** A port on 127.0.0.1 that nothing listened on just now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = nextPort
    nextPort = nextPort + 1 < PORTS.to ? nextPort + 1 : PORTS.from
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
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
