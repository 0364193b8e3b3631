import type { Component, SourceDeps, SourceType } from '../../ports.ts'
import { TidelineError } from '../../errors.ts'
import { failureOf } from '../failure.ts'
import { outcomes } from '../outcomes.ts'
import type { Outcome } from '../outcomes.ts'
import { poll } from '../poll.ts'
import { redisConfigSchema } from './config.ts'
import type { RedisConfig } from './config.ts'
import { routeOf } from './connection.ts'
import { commandsFor, originOf, samplesOf } from './keys.ts'
import type { KeyConfig } from './keys.ts'
import type { Answer } from './routes.ts'

const TIMEOUT_MS = 1000

/**
 * Reads keys of Redis as queue lengths, stream lags and counters. Each key is an origin. All keys of a node are
 * read in one round trip, over a connection that is kept; a broken one is opened again at the next collect, with
 * credentials read anew.
 *
 * | `as`                | metric (`metric` overrides the first)                                   | commands        |
 * | ------------------- | ----------------------------------------------------------------------- | --------------- |
 * | `list`              | `redis_list_length{key}`                                                | LLEN            |
 * | `set`               | `redis_set_size{key}`                                                   | SCARD           |
 * | `sortedSet`         | `redis_sorted_set_size{key}`                                            | ZCARD or ZCOUNT |
 * | `counter`           | `redis_counter{key}`, cumulative                                        | EXISTS GETRANGE |
 * | `stream`            | `redis_stream_length{key}`                                              | EXISTS XLEN     |
 * | `stream` + `group`  | `redis_stream_group_lag{key,group}`, `redis_stream_group_pending{…}`    | XLEN XINFO      |
 * |                     | `redis_stream_group_lag_estimated{…}`: 1 while `onNilLag` gives the lag |                 |
 *
 * The user's ACL needs these commands on these keys; with Sentinel ROLE too, with a Cluster CLUSTER SLOTS.
 */
export const redisSource: SourceType<RedisConfig> = {
  type: 'redis',
  summary:
    'Reads lists, streams, sorted sets, sets and counters of a Redis server, Sentinel group or Cluster.',
  schema: redisConfigSchema,
  create: (config, deps) => createRedis(config, deps),
}

function createRedis(config: RedisConfig, deps: SourceDeps): Component {
  const { name, clock, log } = deps
  const entries = config.keys.map((entry) => ({ entry, origin: originOf(entry) }))
  const route = routeOf(config, deps.secrets)
  const tell = outcomes(deps)

  /** Of the collect that is going on: the keys that are not told yet. */
  const open = new Set<number>()

  async function collect(signal: AbortSignal): Promise<void> {
    // A value was true at some time between question and answer: the earlier one makes nothing look fresher.
    const askedMs = clock.nowMs()
    for (const index of entries.keys()) open.add(index)
    const questions = entries.map(({ entry }) => ({
      key: entry.key,
      commands: commandsFor(entry, askedMs),
    }))
    const answered = (index: number, answer: Answer) => {
      const of = entries[index]
      if (signal.aborted || of === undefined || !open.delete(index)) return
      tell(of.origin, outcomeOf(of.entry, answer, askedMs), askedMs)
    }
    await route.ask(questions, answered, signal)
  }

  function failed(failure: TidelineError): void {
    const atMs = clock.nowMs()
    for (const [index, { origin }] of entries.entries())
      if (open.delete(index)) tell(origin, failure, atMs)
  }

  return {
    async run(signal) {
      const missed = (slots: number) => log.debug('collects-missed', { source: name, slots })
      const timeoutMs = config.timeout ?? Math.min(TIMEOUT_MS, config.interval)
      try {
        await poll(
          { clock, intervalMs: config.interval, timeoutMs, key: name, failed, missed },
          collect,
          signal,
        )
      } finally {
        route.close()
      }
    },
  }
}

function outcomeOf(entry: KeyConfig, answer: Answer, atMs: number): Outcome {
  if (answer instanceof TidelineError) return answer
  try {
    return { samples: samplesOf(entry, answer, atMs) }
  } catch (thrown) {
    return failureOf(thrown)
  }
}
