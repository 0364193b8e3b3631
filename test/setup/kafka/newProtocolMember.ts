import { once } from 'node:events'
import { connect } from 'node:net'

/**
 * Joins a consumer group by the protocol of KIP-848 (ConsumerGroupHeartbeat v0), which the client library does not
 * speak. The member stays until its session ends, 45 s later.
 */
export async function joinByNewProtocol(
  broker: string,
  group: string,
  topic: string,
): Promise<void> {
  const [host = '', port = ''] = broker.split(':')
  const socket = connect(Number(port), host)
  try {
    socket.write(heartbeat(group, topic))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    // Size, correlation id, no tagged fields, throttle time, then the error.
    const error = answer.readInt16BE(4 + 4 + 1 + 4)
    if (error !== 0) throw new Error(`the group was not joined: error ${error}`)
  } finally {
    socket.destroy()
  }
}

function heartbeat(group: string, topic: string): Buffer {
  const header = [int16(68), int16(0), int32(1), int16(-1), NO_TAGS]
  const body = [
    compact(group),
    compact(''), // member: to be named by the coordinator
    int32(0), // epoch: joins
    NULL, // instance
    NULL, // rack
    int32(60_000), // rebalance timeout
    Buffer.from([2]), // one topic
    compact(topic),
    NULL, // assignor
    Buffer.from([1]), // owns no partitions
    NO_TAGS,
  ]
  const request = Buffer.concat([...header, ...body])
  return Buffer.concat([int32(request.length), request])
}

const NO_TAGS = Buffer.from([0])
const NULL = Buffer.from([0])

function compact(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length + 1]), Buffer.from(text)])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
