import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/**
 * A TCP proxy before a real server that can break: refuse connections, take them and never answer, or answer
 * with bytes of its own. It counts what clients send, write by write.
 */
export interface FrontDoor {
  readonly port: number
  readonly counts: {
    /** Chunks that clients sent. */
    writes: number
    connections: number
    maxOpen: number
  }
  forward(): Promise<void>
  refuse(): Promise<void>
  hang(): void
  answer(bytes: string): void
  close(): Promise<void>
}

export async function openFrontDoor(to: { port: number }): Promise<FrontDoor> {
  const sockets = new Set<Socket>()
  const counts = { writes: 0, connections: 0, maxOpen: 0 }
  let mode: 'forward' | 'hang' | { readonly bytes: string } = 'forward'
  let server: Server | undefined
  let port = 0

  function serve(client: Socket): void {
    counts.connections += 1
    track(client)
    counts.maxOpen = Math.max(counts.maxOpen, sockets.size)
    client.on('data', () => (counts.writes += 1))
    if (mode === 'hang') return
    if (mode !== 'forward') {
      const { bytes } = mode
      client.on('data', () => client.write(bytes))
      return
    }
    const upstream = connect(to.port, '127.0.0.1')
    upstream.on('error', () => client.destroy())
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  }

  function track(socket: Socket): void {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  }

  const drop = () => {
    for (const socket of sockets) socket.destroy()
  }

  async function listen(): Promise<void> {
    if (server !== undefined) return
    const listening = createServer(serve)
    await new Promise<void>((resolve, reject) => {
      listening.once('error', reject)
      listening.listen(port, '127.0.0.1', resolve)
    })
    server = listening
    port = (listening.address() as AddressInfo).port
  }

  async function unlisten(): Promise<void> {
    const listening = server
    server = undefined
    drop()
    if (listening !== undefined) await new Promise((resolve) => listening.close(resolve))
  }

  await listen()
  return {
    get port() {
      return port
    },
    counts,
    async forward() {
      mode = 'forward'
      drop()
      await listen()
    },
    refuse: unlisten,
    hang() {
      mode = 'hang'
      drop()
    },
    answer(bytes) {
      mode = { bytes }
      drop()
    },
    close: unlisten,
  }
}
