/** What the demo is told on its command line. */
import { parseArgs } from 'node:util'

export interface Options {
  /** Ends by itself after this many seconds; Infinity: only by Ctrl-C. */
  readonly seconds: number
  /** Port of the adapter's API; 0: any free one. */
  readonly port: number
  readonly redisUrl: string | undefined
  /** host:port of some of Kafka's brokers; none: without Kafka. */
  readonly kafkaBrokers: readonly string[]
}

const PORT_MAX = 65_535

/** Throws an Error whose message says in one line what is wrong. */
export function readOptions(): Options {
  const { seconds = 'Infinity', port = '0', redis, kafka } = given()
  if (!(Number(seconds) > 0))
    throw new Error(`--seconds must be a number above 0, not '${seconds}'`)
  if (!/^\d+$/.test(port) || Number(port) > PORT_MAX)
    throw new Error(`--port must be a whole number from 0 to ${PORT_MAX}, not '${port}'`)
  if (redis !== undefined && !isRedisUrl(redis))
    throw new Error('--redis must be an address such as redis://127.0.0.1:6379')
  const kafkaBrokers = kafka?.split(',') ?? []
  if (!kafkaBrokers.every(isBroker))
    throw new Error('--kafka must be HOST:PORT[,HOST:PORT], such as 127.0.0.1:9092')
  return { seconds: Number(seconds), port: Number(port), redisUrl: redis, kafkaBrokers }
}

function given() {
  const options = {
    seconds: { type: 'string' },
    port: { type: 'string' },
    redis: { type: 'string' },
    kafka: { type: 'string' },
  } as const
  try {
    return parseArgs({ options }).values
  } catch (thrown) {
    const [sentence = ''] = String(thrown instanceof Error ? thrown.message : thrown).split(
      /\.? To |\n/,
    )
    throw new Error(`${sentence} (there are --seconds, --port, --redis and --kafka)`, {
      cause: thrown,
    })
  }
}

function isBroker(text: string): boolean {
  const [, port = '0'] =
    /^[\w.-]+:(\d{1,5})$|^\[[\da-f:]+\]:(\d{1,5})$/i.exec(text)?.filter(Boolean) ?? []
  return Number(port) > 0 && Number(port) <= PORT_MAX
}

function isRedisUrl(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== ''
}
