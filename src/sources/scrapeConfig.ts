import { z } from 'zod'
import type { Labels } from '../model.ts'
import { checkOnce, checkTimeout } from './configChecks.ts'
import { positiveDurationSchema } from './duration.ts'
import { authSchema, httpUrlSchema } from './http.ts'
import { tlsSchema } from './tls.ts'

const labelsSchema: z.ZodType<Labels> = z.record(
  z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/),
  z.string(),
  {
    error: (issue) =>
      issue.code === 'invalid_key'
        ? 'is not a label name: write letters, digits and _, no digit first'
        : undefined,
  },
)

export const targetSchema = z.strictObject({
  url: httpUrlSchema.meta({ description: 'where the metrics are, with the path' }),
  labels: labelsSchema
    .optional()
    .default({})
    .meta({ description: 'labels that all series of the target get' }),
})

const podsSchema = z.strictObject({
  namespace: z
    .string()
    .min(1)
    .exactOptional()
    .meta({ description: 'where to look; none: all namespaces' }),
  labelSelector: z.string().meta({ description: 'which pods, such as app=vision,tier!=canary' }),
  port: z
    .union([z.int().min(1).max(65_535), z.string().min(1)])
    .meta({ description: 'number, or the name of a container port' }),
  path: z.string().startsWith('/').default('/metrics'),
  scheme: z.enum(['http', 'https']).default('http'),
})

const limitsSchema = z.strictObject({
  bodyBytes: z
    .int()
    .min(1)
    .default(16 * 1024 * 1024)
    .meta({ description: 'size of one answer after decompression' }),
  lines: z.int().min(1).default(200_000).meta({ description: 'lines of one answer' }),
  series: z.int().min(1).default(50_000).meta({ description: 'series of one target' }),
  labels: z.int().min(1).default(64).meta({ description: 'labels of one series' }),
})

/** A metric name, or the beginning of one and `*`. */
const metricPatternSchema = z
  .string()
  .regex(/^[^*]*\*?$/, 'must be a metric name, or the beginning of one and *')
  .min(1)

/** Durations are milliseconds once read. */
export const scrapeConfigSchema = z
  .strictObject({
    targets: z
      .array(targetSchema)
      .default([])
      .meta({ description: 'targets that are always there' }),
    pods: podsSchema
      .exactOptional()
      .meta({ description: 'pods found in the cluster; only ready ones are asked' }),
    targetsFile: z
      .string()
      .min(1)
      .exactOptional()
      .meta({ description: 'file that lists further targets as [{url, labels}]; it is followed' }),
    interval: positiveDurationSchema
      .prefault('15s')
      .meta({ description: 'time from one collect of a target to the next' }),
    timeout: positiveDurationSchema
      .exactOptional()
      .meta({ description: 'for a whole answer; default 10s, or the interval if that is shorter' }),
    concurrency: z
      .int()
      .min(1)
      .max(1000)
      .default(64)
      .meta({ description: 'targets that are asked at one time' }),
    metrics: z.array(metricPatternSchema).min(1).default(['*']).meta({
      description:
        'metrics to take, as the samples are named (a histogram: with _bucket); * at the end for any ending',
    }),
    honorLabels: z.boolean().default(false).meta({
      description:
        "where target and series both have a label: true keeps the series', false the target's and renames the other exported_",
    }),
    honorTimestamps: z
      .boolean()
      .default(true)
      .meta({ description: "take the samples' own timestamps where they have one" }),
    attribution: z.enum(['target', 'metric']).default('target').meta({
      description:
        "whose the series are: the target's own, or (metric) of the pod that each series names, as for a DCGM exporter",
    }),
    auth: authSchema.exactOptional().meta({ description: 'how to show who asks' }),
    tls: tlsSchema.exactOptional().meta({ description: 'for https targets' }),
    limits: limitsSchema
      .prefault({})
      .meta({ description: 'a collect that passes one fails and says which' }),
  })
  .superRefine((config, context) => {
    const { targets, targetsFile, pods } = config
    if (targets.length === 0 && targetsFile === undefined && pods === undefined)
      context.addIssue({
        code: 'custom',
        path: ['targets'],
        message: 'write targets, targetsFile or pods',
      })
    checkTimeout(config, context)
    checkOnce(targets, { at: 'targets', field: 'url' }, context)
  })
export type ScrapeConfig = z.infer<typeof scrapeConfigSchema>

const TIMEOUT_MS = 10_000

export function timeoutMsOf(config: ScrapeConfig): number {
  return config.timeout ?? Math.min(TIMEOUT_MS, config.interval)
}

/** Whether a metric is in the list of names, where a `*` at the end stands for any ending. */
export function metricFilter(patterns: readonly string[]): (metric: string) => boolean {
  if (patterns.includes('*')) return () => true
  const names = new Set(patterns.filter((pattern) => !pattern.endsWith('*')))
  const beginnings = patterns.filter((p) => p.endsWith('*')).map((p) => p.slice(0, -1))
  return (metric) => names.has(metric) || beginnings.some((each) => metric.startsWith(each))
}
