import type {
  Component,
  SecretReader,
  SecretReference,
  SourceDeps,
  SourceType,
} from '../../ports.ts'
import { TidelineError } from '../../errors.ts'
import { failureOf } from '../failure.ts'
import type { TlsConfig } from '../http.ts'
import { outcomes } from '../outcomes.ts'
import type { Outcome } from '../outcomes.ts'
import { abortable, poll } from '../poll.ts'
import { clusterRoute } from './clusterRoute.ts'
import { redisConfigSchema } from './config.ts'
import type { RedisConfig } from './config.ts'
import { commandsFor, originOf, samplesOf } from './keys.ts'
import type { KeyConfig } from './keys.ts'
import type { Credentials } from './link.ts'
import { sentinelRoute, singleRoute } from './routes.ts'
import type { Answer, ReadCredentials, Route } from './routes.ts'

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

function routeOf(config: RedisConfig, secrets: SecretReader): Route {
  const { url, sentinel, cluster, username, password, database } = config
  const address = url === undefined ? undefined : new URL(url)
  const tls = address?.protocol === 'rediss:' ? (config.tls ?? noTlsOptions) : config.tls
  const reader = (user?: string, secret?: SecretReference, number = 0): ReadCredentials =>
    credentialsReader({ secrets, user, secret, tls, number })
  const own = reader(username, password, database)
  if (sentinel !== undefined) {
    const credentials = reader(sentinel.username, sentinel.password)
    return sentinelRoute({ master: sentinel.master, nodes: sentinel.nodes, credentials }, own)
  }
  if (cluster !== undefined) return clusterRoute(cluster.nodes, own)
  if (address === undefined)
    throw new TidelineError('not-configured', 'no url, sentinel or cluster')
  return singleRoute(
    {
      host: address.hostname.replace(/^\[|\]$/g, ''),
      port: address.port === '' ? 6379 : Number(address.port),
    },
    own,
  )
}

const noTlsOptions: TlsConfig = { insecureSkipVerify: false }

interface CredentialParts {
  readonly secrets: SecretReader
  readonly user: string | undefined
  readonly secret: SecretReference | undefined
  readonly tls: TlsConfig | undefined
  readonly number: number
}

function credentialsReader(parts: CredentialParts): ReadCredentials {
  const { secrets, user, secret, tls, number } = parts
  return async (signal) => {
    const read = (reference: SecretReference) => {
      signal.throwIfAborted()
      return abortable(secrets.read(reference), signal)
    }
    return {
      database: number,
      ...(user === undefined ? {} : { username: user }),
      ...(secret === undefined ? {} : { password: await read(secret) }),
      ...(tls === undefined ? {} : { tls: await tlsOptions(tls, read) }),
    }
  }
}

async function tlsOptions(
  tls: TlsConfig,
  read: (reference: SecretReference) => Promise<string>,
): Promise<NonNullable<Credentials['tls']>> {
  return {
    rejectUnauthorized: !tls.insecureSkipVerify,
    ...(tls.ca === undefined ? {} : { ca: await read(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: await read(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: await read(tls.key) }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
  }
}
