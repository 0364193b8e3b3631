import { z } from 'zod'
import { checkOnce, checkTimeout } from './configChecks.ts'
import { positiveDurationSchema } from './duration.ts'
import { authSchema, httpUrlSchema } from './http.ts'
import { secretReferenceSchema } from './reference.ts'
import { tlsSchema } from './tls.ts'

const QUERIES_MAX = 500

const querySchema = z.strictObject({
  /** Metric that the result is written as. */
  name: z
    .string()
    .regex(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/, 'must be a metric name: letters, digits, _ and :'),
  /** PromQL that gives an instant vector or a scalar. */
  query: z.string().min(1),
  /** Laid over the labels of each series. */
  labels: z
    .record(
      z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'must be a label name: letters, digits and _'),
      z.string().min(1),
    )
    .default({}),
})
export type QueryConfig = z.infer<typeof querySchema>

const headersSchema = z.record(
  z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be the name of a header')
    .refine((name) => !/^(authorization|host|content-.*|transfer-encoding)$/i.test(name), {
      error: 'is not to be set here: use auth for credentials',
    }),
  z.union([z.string().regex(/^[\t\x20-\x7e]*$/, 'must be plain text'), secretReferenceSchema]),
)

/** Durations are milliseconds once read. */
export const prometheusConfigSchema = z
  .strictObject({
    /** Where the server is; `/api/v1/query` is added to it. */
    url: httpUrlSchema,
    queries: z.array(querySchema).min(1).max(QUERIES_MAX),
    interval: positiveDurationSchema.prefault('15s'),
    /** 10 s, or the interval if that is shorter. */
    timeout: positiveDurationSchema.exactOptional(),
    auth: authSchema.exactOptional(),
    tls: tlsSchema.exactOptional(),
    /** Sent with each query, such as `X-Scope-OrgID`; by value or reference. */
    headers: headersSchema.default({}),
    /**
     * Whose a series is. `target`: its labels are kept as they are. `metric`: where the server scraped an
     * exporter and kept the exporter's own `pod`, `namespace` and `container`, those that it renamed
     * (`exported_pod`) are the series's own, and the exporter's are told as `exporter_pod`.
     */
    attribution: z.enum(['target', 'metric']).default('target'),
    limits: z
      .strictObject({
        /** After decompression. */
        bodyBytes: z
          .int()
          .min(1)
          .default(8 * 1024 * 1024),
        /** Of one query. */
        series: z.int().min(1).default(10_000),
      })
      .prefault({}),
  })
  .superRefine((config, context) => {
    checkTimeout(config, context)
    checkOnce(config.queries, { at: 'queries', field: 'name' }, context)
  })
export type PrometheusConfig = z.infer<typeof prometheusConfigSchema>
