import { z } from 'zod'
import { TidelineError } from '../../errors.ts'
import type { SecretReader, SecretReference } from '../../ports.ts'
import { abortable } from '../poll.ts'
import { secretReferenceSchema } from '../reference.ts'
import type { TlsConfig } from '../tls.ts'
import { tlsOptions, tlsSchema } from '../tls.ts'
import { parseAddress } from './address.ts'
import type { Address } from './address.ts'
import { clusterRoute } from './clusterRoute.ts'
import { sentinelRoute, singleRoute } from './routes.ts'
import type { ReadCredentials, Route } from './routes.ts'

const addressSchema = z.string().transform((text, context): Address => {
  const address = parseAddress(text)
  if (address !== undefined) return address
  context.addIssue({ code: 'custom', message: 'must be host:port, such as redis.jobs:6379' })
  return z.NEVER
})
const nodesSchema = z.array(addressSchema).min(1).max(100)

const urlSchema = z.string().superRefine((text, context) => {
  const refuse = (message: string) => context.addIssue({ code: 'custom', message })
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:'))
    refuse('must be a redis:// URL, or rediss:// for TLS, such as redis://redis.jobs:6379')
  else if (url.username !== '' || url.password !== '')
    refuse(
      'must hold no credentials: write username, and password: {file: …}, {env: …} or {secret: …}',
    )
  else if (url.hostname === '') refuse('must name a host')
  else if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '')
    refuse('must end after the port: write the number of the database as database')
})

/** How a Redis is reached: exactly one of `url`, `sentinel` and `cluster`. `refuseConnection` sees to it. */
export const redisConnectionShape = {
  /** One server: `redis://host:port`, `rediss://` for TLS. */
  url: urlSchema.exactOptional(),
  /** The master that Sentinels name; `username` and `password` here are those of the Sentinels. */
  sentinel: z
    .strictObject({
      master: z.string().min(1),
      nodes: nodesSchema,
      username: z.string().min(1).exactOptional(),
      password: secretReferenceSchema.exactOptional(),
    })
    .exactOptional(),
  /** A Redis Cluster, by some of its nodes. */
  cluster: z.strictObject({ nodes: nodesSchema }).exactOptional(),
  username: z.string().min(1).exactOptional(),
  password: secretReferenceSchema.exactOptional(),
  /** For `sentinel` and `cluster` its presence means TLS, with every node. */
  tls: tlsSchema.exactOptional(),
  database: z.int().min(0).max(65_535).default(0),
}

const connectionSchema = z.strictObject(redisConnectionShape)
export type RedisConnection = z.infer<typeof connectionSchema>

/** What fields of a connection cannot go together. */
export function refuseConnection(
  config: RedisConnection,
  refuse: (path: (string | number)[], message: string) => void,
): void {
  const ways = (['url', 'sentinel', 'cluster'] as const).filter((way) => config[way] !== undefined)
  if (ways.length !== 1)
    refuse([ways[1] ?? 'url'], 'write exactly one of url, sentinel and cluster')
  if (config.cluster !== undefined && config.database !== 0)
    refuse(['database'], 'a Redis Cluster has database 0 alone')
  if (config.url?.startsWith('redis:') === true && config.tls !== undefined)
    refuse(['url'], 'tls needs a rediss:// URL')
  if (config.username !== undefined && config.password === undefined)
    refuse(['username'], 'a user needs a password: {file: …}, {env: …} or {secret: …}')
}

/** No connection is made before the first question. */
export function routeOf(config: RedisConnection, secrets: SecretReader): Route {
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
