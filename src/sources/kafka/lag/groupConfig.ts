import { z } from 'zod'
import { durationSchema } from '../../duration.ts'
import { topicSchema } from '../connection.ts'

/** A topic has no more in practice; it bounds what a range such as `0-99999` can stand for. */
const PARTITION_MAX = 99_999
const TOPICS_MAX = 500

const PARTITION_MEND =
  'must be the number of a partition, such as 3, or a range of them, such as 10-20'

const partitionSchema = z.union(
  [
    z.int().min(0).max(PARTITION_MAX),
    z.string().regex(/^\d{1,5}-\d{1,5}$/, { error: PARTITION_MEND }),
  ],
  { error: PARTITION_MEND },
)

const partitionsSchema = z
  .array(partitionSchema)
  .min(1)
  .max(1000)
  .transform((written, context): readonly number[] => {
    const chosen = new Set<number>()
    for (const [index, one] of written.entries()) {
      const [from = 0, to = from] = typeof one === 'number' ? [one] : one.split('-').map(Number)
      if (to < from)
        context.addIssue({
          code: 'custom',
          path: [index],
          message: `the range ${String(one)} ends before it begins: write ${to}-${from}`,
        })
      for (let partition = from; partition <= to; partition += 1) chosen.add(partition)
    }
    return [...chosen].toSorted((a, b) => a - b)
  })

/** A consumer group and the topics whose lag is read. */
export const lagGroupSchema = z
  .strictObject({
    group: z.string().min(1).max(249).meta({ description: 'consumer group' }),
    topics: z.array(topicSchema).min(1).max(TOPICS_MAX),
    partitions: partitionsSchema.exactOptional().meta({
      description: 'only these, such as [0, 3, 10-20]; left out: all, also those added later',
    }),
    noCommit: z.literal(['earliest', 'latest', 'ignore']).default('latest').meta({
      description:
        'where a partition without a committed offset is read from, as auto.offset.reset of the consumers says: earliest (what is retained is lag), latest (no lag yet), ignore (its lag is not known)',
    }),
    startWithoutCommit: z.boolean().exactOptional().meta({
      description:
        'noCommit latest: such a partition counts one message in the scaling lag, so that a group that never ran is started. Default: true',
    }),
    isolation: z
      .literal(['read-uncommitted', 'read-committed'])
      .default('read-uncommitted')
      .meta({ description: 'isolation.level of the consumers' }),
    lagSeconds: z.literal(['auto', 'fetch', 'interpolate', 'off']).default('auto').meta({
      description:
        'fetch: from the time of the next message, needs READ on the topic; interpolate: from when the end passed its offset; auto: fetch, or interpolate where that does not work',
    }),
    replicaLag: z
      .number()
      .positive()
      .exactOptional()
      .meta({ description: 'lag that one replica may have: the target of the autoscaler' }),
    limitTo: z.literal(['none', 'partitions', 'partitionsWithLag']).exactOptional().meta({
      description:
        'the scaling lag is at most replicaLag for each of these, as more consumers would be idle. Default: partitions with replicaLag, else none',
    }),
    stuckAfter: z.int().min(2).max(10_000).default(12).meta({
      description:
        'polls without a move of the committed offset, with lag, that make a partition stuck',
    }),
    excludeStuck: z
      .boolean()
      .default(false)
      .meta({ description: 'leaves stuck partitions out of the scaling lag' }),
    rebalanceHold: durationSchema.prefault('2m').meta({
      description:
        'the scaling lag does not fall while the group rebalances, for so long; 0s: it may',
    }),
  })
  .superRefine((entry, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message })
    if (entry.startWithoutCommit !== undefined && entry.noCommit !== 'latest')
      refuse(
        'startWithoutCommit',
        `has no meaning with noCommit: ${entry.noCommit}; leave it out, or write noCommit: latest`,
      )
    const { limitTo, replicaLag } = entry
    if (limitTo !== undefined && limitTo !== 'none' && replicaLag === undefined)
      refuse('limitTo', `${limitTo} needs replicaLag, the lag that one replica may have`)
    if (limitTo === 'none' && replicaLag !== undefined)
      refuse('replicaLag', 'has no meaning with limitTo: none; leave one of them out')
  })
export type LagGroupConfig = z.infer<typeof lagGroupSchema>

/** One topic of one group: what an origin is made of. */
export interface Subject {
  readonly origin: string
  readonly topic: string
  readonly group: string
  readonly policy: LagGroupConfig
}

export function subjectsOf(groups: readonly LagGroupConfig[]): readonly Subject[] {
  return groups.flatMap((policy) =>
    policy.topics.map((topic) => ({
      // Origins with a slash are those of pods.
      origin: `${topic}@${policy.group.replaceAll('/', '%2F')}`,
      topic,
      group: policy.group,
      policy,
    })),
  )
}
