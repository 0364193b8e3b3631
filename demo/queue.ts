/** A real Redis list that load goes through, when the demo is given a server. */
import { Redis } from 'ioredis'

const KEY = 'tideline-demo:frames'
const DRAIN_PER_SECOND = 40
const LENGTH_MAX = 10_000
const CONNECT_TIMEOUT_MS = 3000

export interface Queue {
  /** A second of load: frames arrive, and those there is capacity for leave. */
  put(frames: number): Promise<void>
  close(): Promise<void>
}

/** Rejects where the server does not answer, with a message that names host and port only. */
export async function connectQueue(url: string): Promise<Queue> {
  const { hostname, port } = new URL(url)
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 1,
  })
  redis.on('error', () => undefined)
  const reached = async (answer: Promise<unknown>): Promise<void> => {
    try {
      await answer
    } catch (thrown) {
      redis.disconnect()
      // The cause may quote the URL, and with it a password: only the code of the server's answer is told.
      const [, code] = /^(NOAUTH|WRONGPASS|NOPERM)\b/.exec(String((thrown as Error).message)) ?? []
      const answered = code === undefined ? '' : ` (it answers ${code})`
      throw new Error(`cannot reach Redis at ${hostname}:${port || '6379'}${answered}`)
    }
  }
  await reached(redis.connect().then(async () => redis.ping()))
  return {
    async put(frames) {
      const arriving = Array.from({ length: Math.round(frames) }, () => 'frame')
      await reached(
        redis
          .multi()
          .lpush(KEY, ...arriving)
          .ltrim(KEY, 0, LENGTH_MAX - 1)
          .rpop(KEY, DRAIN_PER_SECOND)
          .exec(),
      )
    },
    async close() {
      await redis.del(KEY).catch(() => 0)
      redis.disconnect()
    },
  }
}
