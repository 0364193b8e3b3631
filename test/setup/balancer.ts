import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** What a Service is: connections go in turn to those of several ports that take them. */
export interface Balancer {
  readonly port: number
  close(): Promise<void>
}

export async function openBalancer(ports: readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  let next = 0
  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  }
  const forward = (client: Socket, left: number): void => {
    const port = ports[(next += 1) % ports.length] ?? 0
    const upstream = connect(port, '127.0.0.1')
    track(upstream)
    upstream.once('error', () => (left > 1 ? forward(client, left - 1) : client.destroy()))
    upstream.once('connect', () => {
      client.once('close', () => upstream.destroy())
      upstream.once('close', () => client.destroy())
      client.pipe(upstream).pipe(client)
    })
  }
  const server = createServer((client) => {
    track(client)
    forward(client, ports.length)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
