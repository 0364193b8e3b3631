import { createServer as createPlainServer } from 'node:http'
import type {
  IncomingMessage,
  RequestListener,
  Server as PlainServer,
  ServerResponse,
} from 'node:http'
import { createServer } from 'node:https'
import type { Server, ServerOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Clock, Logger } from '../src/ports.ts'

interface HttpServerDeps {
  readonly clock: Clock
  readonly log: Logger
}

export interface HttpsServerDeps extends HttpServerDeps {
  readonly tls: ServerOptions
}

export interface HttpsServer extends HttpServer {
  readonly server: Server
}

export interface HttpServer {
  /** Resolves with the port once connections are taken; rejects where the address cannot be had. */
  listen(address: string, port: number): Promise<number>
  /** From now on each answer ends its connection (`Connection: close`), so that clients go elsewhere. */
  drain(): void
  /**
   * Takes no new connection and ends those without a request in flight; lets requests finish for at most
   * `graceMs`, then ends the rest.
   */
  close(graceMs: number): Promise<void>
}

const HEADER_BYTES_MAX = 64 * 1024
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const HANDSHAKE_TIMEOUT_MS = 10_000
/** Longer than clients keep an idle connection (Go's transport: 90 s), so that they end it, not we. */
const KEEP_ALIVE_MS = 120_000
const CONNECTIONS_MAX = 4096

const LIMITS = {
  maxHeaderSize: HEADER_BYTES_MAX,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
}

export function createHttpsServer(listener: RequestListener, deps: HttpsServerDeps): HttpsServer {
  const server = createServer({
    ...deps.tls,
    ...LIMITS,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    minVersion: 'TLSv1.2',
    // Asked for and not demanded: probes have none, and identity is decided for each request.
    requestCert: true,
    rejectUnauthorized: false,
  })
  server.on('tlsClientError', (error) => deps.log.debug('tls-client-error', { error }))
  return { server, ...served(server, listener, deps) }
}

/** The same in plain text, for where that was asked for by name. */
export function createHttpServer(listener: RequestListener, deps: HttpServerDeps): HttpServer {
  return served(createPlainServer(LIMITS), listener, deps)
}

function served(
  server: Server | PlainServer,
  listener: RequestListener,
  { clock, log }: HttpServerDeps,
): HttpServer {
  const inFlight = new Set<ServerResponse>()
  let draining = false
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (draining) response.setHeader('Connection', 'close')
    inFlight.add(response)
    response.once('close', () => inFlight.delete(response))
    listener(request as Parameters<RequestListener>[0], response as Parameters<RequestListener>[1])
  })
  // Node's own list knows a connection only after its handshake: one that never begins it is ended by us.
  const sockets = new Map<Socket, string>()
  server.on('connection', (socket: Socket) => {
    sockets.set(socket, peerOf(socket))
    socket.once('close', () => sockets.delete(socket))
  })
  server.maxConnections = CONNECTIONS_MAX

  function drain(): void {
    draining = true
    for (const response of inFlight)
      if (!response.headersSent) response.setHeader('Connection', 'close')
  }

  return {
    listen: (address, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host: address, port }, () => {
          server.off('error', reject)
          server.on('error', (error) => log.error('server-error', { error }))
          resolve((server.address() as AddressInfo).port)
        })
      }),
    drain,
    async close(graceMs) {
      drain()
      const closed = new AbortController()
      const ended = new Promise<void>((resolve) => {
        server.close(() => {
          closed.abort()
          resolve()
        })
      })
      const busy = new Set(Array.from(inFlight, ({ req }) => peerOf(req.socket)))
      for (const [socket, peer] of sockets) if (!busy.has(peer)) socket.destroy()
      const late = clock.sleep(graceMs, closed.signal)
      await Promise.race([ended, late])
      for (const socket of sockets.keys()) socket.destroy()
      await ended
    },
  }
}

/** What a connection and the TLS socket upon it have in common. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
