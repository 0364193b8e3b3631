/** A real Redis list that load goes through, when the demo is given a server. */
import { Redis } from 'ioredis'

const KEY = 'tideline-demo:frames'
const DRAIN_PER_SECOND = 40
const LENGTH_MAX = 10_000

export interface Queue {
  /** A second of load: frames arrive, and those there is capacity for leave. */
  put(frames: number): Promise<void>
  close(): Promise<void>
}

export function connectQueue(url: string): Queue {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 })
  redis.on('error', () => undefined)
  return {
    async put(frames) {
      const arriving = Array.from({ length: Math.round(frames) }, () => 'frame')
      await redis
        .multi()
        .lpush(KEY, ...arriving)
        .ltrim(KEY, 0, LENGTH_MAX - 1)
        .rpop(KEY, DRAIN_PER_SECOND)
        .exec()
    },
    async close() {
      await redis.del(KEY).catch(() => 0)
      redis.disconnect()
    },
  }
}
