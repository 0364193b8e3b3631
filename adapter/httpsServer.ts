import { createServer } from 'node:https'
import type { Server, ServerOptions } from 'node:https'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock, Logger } from '../src/ports.ts'

export interface HttpsServerDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly tls: ServerOptions
}

export interface HttpsServer {
  readonly server: Server
  /** Resolves with the port once connections are taken; rejects where the address cannot be had. */
  listen(address: string, port: number): Promise<number>
  /** Takes no new connection, lets what is in flight finish for at most `graceMs`, then ends the rest. */
  close(graceMs: number): Promise<void>
}

const HEADER_BYTES_MAX = 64 * 1024
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
/** Longer than clients keep an idle connection (Go's transport: 90 s), so that they end it, not we. */
const KEEP_ALIVE_MS = 120_000
const CONNECTIONS_MAX = 4096

export function createHttpsServer(listener: RequestListener, deps: HttpsServerDeps): HttpsServer {
  const { clock, log, tls } = deps
  const server = createServer(
    {
      ...tls,
      minVersion: 'TLSv1.2',
      // Asked for and not demanded: probes have none, and identity is decided for each request.
      requestCert: true,
      rejectUnauthorized: false,
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    listener,
  )
  server.maxConnections = CONNECTIONS_MAX
  server.on('tlsClientError', (error) => log.debug('tls-client-error', { error }))
  return {
    server,
    listen: (address, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host: address, port }, () => {
          server.off('error', reject)
          server.on('error', (error) => log.error('server-error', { error }))
          resolve((server.address() as AddressInfo).port)
        })
      }),
    async close(graceMs) {
      const closed = new AbortController()
      const ended = new Promise<void>((resolve) => {
        server.close(() => {
          closed.abort()
          resolve()
        })
      })
      const late = clock.sleep(graceMs, closed.signal)
      await Promise.race([ended, late])
      server.closeAllConnections()
      await ended
    },
  }
}
