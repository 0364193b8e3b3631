import type { Clock, SecretReader, WindowStore } from '../ports.ts'
import type { RedisConnection } from '../sources/redis/connection.ts'
import { routeOf } from '../sources/redis/connection.ts'
import { memoryWindows } from './memoryWindows.ts'
import { redisWindows } from './redisWindows.ts'

/** `windowStore` of the configuration. */
export interface WindowStoreConfig {
  readonly redis: RedisConnection & { readonly prefix: string; readonly keep: number }
}

/** Gives each source windows of its own; in memory where nothing is configured. */
export function configuredWindows(
  config: WindowStoreConfig | undefined,
  deps: { readonly clock: Clock; readonly secrets: SecretReader },
): (source: string) => WindowStore {
  if (config === undefined) return memoryWindows
  const { prefix, keep: keepMs } = config.redis
  return (source) =>
    redisWindows({
      route: routeOf(config.redis, deps.secrets),
      clock: deps.clock,
      prefix: `${prefix}${source}:`,
      keepMs,
    })
}
