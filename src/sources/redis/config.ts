import { z } from 'zod'
import { positiveDurationSchema } from '../duration.ts'
import { redisConnectionShape, refuseConnection } from './connection.ts'
import { keySchema, originOf } from './keys.ts'

/** Keys of one source; each is an origin of its own. */
const KEYS_MAX = 1000

export const redisConfigSchema = z
  .strictObject({
    ...redisConnectionShape,
    interval: positiveDurationSchema.prefault('2s'),
    /** Of one collect; at most `interval`. */
    timeout: positiveDurationSchema.exactOptional(),
    keys: z.array(keySchema).min(1).max(KEYS_MAX),
  })
  .superRefine((config, context) => {
    const refuse = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    refuseConnection(config, refuse)
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
