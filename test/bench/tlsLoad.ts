import { connect } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'

export interface Load {
  readonly requests: number
  readonly seconds: number
  /** Sorted, in ms. */
  readonly latenciesMs: Float64Array
}

const HEAD_END = Buffer.from('\r\n\r\n')
const CONTENT_LENGTH = /\r\ncontent-length: (\d+)/i

/**
 * Keeps one request at a time in flight on each open connection for a while. It speaks just enough HTTP/1.1
 * (a status 200 and a content length) to cost much less than the server under test.
 */
export async function loadFor(
  sockets: readonly TLSSocket[],
  request: Buffer,
  milliseconds: number,
): Promise<Load> {
  const latencies: number[] = []
  const begin = performance.now()
  const end = begin + milliseconds
  await Promise.all(sockets.map((socket) => ping(socket, request, end, latencies)))
  const seconds = (performance.now() - begin) / 1000
  return { requests: latencies.length, seconds, latenciesMs: Float64Array.from(latencies).sort() }
}

export function openConnections(count: number, options: ConnectionOptions): Promise<TLSSocket[]> {
  return Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<TLSSocket>((resolve, reject) => {
          const socket = connect(options, () => resolve(socket))
          socket.setNoDelay(true)
          socket.once('error', reject)
        }),
    ),
  )
}

function ping(socket: TLSSocket, request: Buffer, end: number, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let pending: Buffer = Buffer.alloc(0)
    let sent = performance.now()
    const stop = (fault?: Error): void => {
      socket.off('data', onData)
      socket.off('close', onClose)
      if (fault === undefined) resolve()
      else reject(fault)
    }
    const onClose = (): void => stop(new Error('the server closed the connection'))
    const onData = (chunk: Buffer): void => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      const missing = missingBytes(pending)
      if (missing === undefined)
        return stop(
          new Error(`not a 200 of known length: ${pending.toString('latin1').slice(0, 400)}`),
        )
      if (missing > 0) return
      pending = Buffer.alloc(0)
      const now = performance.now()
      latencies.push(now - sent)
      if (now >= end) return stop()
      sent = now
      socket.write(request)
    }
    if (socket.destroyed) return onClose()
    socket.on('data', onData)
    socket.on('close', onClose)
    socket.write(request)
  })
}

/** Bytes of the response that have not come yet; undefined where it is not the expected kind. */
function missingBytes(received: Buffer): number | undefined {
  const headEnd = received.indexOf(HEAD_END)
  if (headEnd === -1) return 1
  const head = received.toString('latin1', 0, headEnd)
  const length = CONTENT_LENGTH.exec(head)?.[1]
  if (!head.startsWith('HTTP/1.1 200') || length === undefined) return undefined
  return headEnd + HEAD_END.length + Number(length) - received.length
}
