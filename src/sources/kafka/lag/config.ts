import { z } from 'zod'
import { positiveDurationSchema } from '../../duration.ts'
import { kafkaConnectionShape } from '../connection.ts'
import { lagGroupSchema, subjectsOf } from './groupConfig.ts'

/** More often would load the brokers and tell an autoscaler nothing new. */
const INTERVAL_MIN_MS = 1000
const SUBJECTS_MAX = 1000

export const kafkaLagConfigSchema = z
  .strictObject({
    ...kafkaConnectionShape,
    interval: positiveDurationSchema
      .refine((ms) => ms >= INTERVAL_MIN_MS, { error: 'must be 1s or more' })
      .prefault('5s')
      .meta({ description: 'time from one poll to the next, of all groups at once; at least 1s' }),
    timeout: positiveDurationSchema
      .exactOptional()
      .meta({ description: 'for a whole poll; at most the interval, which is the default' }),
    groups: z.array(lagGroupSchema).min(1).max(SUBJECTS_MAX),
  })
  .superRefine((config, context) => {
    const refuse = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    if (config.timeout !== undefined && config.timeout > config.interval)
      refuse(['timeout'], 'must be at most the interval')
    const subjects = subjectsOf(config.groups)
    if (subjects.length > SUBJECTS_MAX)
      refuse(
        ['groups'],
        `${subjects.length} topics of groups are more than ${SUBJECTS_MAX}: make two sources of them`,
      )
    const origins = new Set<string>()
    for (const { origin, topic, group } of subjects) {
      if (origins.has(origin))
        refuse(['groups'], `topic ${topic} of group ${group} is read twice: leave one of them out`)
      origins.add(origin)
    }
  })
export type KafkaLagConfig = z.infer<typeof kafkaLagConfigSchema>
