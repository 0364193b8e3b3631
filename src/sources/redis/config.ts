import { z } from 'zod'
import { positiveDurationSchema } from '../duration.ts'
import { tlsSchema } from '../http.ts'
import { secretReferenceSchema } from '../reference.ts'
import { parseAddress } from './address.ts'
import type { Address } from './address.ts'
import { keySchema, originOf } from './keys.ts'

/** Keys of one source; each is an origin of its own. */
const KEYS_MAX = 1000

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

export const redisConfigSchema = z
  .strictObject({
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
    interval: positiveDurationSchema.prefault('2s'),
    /** Of one collect; at most `interval`. */
    timeout: positiveDurationSchema.exactOptional(),
    keys: z.array(keySchema).min(1).max(KEYS_MAX),
  })
  .superRefine((config, context) => {
    const refuse = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    const ways = (['url', 'sentinel', 'cluster'] as const).filter(
      (way) => config[way] !== undefined,
    )
    if (ways.length !== 1)
      refuse([ways[1] ?? 'url'], 'write exactly one of url, sentinel and cluster')
    if (config.cluster !== undefined && config.database !== 0)
      refuse(['database'], 'a Redis Cluster has database 0 alone')
    if (config.url?.startsWith('redis:') === true && config.tls !== undefined)
      refuse(['url'], 'tls needs a rediss:// URL')
    if (config.username !== undefined && config.password === undefined)
      refuse(['username'], 'a user needs a password: {file: …}, {env: …} or {secret: …}')
    if (config.timeout !== undefined && config.timeout > config.interval)
      refuse(['timeout'], 'must be at most the interval')
    const origins = new Set<string>()
    for (const [index, entry] of config.keys.entries()) {
      const origin = originOf(entry)
      if (origins.has(origin))
        refuse(['keys', index], 'is read twice: give one of them a metric, or leave one out')
      origins.add(origin)
    }
  })
export type RedisConfig = z.infer<typeof redisConfigSchema>
