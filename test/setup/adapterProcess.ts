/** The adapter as users run it: its own process, a configuration in files, its real HTTPS port. */
import { spawn } from 'node:child_process'
import { request } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface AdapterProcess {
  readonly port: number
  readonly log: readonly Readonly<Record<string, unknown>>[]
  get(path: string, options?: Ask): Promise<Answer>
  /** Sends the signal and waits for the end; resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
}

export interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly json: unknown
}

const MAIN = join(import.meta.dirname, '../../adapter/main.ts')

/** Runs `adapter/main.ts` with these arguments; resolves once it listens, rejects with its output if it ends. */
export async function startAdapter(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<AdapterProcess> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  const log: Record<string, unknown>[] = []
  const other: string[] = []
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (!line.startsWith('{')) return void other.push(line)
      const entry = JSON.parse(line) as Record<string, unknown>
      log.push(entry)
      if (entry['event'] === 'listening') resolve(entry['port'] as number)
    })
    void exit.then((code) => reject(new Error(`exit code ${code}\n${other.join('\n')}`)))
  })
  return {
    port,
    log,
    get: (path, options = {}) => ask(port, path, options),
    stop(signal = 'SIGINT') {
      child.kill(signal)
      return exit
    },
  }
}

function ask(port: number, path: string, { headers = {}, method = 'GET' }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path, method, headers, rejectUnauthorized: false, agent: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => (text += part))
        response.on('error', reject)
        response.on('end', () => {
          const type = response.headers['content-type'] ?? ''
          const json: unknown = type.startsWith('application/json') ? JSON.parse(text) : undefined
          resolve({ status: response.statusCode ?? 0, type, text, json })
        })
      },
    )
    asked.on('error', reject)
    asked.end()
  })
}
