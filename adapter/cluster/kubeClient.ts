import http from 'node:http'
import https from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { RequestOptions } from 'node:https'
import type { FailureCode } from '../../src/model.ts'
import type { Clock } from '../../src/ports.ts'
import { messageOf, TidelineError } from '../../src/errors.ts'

/** Where the API server is and the credentials for one request to it. */
export interface KubeConnection {
  readonly server: URL
  /** The namespace of the pod or of the kubeconfig's context. */
  readonly namespace?: string
  options(): Promise<RequestOptions>
}

/** The API server answered with an error status. */
export class KubeStatusError extends TidelineError {
  readonly status: number

  constructor(status: number, message: string) {
    super(codeOf(status), message)
    this.name = 'KubeStatusError'
    this.status = status
  }
}

interface LineReader {
  /** The server has accepted. */
  onOpen(): void
  /** Something arrived, a whole line or not. */
  onActivity(): void
  onLine(line: string): void
}

export interface KubeClient {
  /** The namespace of the pod or of the kubeconfig's context. */
  readonly namespace?: string
  /**
   * One request with JSON both ways, at most 30 s and 32 MiB. `path` holds the query. Rejects with
   * `TidelineError`; `KubeStatusError` for an answer above 299.
   */
  request(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<unknown>
  /** Reads an endless answer line by line until it ends (resolves), breaks or is aborted (rejects). */
  lines(path: string, reader: LineReader, signal: AbortSignal): Promise<void>
  /** Closes idle connections. */
  close(): void
}

const REQUEST_TIMEOUT_MS = 30_000
const BODY_BYTES_MAX = 32 << 20
const ERROR_BYTES_MAX = 64 << 10
const LINE_BYTES_MAX = 8 << 20
const SOCKET_KEEPALIVE_MS = 30_000
const NEWLINE = 0x0a

export function kubeClient(connection: KubeConnection, clock: Clock): KubeClient {
  const secure = connection.server.protocol === 'https:'
  const agentOptions = { keepAlive: true, keepAliveMsecs: SOCKET_KEEPALIVE_MS, maxFreeSockets: 4 }
  const agent = secure ? new https.Agent(agentOptions) : new http.Agent(agentOptions)

  const send = async (method: string, path: string, body: unknown, signal: AbortSignal) => {
    const options = await connection.options()
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const prefix = connection.server.pathname.replace(/\/$/, '')
    return exchange(
      secure,
      {
        agent,
        ...options,
        method,
        protocol: connection.server.protocol,
        hostname: connection.server.hostname.replace(/^\[|\]$/g, ''),
        port: connection.server.port,
        path: prefix + path,
        headers: { ...cleanHeaders(options), ...contentHeaders(method, payload) },
        signal,
      },
      payload,
    )
  }

  return {
    ...(connection.namespace === undefined ? {} : { namespace: connection.namespace }),
    async request(method, path, body, signal) {
      return withLimit(clock, signal, async (limited) => {
        const answer = await send(method, path, body, limited)
        const text = await bodyOf(answer, BODY_BYTES_MAX)
        failOnStatus(answer, text, `${method} ${path}`)
        try {
          return JSON.parse(text) as unknown
        } catch {
          throw new TidelineError('bad-response', `${method} ${path}: the answer is not JSON`)
        }
      })
    },
    async lines(path, reader, signal) {
      try {
        const answer = await send('GET', path, undefined, signal)
        reader.onActivity()
        if (answer.statusCode !== 200)
          failOnStatus(answer, await bodyOf(answer, ERROR_BYTES_MAX), `GET ${path}`)
        reader.onOpen()
        await readLines(answer, reader)
      } catch (error) {
        throw asTidelineError(error)
      }
    },
    close: () => agent.destroy(),
  }
}

/** A token file may end with a line feed, which no header may hold. */
function cleanHeaders(options: RequestOptions): Record<string, string> {
  const cleaned: Record<string, string> = {}
  for (const [name, value] of Object.entries(options.headers ?? {}))
    if (value !== undefined) cleaned[name] = String(value).trim()
  return cleaned
}

function contentHeaders(method: string, payload: string | undefined): Record<string, string> {
  const accept = { Accept: 'application/json', 'User-Agent': 'tideline' }
  if (payload === undefined) return accept
  const type = method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/json'
  return { ...accept, 'Content-Type': type, 'Content-Length': String(Buffer.byteLength(payload)) }
}

function exchange(
  secure: boolean,
  options: RequestOptions,
  payload: string | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = secure ? https.request(options) : http.request(options)
    request.on('error', reject)
    request.on('response', resolve)
    request.end(payload)
  })
}

/** Runs `work` for at most 30 s. */
async function withLimit<Result>(
  clock: Clock,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const limit = new AbortController()
  const settled = new AbortController()
  let late = false
  const timer = clock.sleep(REQUEST_TIMEOUT_MS, settled.signal).then(() => {
    late = !settled.signal.aborted
    limit.abort()
  })
  try {
    return await work(AbortSignal.any([outer, limit.signal]))
  } catch (error) {
    if (late) throw new TidelineError('timeout', 'no answer of the API server in 30 s', error)
    throw asTidelineError(error)
  } finally {
    settled.abort()
    await timer
  }
}

async function bodyOf(answer: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax)
      throw new TidelineError(
        'too-large',
        `the API server’s answer is larger than ${bytesMax} bytes`,
      )
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function readLines(answer: IncomingMessage, reader: LineReader): Promise<void> {
  // Pieces of the line that has not ended yet.
  let pending: Buffer[] = []
  let pendingBytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    reader.onActivity()
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      const line = Buffer.concat([...pending, chunk.subarray(from, at)]).toString('utf8')
      pending = []
      pendingBytes = 0
      from = at + 1
      if (line !== '') reader.onLine(line)
    }
    if (from < chunk.length) pending.push(chunk.subarray(from))
    pendingBytes += chunk.length - from
    if (pendingBytes > LINE_BYTES_MAX)
      throw new TidelineError(
        'too-large',
        `a line of a watch is larger than ${LINE_BYTES_MAX} bytes`,
      )
  }
}

function failOnStatus(answer: IncomingMessage, text: string, what: string): void {
  const status = answer.statusCode ?? 0
  if (status >= 200 && status <= 299) return
  throw new KubeStatusError(status, `${what}: ${status} ${statusMessage(text)}`.trim())
}

/** The message of a Kubernetes Status, if it is one. */
function statusMessage(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text)
    const message = (parsed as { message?: unknown } | null)?.message
    return typeof message === 'string' ? message.slice(0, 500) : ''
  } catch {
    return ''
  }
}

function codeOf(status: number): FailureCode {
  if (status === 401 || status === 403) return 'unauthorized'
  if (status === 404) return 'not-found'
  if (status === 429 || status >= 500) return 'unavailable'
  return 'bad-response'
}

function asTidelineError(error: unknown): TidelineError {
  if (error instanceof TidelineError) return error
  const code = (error as { code?: unknown } | null)?.code
  const said = typeof code === 'string' ? code : ''
  const message = `API server: ${messageOf(error)}`
  if (/CERT|SSL|TLS|UNABLE|SIGN|CRL|HOSTNAME/.test(said))
    return new TidelineError('bad-response', message, error)
  if (said === 'ETIMEDOUT') return new TidelineError('timeout', message, error)
  if (said.startsWith('E')) return new TidelineError('refused', message, error)
  return new TidelineError('unavailable', message, error)
}
