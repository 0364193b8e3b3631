/**
 * From readings to KEDA's answers. GetMetrics and IsActive both stand on `valueOf`, so they agree, and it stands
 * on the readings the metrics API serves. In one table:
 *
 *     selected readings          GetMetrics, IsActive             KEDA then
 *     -------------------------  -------------------------------  ----------------------------------------
 *     all fresh                  their sum                        scales
 *     some or all not fresh      UNAVAILABLE with the causes      keeps the replicas, or uses its fallback
 *     none                       UNAVAILABLE with what there is   the same
 *     evaluator stands           UNAVAILABLE                      the same
 *     negative or not finite     OUT_OF_RANGE with the value      the same: it would read it as 0
 *     more than 9.2e15           9.2e15                           scales; the HPA would read it as negative
 *
 * A trigger with something wrong in it is answered INVALID_ARGUMENT, with the field, the value and the mend.
 * A signal's own policy for stale and absent data was applied before; such readings come here as fresh.
 */
import { status } from '@grpc/grpc-js'
import type { Labels, Reading } from '../../src/model.ts'
import { instant } from '../instant.ts'
import { toMilli } from '../milli.ts'
import { badMetadata, CallFault, unavailable } from './fault.ts'
import type { Trigger } from './trigger.ts'
import { REFUSED_NAME } from './trigger.ts'
import type { GetMetricSpecResponse, GetMetricsResponse, IsActiveResponse } from './wire.ts'

/** Evaluation older than this means that the evaluator stands: what it said last is not the truth now. */
const EVALUATION_AGE_MAX_MS = 30_000

/** From definition and metadata alone; of a trigger that is refused, one that GetMetrics then tells the fault of. */
export function metricSpec(read: () => Trigger): GetMetricSpecResponse {
  try {
    return specOf(read())
  } catch (thrown) {
    if (thrown instanceof CallFault && thrown.code === status.INVALID_ARGUMENT) return refusedSpec()
    throw thrown
  }
}

function specOf({ metricName, target }: Trigger): GetMetricSpecResponse {
  return {
    metricSpecs: [
      { metricName, targetSize: wholeOf(target), targetSizeFloat: thousandths(target) },
    ],
  }
}

/**
 * What stands for the metric of a trigger that has something wrong, whatever it has: a metric that never has a
 * value. Of a failing GetMetricSpec KEDA 2.20 tells the user nothing but "got empty metric spec", and it leaves the
 * trigger out of an HPA that others keep scaling; of a failing GetMetrics it tells the sentence, in the events of
 * the ScaledObject, and the HPA takes no replica away. No trigger has a metric of this name, so no target of
 * another metric is ever mixed up with this one.
 */
function refusedSpec(): GetMetricSpecResponse {
  return { metricSpecs: [{ metricName: REFUSED_NAME, targetSize: 1, targetSizeFloat: 1 }] }
}

export function metrics(trigger: Trigger, wanted: string, nowMs: number): GetMetricsResponse {
  const { metricName } = trigger
  if (wanted !== metricName)
    throw badMetadata('metricName', wanted, `this trigger's metric is ${metricName}`)
  const value = valueOf(trigger, nowMs)
  return {
    metricValues: [{ metricName, metricValue: wholeOf(value), metricValueFloat: value }],
  }
}

/** By the held value: what the metric says while a hold is on keeps the last replica as well. */
export function activity(trigger: Trigger, nowMs: number): IsActiveResponse {
  return { result: valueOf(trigger, nowMs) > trigger.activation }
}

/**
 * 2^63 - 1 thousandths, as the HPA can count them at most, in a number that is not beyond it. KEDA hands on more than
 * that, and the HPA would read it as a number below zero and take replicas away. The metrics API is capped there too.
 */
const VALUE_MAX = 9_223_372_036_854_774

/** As KEDA reads it: it cuts what is finer, and a little is never 0. */
function thousandths(magnitude: number): number {
  return magnitude === 0 ? 0 : Math.min(toMilli(magnitude) / 1000, VALUE_MAX)
}

/** KEDA takes the integer where it knows no other, or the float is not above zero: never 0 for a little. */
function wholeOf(value: number): number {
  return Math.min(Math.ceil(value), Number.MAX_SAFE_INTEGER)
}

/** Not negative, in whole thousandths, no more than an HPA can count. */
function valueOf({ found, groups }: Trigger, nowMs: number): number {
  const { signal, evaluatedMs, readings } = found
  const ageMs = nowMs - evaluatedMs
  if (ageMs > EVALUATION_AGE_MAX_MS)
    throw unavailable(
      `signal ${signal.id} was last evaluated at ${instant(evaluatedMs)}: the evaluator does not run`,
    )
  const all = isEmpty(groups)
  let sum = 0
  let selected = 0
  let missing: Missing[] | undefined
  for (const reading of readings) {
    if (!all && !isNoGroup(reading) && !matches(reading.labels, groups)) continue
    selected += 1
    if (reading.state === 'fresh') sum += reading.value
    else (missing ??= []).push(reading)
  }
  if (missing !== undefined)
    throw unavailable(`signal ${signal.id} has no fresh value: ${causes(missing)}`)
  if (selected === 0)
    throw unavailable(
      `signal ${signal.id} has no group ${labelText(groups)}; its groups are ${groupsShown(readings)}`,
    )
  if (!Number.isFinite(sum) || sum < 0)
    throw new CallFault(
      status.OUT_OF_RANGE,
      `signal ${signal.id} is ${String(sum)}: KEDA knows values of 0 and more only and would read 0`,
    )
  return thousandths(sum)
}

type Missing = Exclude<Reading, { state: 'fresh' }>

/** The one absent reading that stands for "no group yet" has no labels and answers for every group. */
function isNoGroup(reading: Reading): boolean {
  return reading.state === 'absent' && isEmpty(reading.labels)
}

function isEmpty(labels: Labels): boolean {
  for (const _ in labels) return false
  return true
}

function matches(labels: Labels, wanted: Labels): boolean {
  for (const label in wanted) if (labels[label] !== wanted[label]) return false
  return true
}

const SHOWN_MAX = 3

function causes(missing: readonly Missing[]): string {
  return shown(new Set(missing.map(causeOf)), 'causes')
}

function causeOf(reading: Missing): string {
  const group = labelText(reading.labels)
  const whose = group === '' ? '' : `${group} `
  switch (reading.state) {
    case 'stale':
      return `${whose}its data ends at ${instant(reading.dataMs)}: ${reading.cause}`
    case 'absent':
      return `${whose}${reading.reason}: ${reading.cause}`
  }
}

function groupsShown(readings: readonly Reading[]): string {
  return shown(new Set(readings.map(({ labels }) => labelText(labels))), 'groups')
}

function shown(texts: ReadonlySet<string>, what: string): string {
  const first = [...texts].slice(0, SHOWN_MAX)
  const more = texts.size - first.length
  return first.join('; ') + (more > 0 ? `; and ${more} more ${what}` : '')
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
