import type { Reading, SignalReadings } from '../../src/model.ts'
import type { SignalReader } from '../../src/ports.ts'
import type { CustomAnswer, CustomItem, ExternalAnswer } from './answerShape.ts'
import { CUSTOM_GROUP, EXTERNAL_GROUP } from './paths.ts'
import type { CustomRoute, ExternalRoute } from './paths.ts'
import type { LabelSelector, PodDirectory } from './ports.ts'
import { absenceOf, ambiguous, notEvaluated, unavailableFor, unknownMetric } from './reasons.ts'
import type { Missing } from './reasons.ts'
import type { ParsedSelector } from './selector.ts'
import { badRequest, notFound, unavailable } from './status.ts'
import type { Failure } from './status.ts'

export interface AnswerDeps {
  readonly reader: SignalReader
  readonly pods: PodDirectory
}

export type Answer<Shape> = Shape | { readonly kind: 'failure'; readonly failure: Failure }

/**
 * From readings to an answer. In one table; "no number" is always an error, never 0 and never an old value:
 *
 *     selected readings         external                    object          pods/* and other `*`
 *     ------------------------  --------------------------  --------------  -------------------------------
 *     all fresh                 an item each                the one item    an item for each
 *     some fresh, others not    503: a sum without a part   (one only)      the fresh ones: an HPA counts the
 *                               is a wrong number                           others as missing, cautiously
 *     none fresh, one stale     503 with the cause          503             503 with the causes
 *     none fresh, source fails  503 with the cause          503             503 with the causes
 *     absent                    404 with the reason         404             404 with the reason
 *     none selected             404 with what there is      404             404 with what there is
 *     two for one object        (items)                     400             400: an HPA would take either
 *
 * An empty list is never given: an HPA refuses it as well, without saying why. A signal's own policy for
 * stale and absent data was applied before; such readings come here as fresh.
 */
export function answerExternal(
  deps: AnswerDeps,
  route: ExternalRoute,
  selector: ParsedSelector,
  nowMs: number,
): Answer<ExternalAnswer> {
  const found = deps.reader.external(route.namespace, route.metric)
  const about = { name: route.metric, group: EXTERNAL_GROUP, kind: 'ExternalMetricValueList' }
  if (found === undefined) return fail(unknownMetric(deps.reader, route, about))
  const late = notEvaluated(found, nowMs, about)
  if (late !== undefined) return fail(late)
  const items: Extract<Reading, { state: 'fresh' }>[] = []
  const missing: Missing[] = []
  for (const reading of found.readings) {
    if (isNoGroup(reading, found) || selector.matches(reading.labels)) {
      if (reading.state === 'fresh') items.push(reading)
      else missing.push(reading)
    }
  }
  if (missing.length > 0) {
    if (items.length > 0) return fail(unavailableFor(route.metric, missing, about))
    return fail(absenceOf(route.metric, missing, about))
  }
  if (items.length === 0) return fail(noGroup(route.metric, selector, found.readings, about))
  return { kind: 'external', metric: route.metric, items }
}

/** The one absent reading that stands for "no group yet" has no labels and answers every selector. */
function isNoGroup(reading: Reading, { signal }: SignalReadings): boolean {
  return reading.state === 'absent' && signal.combine.by.length > 0 && isEmpty(reading.labels)
}

function isEmpty(labels: Reading['labels']): boolean {
  for (const _ in labels) return false
  return true
}

export interface CustomSelectors {
  /** Which objects; only with `*`. */
  readonly objects: ParsedSelector
  /** Which groups of the metric. */
  readonly metric: ParsedSelector
}

export function answerCustom(
  deps: AnswerDeps,
  route: CustomRoute,
  selectors: CustomSelectors,
  nowMs: number,
): Answer<CustomAnswer> {
  const { resource, metric } = route
  const found = lookup(deps.reader, route)
  const about = { name: metric, group: CUSTOM_GROUP, kind: resource }
  if (found === undefined) return fail(unknownMetric(deps.reader, route, about))
  const late = notEvaluated(found, nowMs, about)
  if (late !== undefined) return fail(late)
  const wanted = wantedObjects(deps.pods, route, selectors.objects)
  if (wanted.kind === 'failure') return wanted
  const picked = pick(found, wanted.names, selectors.metric, route)
  if (picked.ambiguous !== undefined)
    return fail(ambiguous(metric, picked.ambiguous, found.signal, about))
  if (picked.items.length === 0) {
    if (picked.missing.length > 0) return fail(absenceOf(metric, picked.missing, about))
    return fail(noObject(route, wanted.names, found, selectors))
  }
  const on = found.signal.expose.custom?.on
  return {
    kind: 'custom',
    version: route.version,
    metric,
    selector: selectors.metric,
    object: { kind: on?.kind ?? '', apiVersion: on?.apiVersion ?? '' },
    namespace: on?.kind === 'Namespace' ? '' : route.namespace,
    items: picked.items,
  }
}

/** A namespace's metric may be declared beside the namespace or for the whole cluster. */
function lookup(reader: SignalReader, route: CustomRoute): SignalReadings | undefined {
  const { namespace, resource, metric } = route
  const found = reader.custom(namespace, resource, metric)
  if (found !== undefined || resource !== 'namespaces') return found
  return reader.custom('', resource, metric)
}

type Wanted =
  | { readonly kind: 'names'; readonly names: ReadonlySet<string> | undefined }
  | { readonly kind: 'failure'; readonly failure: Failure }

/** The names asked for; undefined: all there are. */
function wantedObjects(pods: PodDirectory, route: CustomRoute, selector: LabelSelector): Wanted {
  const { namespace, resource, name } = route
  if (name !== '*') return { kind: 'names', names: new Set([name]) }
  if (selector.text === '') return { kind: 'names', names: undefined }
  if (resource !== 'pods')
    return fail(
      badRequest(
        `labelSelector is known for pods only, not for ${resource}: ask for one object by name, or use metricLabelSelector on the metric's own labels`,
      ),
    )
  const notSynced = pods.notSynced()
  if (notSynced !== undefined)
    return fail(unavailable(`the pods that match cannot be told yet: ${notSynced}`))
  const names = new Set<string>()
  for (const pod of pods.matching(namespace, selector)) names.add(pod.name)
  if (names.size === 0)
    return fail(
      notFound(
        `no pod in namespace ${namespace} matches labelSelector "${selector.text}", so there is nothing to measure`,
        { name: route.metric, group: CUSTOM_GROUP, kind: resource },
      ),
    )
  return { kind: 'names', names }
}

interface Picked {
  readonly items: CustomItem[]
  readonly missing: Missing[]
  /** An object with more than one group. */
  readonly ambiguous?: string
}

function pick(
  { signal, readings }: SignalReadings,
  wanted: ReadonlySet<string> | undefined,
  selector: LabelSelector,
  route: CustomRoute,
): Picked {
  const on = signal.expose.custom?.on
  const items: CustomItem[] = []
  const missing: Missing[] = []
  const seen = new Set<string>()
  for (const reading of readings) {
    const label = on?.nameLabel === undefined ? undefined : reading.labels[on.nameLabel]
    const name = on?.name ?? label ?? (on?.kind === 'Namespace' ? route.namespace : undefined)
    if (name === undefined) {
      // The one absent reading of a signal without groups tells why there is no object.
      if (reading.state !== 'fresh') missing.push(reading)
      continue
    }
    if (wanted !== undefined && !wanted.has(name)) continue
    if (selector.text !== '' && !selector.matches(reading.labels)) continue
    if (seen.has(name)) return { items, missing, ambiguous: name }
    seen.add(name)
    if (reading.state === 'fresh') {
      const { value, dataMs, windowMs } = reading
      items.push({ name, value, dataMs, windowMs })
    } else missing.push(reading)
  }
  return { items, missing }
}

const NAMES_SHOWN_MAX = 5

function noObject(
  route: CustomRoute,
  wanted: ReadonlySet<string> | undefined,
  found: SignalReadings,
  selectors: CustomSelectors,
): Failure {
  const { resource, name, metric } = route
  const label = found.signal.expose.custom?.on.nameLabel
  const there = new Set<string>()
  for (const { labels } of found.readings) {
    const one = label === undefined ? found.signal.expose.custom?.on.name : labels[label]
    if (one !== undefined) there.add(one)
  }
  const which =
    name !== '*'
      ? `${resource} ${name}`
      : wanted === undefined
        ? `any of ${resource}`
        : `the ${wanted.size} ${resource} that match "${selectors.objects.text}" (${shown(wanted)})`
  const narrowed =
    selectors.metric.text === '' ? '' : ` with metricLabelSelector "${selectors.metric.text}"`
  return notFound(
    `the server could not find the metric ${metric} for ${which}${narrowed}; there are readings for ${there.size === 0 ? 'none' : shown(there)}`,
    { name: metric, group: CUSTOM_GROUP, kind: resource },
  )
}

function noGroup(
  metric: string,
  selector: LabelSelector,
  readings: readonly Reading[],
  about: Failure['details'],
): Failure {
  const groups = new Set(
    readings.map(({ labels }) =>
      Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
    ),
  )
  return notFound(
    `metric ${metric} has no group that matches labelSelector "${selector.text}"; its groups are ${shown(groups)}`,
    about,
  )
}

function shown(names: ReadonlySet<string>): string {
  const first = [...names].slice(0, NAMES_SHOWN_MAX).map((name) => name || '(no labels)')
  const more = names.size - first.length
  return first.join('; ') + (more > 0 ? ` and ${more} more` : '')
}

function fail(failure: Failure): { readonly kind: 'failure'; readonly failure: Failure } {
  return { kind: 'failure', failure }
}
