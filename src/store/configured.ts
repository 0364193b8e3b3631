import type { Clock, Logger, SecretReader, WindowStore } from '../ports.ts'
import type { RedisConnection } from '../sources/redis/connection.ts'
import { routeOf } from '../sources/redis/connection.ts'
import type { WindowAccount } from './measuredWindows.ts'
import { emptyAccount, measuredWindows } from './measuredWindows.ts'
import { memoryWindows } from './memoryWindows.ts'
import { redisWindows } from './redisWindows.ts'

/** `windowStore` of the configuration. */
export interface WindowStoreConfig {
  readonly redis: RedisConnection & { readonly prefix: string; readonly keep: number }
}

export interface ConfiguredWindowsDeps {
  readonly clock: Clock
  readonly secrets: SecretReader
  readonly log: Logger
}

export interface ConfiguredWindows {
  /** Windows of its own for each source; in memory where nothing is configured. */
  of(source: string): WindowStore
  /** What was asked of a shared store, by source; also by those that are gone. */
  account(): ReadonlyMap<string, WindowAccount>
}

export function configuredWindows(
  config: WindowStoreConfig | undefined,
  { clock, secrets, log }: ConfiguredWindowsDeps,
): ConfiguredWindows {
  if (config === undefined) return { of: memoryWindows, account: () => new Map() }
  const { prefix, keep: keepMs } = config.redis
  const accounts = new Map<string, WindowAccount>()
  return {
    of(source) {
      const account = accounts.get(source) ?? emptyAccount()
      accounts.set(source, account)
      const store = redisWindows({
        route: routeOf(config.redis, secrets),
        clock,
        prefix: `${prefix}${source}:`,
        keepMs,
        evicts: evictionLog(source, log),
      })
      return measuredWindows(store, account, clock)
    },
    account: () => accounts,
  }
}

/** A warning for each way in which keys may be dropped. */
function evictionLog(source: string, log: Logger): (policy: string | undefined) => void {
  let told: string | undefined
  return (policy) => {
    if (policy === undefined || policy === told) return
    told = policy
    log.warn('window-store-evicts', {
      source,
      message: `Redis drops keys when its memory is full (maxmemory-policy ${policy}); windows that it drops are read from the topic anew: set maxmemory-policy noeviction`,
    })
  }
}
