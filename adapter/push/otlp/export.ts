import { status } from '@grpc/grpc-js'
import type { PushMeasurements } from '../../../src/ports.ts'
import type { Caller } from '../caller.ts'
import { podOf } from '../caller.ts'
import { partsOfInterval } from '../paces.ts'
import type { PushServerDeps } from '../ports.ts'
import { Refusal, refusalFor } from '../refusal.ts'
import type { ExportRequest, ExportResponse } from './messages.ts'
import type { Rejections } from './points.ts'
import { count, pointCount, pointsOf, senderOf } from './points.ts'

const RESOURCES_MAX = 100
const POINTS_MAX = 20_000
/** Reasons in an answer; there may be as many as there are points. */
const REASONS_MAX = 5

export type ExportDeps = Omit<PushServerDeps, 'open' | 'admissibleRate'>

/**
 * Takes one export for its caller: all that it may report of, or, where it reports of somebody else's pod too,
 * nothing at all. Points that cannot be taken are the answer's partial success, with the reason, and are not to be
 * sent again. Throws `Refusal` where the whole is refused.
 */
export function takeExport(
  { resourceMetrics }: ExportRequest,
  caller: Caller,
  { receiver, clock, paces, observe, observePoints }: ExportDeps,
): ExportResponse {
  limit('resources', resourceMetrics.length, RESOURCES_MAX)
  const metrics = resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap((scope) => scope.metrics),
  )
  const points = metrics.reduce((sum, metric) => sum + pointCount(metric), 0)
  limit('points', points, POINTS_MAX)
  const rejected: Rejections = new Map()
  const senders = resourceMetrics.map((resource) => {
    const sender = senderOf(resource)
    return { resource, sender, ...podOf(caller, sender) }
  })
  const pods = new Set(senders.map(({ namespace, pod }) => `${namespace}/${pod}`))
  // A caller that is one pod was asked before.
  if (caller.pod === undefined) for (const pod of pods) paces.pass(pod, clock.monotonicMs())
  // Resources of one process are one account of it.
  const told = new Map<string, PushMeasurements>()
  for (const { resource, sender, namespace, pod } of senders) {
    const { process, service } = sender
    const key = JSON.stringify([namespace, pod, process])
    const before = told.get(key)
    const unread: Rejections = new Map()
    const points = [...(before?.points ?? []), ...pointsOf(resource, service, unread)]
    for (const [reason, by] of unread) count(rejected, reason, by)
    const [unreadable = before?.unreadable] = unread.keys()
    const more = unreadable === undefined ? {} : { unreadable }
    told.set(key, { namespace, pod, process, points, ...more })
  }
  let taken = 0
  for (const measurements of told.values()) {
    const { namespace, pod } = measurements
    paces.spend(`${namespace}/${pod}`, partsOf(measurements), clock.monotonicMs())
    const outcome = receiver.measure(measurements)
    if (outcome.outcome === 'taken') {
      taken += outcome.taken
      for (const [reason, by] of outcome.refused) count(rejected, reason, by)
    } else if (outcome.reason === 'unavailable' || told.size === 1) throw refusalFor(outcome)
    else count(rejected, outcome.message, measurements.points.length)
  }
  const refused = points - taken
  observe('accepted')
  observePoints('accepted', taken)
  observePoints('refused', refused)
  return refused === 0 ? {} : { partialSuccess: partial(refused, rejected) }
}

/** Of what is stored; to read it cost the caller before. */
function partsOf({ points }: PushMeasurements): number {
  return points.reduce((sum, { kind, value, startMs, endMs }) => {
    const values = typeof value === 'object' ? value.counts.length + 2 : 1
    return sum + partsOfInterval(values, kind === 'delta' ? (startMs ?? endMs) : endMs, endMs)
  }, 0)
}

function limit(what: string, number: number, most: number): void {
  if (number > most)
    throw new Refusal(
      status.INVALID_ARGUMENT,
      `${number} ${what} in one export, at most ${most}: send smaller batches`,
    )
}

function partial(refused: number, rejected: Rejections) {
  const reasons = [...rejected].map(([reason, by]) => `${reason} (${by})`)
  const more = reasons.length - REASONS_MAX
  const rest = more > 0 ? [`and ${more} other reasons`] : []
  return {
    rejectedDataPoints: String(refused),
    errorMessage: [...reasons.slice(0, REASONS_MAX), ...rest].join('; '),
  }
}
