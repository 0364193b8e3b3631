import { z } from 'zod'
import { durationSchema, positiveDurationSchema } from '../../duration.ts'
import { kafkaConnectionShape, topicSchema } from '../connection.ts'

const text = z.string().min(1)
const labelName = z
  .string()
  .regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'must be a label name: letters, digits and "_"')
const metricName = z
  .string()
  .regex(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/, 'must be a metric name: letters, digits, "_" and ":"')
/** `meta.camera` is the field `camera` of the field `meta`. */
const path = z
  .string()
  .regex(/^[^.]+(\.[^.]+)*$/, 'must be a field, or fields in one another with "." between')

const orElse = text.exactOptional().meta({
  description: 'value where the event has none; left out: such an event is malformed',
})

const labelSchema = z.union(
  [
    z.strictObject({ field: path, default: orElse }),
    z.strictObject({ header: text, default: orElse }),
    z.strictObject({ key: z.literal(true), default: orElse }),
    z.strictObject({ value: text }).meta({ description: 'the same for all events' }),
  ],
  { error: 'must be one of {field: NAME}, {header: NAME}, {key: true} and {value: TEXT}' },
)

const timeSchema = z
  .strictObject({
    field: path,
    format: z.literal(['auto', 'ms', 's', 'rfc3339']).default('auto').meta({
      description:
        'ms or s since 1970, or text; auto takes text as RFC 3339 and numbers below 1e11 as seconds',
    }),
  })
  .exactOptional()
  .meta({ description: "when it happened; left out: the message's timestamp" })

const whereSchema = z
  .strictObject({
    field: path,
    equals: z.union([z.string(), z.number(), z.boolean()]).exactOptional(),
    in: z.array(z.string()).min(1).exactOptional(),
    min: z.number().exactOptional(),
    max: z.number().exactOptional(),
  })
  .refine(({ field: _, ...conditions }) => Object.keys(conditions).length > 0, {
    error: 'must say what: equals, in, min or max',
  })
  .superRefine(({ field: _, equals, in: among, min = -Infinity, max = Infinity }, context) => {
    const refuse = (at: string, message: string) =>
      context.addIssue({ code: 'custom', path: [at], message: `${message}: no event has that` })
    if (min > max) return refuse('min', `must not be above max, ${max}`)
    const bounded = min !== -Infinity || max !== Infinity
    const within = typeof equals === 'number' && equals >= min && equals <= max
    if (bounded && equals !== undefined && !within)
      refuse('equals', 'must be a number within min and max')
    if (equals !== undefined && among !== undefined && !among.includes(String(equals)))
      refuse('equals', 'must be one of in')
  })

const valueSchema = z.strictObject({
  field: path.meta({ description: 'a number in each event' }),
  metric: metricName.meta({ description: 'gives METRIC_sum, METRIC_count and METRIC_bucket' }),
  buckets: z
    .array(z.number())
    .max(50)
    .default([])
    .refine((bounds) => bounds.every((bound, at) => at === 0 || bound > (bounds[at - 1] ?? 0)), {
      error: 'must rise',
    })
    .meta({ description: 'upper bounds, for quantiles' }),
})

const VALUES_MAX = 10
const BUCKETS_MAX = 3600

export const kafkaEventsConfigSchema = z
  .strictObject({
    ...kafkaConnectionShape,
    topic: topicSchema,
    group: z.string().min(1).max(200).default('tideline').meta({
      description:
        "the adapter's own consumer group; with windowStore its replicas share the partitions, without each reads all and adds a random part",
    }),
    isolation: z.literal(['read-committed', 'read-uncommitted']).default('read-committed'),
    metric: metricName.meta({ description: 'name of the count of events' }),
    labels: z
      .record(labelName, labelSchema)
      .default({})
      .meta({ description: 'labels of the count, and where their values are in an event' }),
    time: timeSchema,
    where: z.array(whereSchema).max(20).default([]).meta({ description: 'only such events' }),
    values: z.array(valueSchema).max(VALUES_MAX).default([]),
    expect: z.array(z.record(labelName, z.string())).max(1000).default([]).meta({
      description: 'values of all labels that count 0 from the start; others begin with an event',
    }),
    window: positiveDurationSchema
      .prefault('5m')
      .meta({ description: 'longest window of the signals over it' }),
    bucket: positiveDurationSchema
      .prefault('250ms')
      .meta({ description: 'width in event time; a value is that much older' }),
    lateness: durationSchema.prefault('10s').meta({
      description: 'an event that was published later than this after it happened is dropped',
    }),
    future: durationSchema.prefault('5s').meta({
      description: 'an event that is ahead of its message by more is dropped',
    }),
    maxSeries: z.int().min(1).max(100_000).default(1000).meta({
      description: 'sets of label values; beyond, the source fails instead of counting some',
    }),
    forgetAfter: positiveDurationSchema.prefault('24h').meta({
      description: 'label values without an event for so long are forgotten at the next start',
    }),
    logPayload: z
      .boolean()
      .default(false)
      .meta({ description: 'shows malformed events in the log; they may hold personal data' }),
  })
  .superRefine((config, context) => {
    const refuse = (where: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path: where, message })
    if (config.window % config.bucket !== 0)
      refuse(['window'], `must be a multiple of the bucket, ${config.bucket}ms`)
    if (config.window / config.bucket > BUCKETS_MAX)
      refuse(
        ['bucket'],
        `must be ${Math.ceil(config.window / BUCKETS_MAX)}ms or more: a window holds ${BUCKETS_MAX} buckets at most`,
      )
    const names = Object.keys(config.labels)
    for (const [index, labels] of config.expect.entries()) {
      const missing = names.filter((name) => labels[name] === undefined)
      const unknown = Object.keys(labels).filter((name) => !names.includes(name))
      if (missing.length > 0) refuse(['expect', index], `lacks ${missing.join(', ')}`)
      if (unknown.length > 0)
        refuse(['expect', index], `names ${unknown.join(', ')}, which labels does not`)
    }
    const taken = new Set([config.metric, 'kafka_events_counted', 'kafka_events_dropped'])
    if (config.metric.startsWith('kafka_events_'))
      refuse(['metric'], 'must not begin with kafka_events_, as counters of the reading do')
    for (const [index, { metric, buckets }] of config.values.entries()) {
      const series = ['_sum', '_count', ...(buckets.length > 0 ? ['_bucket'] : [])]
      const twice = series.map((suffix) => metric + suffix).filter((name) => taken.has(name))
      if (twice.length > 0 || taken.has(metric))
        refuse(
          ['values', index, 'metric'],
          `must be another name: ${twice[0] ?? metric} is a series already`,
        )
      for (const name of [metric, ...series.map((suffix) => metric + suffix)]) taken.add(name)
      if (buckets.length > 0 && names.includes('le'))
        refuse(
          ['values', index, 'buckets'],
          'give the label le to series: name that in labels another',
        )
    }
  })

export type KafkaEventsConfig = z.infer<typeof kafkaEventsConfigSchema>
