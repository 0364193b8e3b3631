/**
 * The `Signal` document: what the application team writes. This schema is the only definition; validation,
 * the JSON Schema and the documentation are derived from it.
 */
import { z } from 'zod'
import { COMBINE_FUNCTIONS, WINDOW_FUNCTIONS } from '../model.ts'
import { positiveDurationSchema } from '../sources/duration.ts'
import { PRESET_NAMES } from './presets.ts'

/** A name that may stand in a request path of the metrics API (it may hold `:` or `|`, never `/` or `%`). */
const metricName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^(?!\.{1,2}$)[^/%\s]+$/, 'must be a path segment: no "/", no "%", no space')

const labelName = z
  .string()
  .regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'must be a label name: letters, digits and "_"')

const answer = z
  .discriminatedUnion('answer', [
    z.strictObject({
      answer: z
        .literal('error')
        .meta({ description: 'an error, so that the autoscaler stays where it is' }),
    }),
    z.strictObject({ answer: z.literal('zero').meta({ description: 'the value 0' }) }),
    z.strictObject({
      answer: z.literal('value'),
      value: z.number().meta({ description: 'the value answered' }),
    }),
    z.strictObject({
      answer: z.literal('hold'),
      maxAge: positiveDurationSchema.meta({
        description: 'age of the data after which it is an error again',
      }),
    }),
    z.strictObject({
      answer: z.literal('decay'),
      halfLife: positiveDurationSchema.meta({ description: 'time in which the last value halves' }),
      maxAge: positiveDurationSchema.meta({
        description: 'age of the data after which it is an error again',
      }),
    }),
  ])
  .prefault({ answer: 'error' })

const described = z.union([
  z.literal('pods').meta({ description: 'one value for each pod; combine.by must hold "pod"' }),
  z.literal('namespace').meta({ description: "one value for the signal's namespace" }),
  z.strictObject({
    resource: z
      .string()
      .regex(/^[a-z0-9-]+(\.[a-z0-9.-]+)?$/, 'must be plural[.group], such as deployments.apps'),
    kind: z.string().min(1),
    apiVersion: z.string().min(1),
    namespaced: z.boolean().default(true),
    name: z.string().min(1).optional().meta({ description: 'the object, where there is one' }),
    nameLabel: labelName
      .optional()
      .meta({ description: 'the label of combine.by that names the object' }),
  }),
])

const kedaSchema = z
  .strictObject({
    name: z
      .string()
      .max(200)
      .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'must be lower case letters, digits and "-"')
      .optional()
      .meta({ description: "the metric's name in the HPA; left out: made of the signal's name" }),
    target: z
      .number()
      .min(0.001)
      .max(Number.MAX_SAFE_INTEGER)
      .meta({ description: 'what one replica is to bear; a trigger may say otherwise' }),
    activation: z
      .number()
      .min(0)
      .max(Number.MAX_SAFE_INTEGER)
      .default(0)
      .meta({ description: 'the value above which there is at least one replica' }),
  })
  .meta({ description: 'defaults of KEDA triggers that name the signal' })

const startUpSchema = z
  .strictObject({
    pods: z
      .strictObject({
        labelSelector: z
          .string()
          .min(1)
          .meta({ description: 'the pods that are scaled, such as app=vision' }),
      })
      .optional()
      .meta({
        description:
          'in the namespace of the signal; left out: those that its source finds by scrape.pods or push.pods',
      }),
    quantile: z.number().gt(0).max(1).default(0.9).meta({
      description: 'which of the last 64 start-ups is taken: 0.9 is what nine of ten stay within',
    }),
    min: positiveDurationSchema
      .optional()
      .meta({ description: 'what is taken is never shorter (default none)' }),
    max: positiveDurationSchema
      .optional()
      .meta({ description: 'what is taken is never longer (default 15m)' }),
  })
  .meta({
    description:
      'for predictive: measure the start-up of these pods, from scheduled to first being ready; startDelay holds until one was seen (docs/forecasting.md)',
  })

export const signalSpecSchema = z.strictObject({
  source: z.string().min(1).meta({ description: 'name of a source of the MetricsAdapter' }),
  preset: z.enum(PRESET_NAMES).optional().meta({
    description:
      'all signals of a known engine; then select, window, combine and expose are left out',
  }),
  select: z
    .strictObject({
      metric: z.string().min(1).meta({ description: "the metric's name at the source" }),
      labels: z
        .record(labelName, z.string())
        .default({})
        .meta({ description: 'labels that must be equal' }),
      matchers: z
        .array(z.string())
        .default([])
        .meta({ description: 'further conditions such as class=~"person|car" (=, !=, =~, !~)' }),
    })
    .optional(),
  window: z
    .strictObject({
      function: z.enum(WINDOW_FUNCTIONS).default('last').meta({
        description:
          'quantile of a histogram, and mean, are of all observations: select METRIC for METRIC_sum and METRIC_count (mean) or METRIC_bucket (quantile)',
      }),
      duration: positiveDurationSchema
        .optional()
        .meta({ description: 'length of the window; for last: freshFor' }),
      quantile: z
        .number()
        .min(0)
        .max(1)
        .optional()
        .meta({ description: 'for the function quantile' }),
    })
    .prefault({}),
  combine: z
    .strictObject({
      function: z.enum(COMBINE_FUNCTIONS).default('sum'),
      by: z
        .array(labelName)
        .default([])
        .meta({ description: 'labels to keep apart; none: one value' }),
      minCoverage: z.number().min(0).max(1).default(0.9).meta({
        description: 'least share of the series that must be fresh for the value to be fresh',
      }),
    })
    .prefault({}),
  freshFor: positiveDurationSchema.prefault('45s').meta({ description: 'older data is stale' }),
  whenStale: answer.meta({ description: 'the answer while data is too old' }),
  whenAbsent: answer.meta({ description: 'the answer while there is no data' }),
  stabilize: z
    .strictObject({
      policy: z.enum(['fixed', 'table', 'predictive', 'none']).optional().meta({
        description:
          'fixed: for a window; predictive: as long as the load is likely to come back, and ahead of it by a start-up; table: the published table; none: nothing is held, whatever else is here. Default: fixed where window is given, else predictive',
      }),
      window: positiveDurationSchema.optional().meta({
        description: 'for fixed: the value never falls below its maximum of this time',
      }),
      minWindow: positiveDurationSchema.optional().meta({
        description: 'the hold is never shorter (default none; not for fixed)',
      }),
      maxWindow: positiveDurationSchema.optional().meta({
        description: 'the hold is never longer (default 1h; not for fixed)',
      }),
      maxHeadroom: z.number().min(0).optional().meta({
        description:
          'for predictive: most that the value may exceed the largest one observed within maxWindow, as a share (default 4)',
      }),
      startDelay: positiveDurationSchema.optional().meta({
        description:
          'for predictive: from the order of a pod to its service, as long as it was not measured (default 90s)',
      }),
      startUp: startUpSchema.optional(),
      act: z.enum(['value', 'behavior']).optional().meta({
        description:
          'value: the value is held (default); behavior: the value stays as observed, and the window is written to HPAs that ask for it by annotation (docs/behavior.md)',
      }),
    })
    .optional()
    .meta({ description: "scale-down hold in the value; set the HPA's own window to 0 then" }),
  expose: z
    .strictObject({
      external: z.strictObject({ name: metricName }).optional(),
      custom: z.strictObject({ name: metricName, on: described }).optional(),
      keda: kedaSchema.optional(),
    })
    .optional()
    .meta({ description: 'the names under which autoscalers ask' }),
})

export type SignalSpec = z.infer<typeof signalSpecSchema>

const objectName = z
  .string()
  .max(253)
  .regex(
    /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
    'must be a DNS name: lower case letters, digits, "-" and "."',
  )

export const metadataSchema = z.looseObject({ name: objectName, namespace: objectName.optional() })

export const API_VERSION = 'tideline.dev/v1alpha1'

export const signalDocumentSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('Signal'),
  metadata: metadataSchema.extend({ namespace: objectName.default('default') }),
  spec: signalSpecSchema,
})
