import { z } from 'zod'
import type { Labels } from '../model.ts'
import { positiveDurationSchema } from './duration.ts'
import { authSchema, httpUrlSchema, tlsSchema } from './http.ts'

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

const targetSchema = z.strictObject({
  url: httpUrlSchema,
  labels: labelsSchema.optional().default({}),
})

const podsSchema = z.strictObject({
  namespace: z.string().min(1).exactOptional(),
  labelSelector: z.string(),
  port: z.union([z.int().min(1).max(65_535), z.string().min(1)]),
  path: z.string().startsWith('/').default('/metrics'),
  scheme: z.enum(['http', 'https']).default('http'),
})

const limitsSchema = z.strictObject({
  /** After decompression. */
  bodyBytes: z
    .int()
    .min(1)
    .default(16 * 1024 * 1024),
  lines: z.int().min(1).default(200_000),
  series: z.int().min(1).default(50_000),
  labels: z.int().min(1).default(64),
})

/** A metric name, or the beginning of one and `*`. */
const metricPatternSchema = z
  .string()
  .regex(/^[^*]*\*?$/, 'must be a metric name, or the beginning of one and *')
  .min(1)

/** Durations are milliseconds once read. */
export const scrapeConfigSchema = z
  .strictObject({
    targets: z.array(targetSchema).default([]),
    pods: podsSchema.exactOptional(),
    interval: positiveDurationSchema.prefault('15s'),
    /** 10 s, or the interval if that is shorter. */
    timeout: positiveDurationSchema.exactOptional(),
    /** Targets that are asked at one time. */
    concurrency: z.int().min(1).max(1000).default(64),
    metrics: z.array(metricPatternSchema).min(1).default(['*']),
    honorLabels: z.boolean().default(false),
    honorTimestamps: z.boolean().default(true),
    attribution: z.enum(['target', 'metric']).default('target'),
    auth: authSchema.exactOptional(),
    tls: tlsSchema.exactOptional(),
    limits: limitsSchema.prefault({}),
  })
  .superRefine((config, context) => {
    if (config.targets.length === 0 && config.pods === undefined)
      context.addIssue({
        code: 'custom',
        path: ['targets'],
        message: 'write targets, pods or both',
      })
    if (config.timeout !== undefined && config.timeout > config.interval)
      context.addIssue({
        code: 'custom',
        path: ['timeout'],
        message: 'must not be longer than interval',
      })
    const urls = new Set<string>()
    config.targets.forEach(({ url }, index) => {
      if (urls.has(url))
        context.addIssue({
          code: 'custom',
          path: ['targets', index, 'url'],
          message: `${url} is there twice`,
        })
      urls.add(url)
    })
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
