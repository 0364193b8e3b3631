import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Misbehaviour } from '../kit/sourceContract.ts'

type Respond = (request: IncomingMessage, response: ServerResponse) => void

/** A real HTTP server on the loopback that can be told to be broken, and comes back on the same port. */
export class HttpUpstream {
  #server: Server | undefined
  #port = 0
  #how: Misbehaviour | undefined
  #open = 0
  respond: Respond
  readonly seen = { count: 0, maxConcurrent: 0 }

  constructor(respond: Respond) {
    this.respond = respond
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => this.#handle(request, response))
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/metrics`
  }

  async misbehave(how: Misbehaviour): Promise<void> {
    this.#how = how
    if (how === 'refuse') await this.close()
  }

  async behave(): Promise<void> {
    this.#how = undefined
    if (this.#server === undefined) await this.listen()
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    this.seen.count += 1
    this.#open += 1
    this.seen.maxConcurrent = Math.max(this.seen.maxConcurrent, this.#open)
    response.once('close', () => (this.#open -= 1))
    if (this.#how === 'hang') return
    if (this.#how === 'garbage') response.end('{"up": tr')
    else if (this.#how === 'unauthorized') response.writeHead(401).end()
    else this.respond(request, response)
  }
}
