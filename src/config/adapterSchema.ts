/**
 * The `MetricsAdapter` document: what the platform team writes. This schema is the only definition;
 * validation, the JSON Schema and the documentation are derived from it.
 */
import { z } from 'zod'
import { durationSchema, positiveDurationSchema } from '../sources/duration.ts'
import { redisConnectionShape, refuseConnection } from '../sources/redis/connection.ts'
import { sourceTypes } from '../sources/registry.ts'
import { API_VERSION, metadataSchema } from './signalSchema.ts'

const sourceName = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'must be lower case letters, digits and "-"')

const sourceTypeNames = Object.keys(sourceTypes) as (keyof typeof sourceTypes)[]

const sourceSchema = z
  .strictObject({
    name: sourceName.meta({ description: 'what signals call it' }),
    namespaces: z
      .array(z.string().min(1))
      .optional()
      .meta({ description: 'namespaces whose signals may use it; left out: every namespace' }),
    scopeLabel: z.string().nullable().optional().meta({
      description:
        "label that must equal the signal's namespace, so that no team reads another's series; null: none. Default: namespace for scrape and push, none for others",
    }),
    scrape: sourceTypes.scrape.schema.optional(),
    redis: sourceTypes.redis.schema.optional(),
    prometheus: sourceTypes.prometheus.schema.optional(),
    kafkaLag: sourceTypes.kafkaLag.schema.optional(),
    kafkaEvents: sourceTypes.kafkaEvents.schema.optional(),
    push: sourceTypes.push.schema.optional(),
  })
  .superRefine((source, context) => {
    const kinds = sourceTypeNames.filter((type) => source[type] !== undefined)
    if (kinds.length === 1) return
    context.addIssue({
      code: 'custom',
      message: `must have exactly one of ${sourceTypeNames.join(', ')}; it has ${kinds.join(', ') || 'none'}`,
    })
  })

const clientCertificates = z.strictObject({
  caFile: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'CA of the client certificates (PEM); left out: --tls-ca-file' }),
})

/** The message where `mode` is none of the known ones. */
function oneOf(...modes: readonly string[]) {
  return {
    error: ({ code }: { readonly code?: string }) =>
      code === 'invalid_union' ? `must be one of ${modes.join(', ')}` : undefined,
  }
}

/** A value older than this is of little use to an autoscaler, which asks every 15 s. */
const INTERVAL_MAX_MS = 10_000

const authSchema = z
  .discriminatedUnion(
    'mode',
    [
      z.strictObject({ mode: z.literal('delegated') }).meta({
        description:
          'as an aggregated API server: request-header CA, client CA, TokenReview, SubjectAccessReview',
      }),
      clientCertificates.extend({ mode: z.literal('clientCertificates') }),
      z.strictObject({
        mode: z.literal('tokenFile'),
        tokenFile: z.string().min(1).meta({ description: 'lines of token,user,group|group' }),
      }),
      z
        .strictObject({ mode: z.literal('insecureOpen') })
        .meta({ description: 'everybody may read; for a trial only' }),
    ],
    oneOf('delegated', 'clientCertificates', 'tokenFile', 'insecureOpen'),
  )
  .prefault({ mode: 'delegated' })

const externalScalerSchema = z
  .strictObject({
    address: z.string().default('::').meta({ description: 'address to listen on' }),
    port: z.int().min(0).max(65_535).default(6444),
    auth: z
      .discriminatedUnion(
        'mode',
        [
          clientCertificates
            .extend({
              mode: z.literal('clientCertificates'),
              namespaces: z
                .record(z.string().min(1), z.array(z.string().min(1)))
                .optional()
                .meta({
                  description:
                    "common name of a client certificate to the namespaces whose signals it may ask for; left out: those of every certificate's ScaledObjects",
                }),
            })
            .meta({ description: 'TLS both ways' }),
          z
            .strictObject({ mode: z.literal('insecureOpen') })
            .meta({ description: 'TLS, and everybody may read; for a trial only' }),
          z
            .strictObject({ mode: z.literal('insecurePlaintext') })
            .meta({ description: 'no TLS, and everybody may read; for a trial only' }),
        ],
        oneOf('clientCertificates', 'insecureOpen', 'insecurePlaintext'),
      )
      .prefault({ mode: 'clientCertificates' }),
  })
  .meta({ description: 'gRPC port for KEDA; left out: none' })

const windowStoreSchema = z
  .strictObject({
    redis: z
      .strictObject({
        ...redisConnectionShape,
        prefix: z
          .string()
          .max(100)
          .regex(/^[^{}\s]*$/, 'must hold no "{", "}" or space')
          .default('tideline:')
          .meta({ description: 'begins every key; other adapters on this Redis need another one' }),
        keep: positiveDurationSchema
          .prefault('48h')
          .meta({ description: 'what is not changed for so long is forgotten' }),
      })
      .superRefine((config, context) =>
        refuseConnection(config, (path, message) =>
          context.addIssue({ code: 'custom', path, message }),
        ),
      ),
  })
  .meta({
    description:
      'where windows over event streams outlive a process, and replicas share them; left out: memory, every replica for itself',
  })

export const behaviorSchema = z
  .strictObject({
    mode: z.enum(['write', 'restore']).default('write').meta({
      description:
        'write: windows to the objects annotated; restore: take back all that was written, and write nothing',
    }),
    namespaces: z
      .array(z.string().min(1))
      .optional()
      .meta({ description: 'namespaces whose objects are looked at; left out: all' }),
    scaledObjects: z.boolean().default(false).meta({
      description: "KEDA's ScaledObjects as well; where KEDA is not installed, leave it off",
    }),
    leaseNamespace: z
      .string()
      .min(1)
      .optional()
      .meta({ description: "where the Lease is kept; left out: the adapter's own namespace" }),
    restingWindow: durationSchema
      .refine((ms) => ms <= 3600_000, { error: 'must be 1h or less' })
      .prefault('300s')
      .meta({ description: 'the window while any would do' }),
    minChange: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .meta({ description: 'least change that is written, as a share of the window in force' }),
    minStep: durationSchema.prefault('10s').meta({ description: 'least change that is written' }),
    interval: positiveDurationSchema
      .prefault('15s')
      .meta({ description: 'least time between two writes to one object' }),
    grace: durationSchema.prefault('5m').meta({
      description: 'how long the window stays while the signal is unknown, before it is taken back',
    }),
  })
  .meta({ description: "writes decided windows to the HPA's behaviour; left out: never" })

const pushSchema = z
  .strictObject({
    address: z.string().default('::').meta({ description: 'address to listen on' }),
    port: z.int().min(0).max(65_535).default(6445),
    auth: z
      .discriminatedUnion(
        'mode',
        [
          z
            .strictObject({
              mode: z.literal('serviceAccountToken'),
              audience: z.string().min(1).exactOptional().meta({
                description:
                  'for whom the token must be, so that it is good for nothing else; default: the API server',
              }),
            })
            .meta({
              description:
                'TLS, and a bearer token of a ServiceAccount, proved by TokenReview; a pod reports for itself alone',
            }),
          clientCertificates
            .extend({
              mode: z.literal('clientCertificates'),
              namespaces: z.record(z.string().min(1), z.array(z.string().min(1))).meta({
                description:
                  'common name of a client certificate to the namespaces whose pods it may report for',
              }),
            })
            .meta({ description: 'TLS both ways' }),
          z
            .strictObject({ mode: z.literal('insecureOpen') })
            .meta({ description: 'TLS, and everybody may report for any pod; for a trial only' }),
          z
            .strictObject({ mode: z.literal('insecurePlaintext') })
            .meta({ description: 'no TLS, and everybody may report; for a trial only' }),
        ],
        oneOf('serviceAccountToken', 'clientCertificates', 'insecureOpen', 'insecurePlaintext'),
      )
      .prefault({ mode: 'serviceAccountToken' }),
    reportsPerSecond: z
      .int()
      .min(1)
      .max(1000)
      .default(20)
      .meta({ description: 'reports that one pod may send, twice as many at once' }),
    partsPerSecond: z.int().min(100).max(10_000_000).default(20_000).meta({
      description:
        'how much there may be in them: points, attributes and values (each second of a count is one)',
    }),
    http: z
      .strictObject({ port: z.int().min(0).max(65_535).default(4318) })
      .optional()
      .meta({ description: 'OTLP over HTTP as well, at /v1/metrics; left out: over gRPC alone' }),
  })
  .meta({ description: 'gRPC port for reports of services and OTLP metrics; left out: none' })

const stateSchema = z
  .strictObject({
    file: z.string().min(1).meta({
      description:
        'where it is written; its folder must exist, on a volume that outlives the pod; no two adapters share a file',
    }),
    every: positiveDurationSchema
      .prefault('30s')
      .meta({ description: 'how often it is written; at a stop as well' }),
  })
  .meta({
    description:
      'file in which holds in force and what was learned outlive a restart; left out: memory alone',
  })

export const adapterSpecSchema = z.strictObject({
  sources: z
    .array(sourceSchema)
    .default([])
    .refine((sources) => sources.filter(({ push }) => push !== undefined).length < 2, {
      error: 'must have one source of kind push at most: all reports go to it',
    }),
  metricsApi: z
    .strictObject({
      address: z.string().default('::').meta({ description: 'address to listen on' }),
      port: z.int().min(0).max(65_535).default(6443),
      auth: authSchema,
      drain: durationSchema
        .prefault('5s')
        .meta({ description: 'time between readiness off and the last connection taken' }),
    })
    .prefault({}),
  externalScaler: externalScalerSchema.optional(),
  push: pushSchema.optional(),
  windowStore: windowStoreSchema.optional(),
  behavior: behaviorSchema.optional(),
  state: stateSchema.optional(),
  podNamespaces: z
    .array(z.string().min(1))
    .optional()
    .meta({ description: 'namespaces whose pods are watched; left out: all' }),
  evaluation: z
    .strictObject({
      interval: positiveDurationSchema
        .refine((ms) => ms <= INTERVAL_MAX_MS, {
          error: 'must be 10s or less: autoscalers ask every 15s',
        })
        .prefault('1s'),
    })
    .prefault({})
    .meta({ description: 'how often every signal is evaluated; at most 10s' }),
  limits: z
    .strictObject({
      series: z.int().min(1).default(50_000).meta({ description: 'series kept, over all sources' }),
      pointsPerSeries: z.int().min(2).default(4000),
      history: positiveDurationSchema
        .prefault('1h')
        .meta({ description: 'how long points are kept' }),
      signals: z.int().min(1).default(2000),
    })
    .prefault({}),
})

export type AdapterSpec = z.infer<typeof adapterSpecSchema>
export type SourceSpec = AdapterSpec['sources'][number]

export const adapterDocumentSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('MetricsAdapter'),
  metadata: metadataSchema,
  spec: adapterSpecSchema,
})
