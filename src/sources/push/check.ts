import type { PushCounts, PushMeasurements, PushReport } from '../../ports.ts'

const TEXT_MAX = 256
const COUNTS_MAX = 100
const BOUNDS_MAX = 100
const COUNT_MAX = Number.MAX_SAFE_INTEGER
const WHOLE = `must be a whole number from 0 to ${COUNT_MAX}`
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

/** What is wrong with a report, as field, value and mend; undefined where nothing is. */
export function mistakeOf(report: PushReport): string | undefined {
  const sender = podMistake(report)
  if (sender !== undefined) return sender
  for (const field of ['service', 'instance'] as const)
    if (!isText(report[field]) || report[field] === '')
      return mend(field, report[field], `must have 1 to ${TEXT_MAX} characters`)
  if (!Number.isSafeInteger(report.sequence) || report.sequence < 1)
    return mend('sequence', report.sequence, `1 to ${COUNT_MAX}, the first of an instance is 1`)
  const { startMs, endMs, counts } = report
  if (!isCount(startMs) || !isCount(endMs) || startMs >= endMs)
    return mend('end_unix_ms', endMs, `must be later than start_unix_ms, ${startMs}`)
  if (counts.length === 0 || counts.length > COUNTS_MAX)
    return mend('counts', counts.length, `1 to ${COUNTS_MAX} entries`)
  const kinds = new Set(counts.map(({ model, version }) => JSON.stringify([model, version])))
  if (kinds.size < counts.length)
    return mend('counts', counts.length, 'a model and version may be named once')
  for (const one of counts) {
    const mistake = countsMistake(one)
    if (mistake !== undefined) return mistake
  }
  return undefined
}

/** The same for who sends measurements. */
export function senderMistake(told: PushMeasurements): string | undefined {
  const tooLong = mend(
    'service.name/service.instance.id/…',
    told.process,
    `at most ${TEXT_MAX} characters`,
  )
  return podMistake(told) ?? (isText(told.process) ? undefined : tooLong)
}

/** The same for the names of the pod alone. */
export function podMistake(told: { readonly namespace: string; readonly pod: string }) {
  for (const field of ['namespace', 'pod'] as const)
    if (!NAME.test(told[field])) return mend(field, told[field], 'must be a name of Kubernetes')
  return undefined
}

function countsMistake({ model, version, requests, errors, latency }: PushCounts) {
  if (!isText(model)) return mend('model', model, `at most ${TEXT_MAX} characters`)
  if (!isText(version)) return mend('version', version, `at most ${TEXT_MAX} characters`)
  if (!isCount(requests)) return mend('requests', requests, WHOLE)
  if (!isCount(errors)) return mend('errors', errors, WHOLE)
  if (latency === undefined) return undefined
  const { bounds, counts, sumSeconds } = latency
  const rising = bounds.every(
    (bound, index) => Number.isFinite(bound) && bound > (bounds[index - 1] ?? -Infinity),
  )
  if (!rising || bounds.length === 0 || bounds.length > BOUNDS_MAX)
    return mend('latency.bounds', bounds.length, `1 to ${BOUNDS_MAX} finite numbers, rising`)
  if (counts.length !== bounds.length + 1 || !counts.every(isCount))
    return mend('latency.counts', counts.length, 'one whole number more than there are bounds')
  if (!Number.isFinite(sumSeconds) || sumSeconds < 0)
    return mend('latency.sum_seconds', sumSeconds, 'must be a number from 0')
  return undefined
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isText(value: string): boolean {
  return value.length <= TEXT_MAX
}

function mend(field: string, value: string | number, how: string): string {
  return `${field} is ${JSON.stringify(typeof value === 'string' ? value.slice(0, 80) : value)}: ${how}`
}
