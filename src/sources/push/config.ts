import { z } from 'zod'
import { positiveDurationSchema } from '../duration.ts'

/** A step ends after the reports in it do, and the series store takes nothing that is 5 s ahead. */
const BUCKET_MAX_MS = 2000

export const pushConfigSchema = z
  .strictObject({
    /** Counts are kept in steps of this length. */
    bucket: positiveDurationSchema
      .refine((ms) => ms <= BUCKET_MAX_MS, { error: 'must be 2s or less' })
      .prefault('1s')
      .meta({ description: 'counts are kept in steps of this length' }),
    goneAfter: positiveDurationSchema.prefault('10s').meta({
      description:
        'a pod that is silent for so long counts as failing; one that exports OTLP has at least twice its interval',
    }),
    maxAge: positiveDurationSchema
      .prefault('2m')
      .meta({ description: 'older reports, and longer intervals, are refused' }),
    pods: z
      .strictObject({
        namespace: z.string().min(1).exactOptional(),
        labelSelector: z
          .string()
          .min(1)
          .meta({ description: 'which pods report, such as app=vision' }),
      })
      .exactOptional()
      .meta({
        description:
          'pods that must report: one that never does makes its signals stale, one that is deleted ends',
      }),
    seriesPerPod: z.int().min(1).max(10_000).default(500),
    podsMax: z.int().min(1).max(50_000).default(5000),
  })
  .meta({ description: 'services report by themselves; needs spec.push' })
export type PushConfig = z.infer<typeof pushConfigSchema>
