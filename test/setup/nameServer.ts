import type { Socket } from 'node:dgram'
import { createSocket } from 'node:dgram'

export interface NameServer {
  readonly port: number
  close(): Promise<void>
}

const A = 1
/** Of an answer: response, authoritative, and where the question wanted it, recursion. RFC 1035, 4.1.1. */
const ANSWER = 0x8480
const NO_SUCH_NAME = 3

/** Answers that these names are 127.0.0.1, and that there are no others, over UDP on 127.0.0.1. */
export async function startNameServer(names: readonly string[]): Promise<NameServer> {
  const socket = createSocket('udp4')
  socket.on('message', (question, { port, address }) =>
    socket.send(answerTo(question, names), port, address),
  )
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return { port: socket.address().port, close: () => closed(socket) }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()))
}

const HEADER = 12

function answerTo(message: Buffer, names: readonly string[]): Buffer {
  const { name, end } = nameAt(message, HEADER)
  const known = names.includes(name.toLowerCase())
  const isAddress = known && message.readUInt16BE(end) === A
  const header = Buffer.from(message.subarray(0, HEADER))
  header.writeUInt16BE(ANSWER | (message.readUInt16BE(2) & 0x0100) | (known ? 0 : NO_SUCH_NAME), 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(isAddress ? 1 : 0, 6)
  header.writeUInt32BE(0, 8)
  const question = message.subarray(HEADER, end + 4)
  // The name (a pointer to the question's), type A, class IN, 60 s, four bytes of address.
  const record = [0xc0, HEADER, 0, A, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]
  return Buffer.concat([header, question, Buffer.from(isAddress ? record : [])])
}

function nameAt(message: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = []
  let at = start
  for (;;) {
    const length = message.readUInt8(at)
    at += 1
    if (length === 0) return { name: labels.join('.'), end: at }
    labels.push(message.toString('ascii', at, at + length))
    at += length
  }
}
