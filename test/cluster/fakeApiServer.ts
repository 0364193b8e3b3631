/** An API server over real TLS sockets that fails on demand; behaviour without faults is the e2e test's. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Clock } from '../../src/ports.ts'
import type { KubeConnection } from '../../adapter/cluster/kubeClient.ts'
import { systemClock } from '../../src/clock.ts'
import { selfSignedServing } from '../../adapter/security/selfSigned.ts'

export type Answer = (asked: Asked, answer: ServerResponse) => void

export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

export class FakeApiServer {
  readonly asked: Asked[] = []
  /** Replace to change how requests are answered from now on. */
  answer: Answer
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #authority: string

  constructor(answer: Answer) {
    this.answer = answer
    const { authority, serving } = selfSignedServing(['127.0.0.1'], Date.now())
    this.#authority = authority.cert
    this.#server = createServer(serving, (request, response) => void this.#take(request, response))
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  get openSockets(): number {
    return this.#sockets.size
  }

  get watches(): readonly Asked[] {
    return this.asked.filter(({ query }) => query.has('watch'))
  }

  get lists(): readonly Asked[] {
    return this.asked.filter(({ method, query }) => method === 'GET' && !query.has('watch'))
  }

  connection(): KubeConnection {
    const { port } = this.#server.address() as AddressInfo
    return {
      server: new URL(`https://127.0.0.1:${port}`),
      namespace: 'monitoring',
      options: async () => ({ ca: this.#authority, headers: { Authorization: 'Bearer t\n' } }),
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const piece of request) text += String(piece)
    const url = new URL(request.url ?? '/', 'https://x')
    const asked: Asked = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    }
    this.asked.push(asked)
    this.answer(asked, response)
  }
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export const list = (version: string, items: readonly unknown[], more?: string) => ({
  kind: 'List',
  metadata: { resourceVersion: version, ...(more === undefined ? {} : { continue: more }) },
  items,
})

export const object = (name: string, resourceVersion: string, fields: object = {}) => ({
  metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion },
  ...fields,
})

export const event = (type: string, changed: unknown) =>
  `${JSON.stringify({ type, object: changed })}\n`

/** Real time, `factor` times as fast. */
export function fastClock(factor: number): Clock {
  return {
    nowMs: () => systemClock.nowMs(),
    monotonicMs: () => systemClock.monotonicMs() * factor,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  }
}
