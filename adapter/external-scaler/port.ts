import type { Server, ServerCredentials } from '@grpc/grpc-js'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'

export interface Port {
  listen(address: string, port: number): Promise<number>
  /** Takes no new connection; resolves once the last one is gone. */
  close(): Promise<void>
  /** Ends every connection at once. */
  destroy(): void
}

const CONNECTIONS_MAX = 1024

/**
 * The socket in front of a gRPC server. The server's own one has no limit of connections, and at its end waits
 * for a peer that never closes its side.
 */
export function openPort(server: Server, credentials: ServerCredentials): Port {
  const injector = server.createConnectionInjector(credentials)
  const sockets = new Set<Socket>()
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // A peer that goes away without a word is none of our faults; the session hears of it by itself.
    socket.on('error', () => undefined)
    injector.injectConnection(socket)
  })
  listener.maxConnections = CONNECTIONS_MAX
  return {
    listen: (address, port) =>
      new Promise((resolve, reject) => {
        listener.once('error', reject)
        listener.listen({ host: address, port }, () => {
          listener.off('error', reject)
          listener.on('error', () => undefined)
          resolve((listener.address() as AddressInfo).port)
        })
      }),
    // Its fault is only that it did not listen, which is as well.
    close: () => new Promise((resolve) => void listener.close(() => resolve())),
    destroy() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
