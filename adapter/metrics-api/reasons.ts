import type { Labels, Reading, Signal, SignalReadings } from '../../src/model.ts'
import type { SignalReader } from '../../src/ports.ts'
import type { CustomRoute, ExternalRoute } from './paths.ts'
import { instant } from '../instant.ts'
import { badRequest, notFound, unavailable } from './status.ts'
import type { Failure, StatusDetails } from './status.ts'

/** A reading without a number that may be acted on. */
export type Missing = Exclude<Reading, { state: 'fresh' }>

/** Evaluation older than this means that the evaluator stands: what it said last is not the truth now. */
export const EVALUATION_AGE_MAX_MS = 30_000

export function notEvaluated(
  { signal, evaluatedMs }: SignalReadings,
  nowMs: number,
  about: StatusDetails,
): Failure | undefined {
  const ageMs = nowMs - evaluatedMs
  if (ageMs <= EVALUATION_AGE_MAX_MS) return undefined
  return unavailable(
    `signal ${signal.id} was last evaluated at ${instant(evaluatedMs)}: the evaluator does not run`,
    about,
  )
}

/** None of the readings is fresh: 503 where there was data or the source fails, else 404. */
export function absenceOf(
  metric: string,
  missing: readonly Missing[],
  about: StatusDetails,
): Failure {
  if (missing.some(isTransient)) return unavailableFor(metric, missing, about)
  return notFound(`metric ${metric} has no value: ${causes(missing)}`, about)
}

function isTransient(reading: Missing): boolean {
  return reading.state === 'stale' || reading.reason === 'source-failing'
}

export function unavailableFor(
  metric: string,
  missing: readonly Missing[],
  about: StatusDetails,
): Failure {
  return unavailable(`metric ${metric} has no fresh value: ${causes(missing)}`, about)
}

export function ambiguous(
  metric: string,
  name: string,
  signal: Signal,
  about: StatusDetails,
): Failure {
  const own = signal.expose.custom?.on.nameLabel
  const others = signal.combine.by.filter((label) => label !== own).join(', ')
  return badRequest(
    `metric ${metric} has more than one value for ${about.kind ?? 'object'} ${name}: narrow it with the metric's selector on ${others === '' ? 'its labels' : others}`,
    about,
  )
}

const CAUSES_SHOWN_MAX = 3

function causes(missing: readonly Missing[]): string {
  const texts = new Set(missing.map(causeOf))
  const first = [...texts].slice(0, CAUSES_SHOWN_MAX)
  const more = texts.size - first.length
  return first.join('; ') + (more > 0 ? `; and ${more} more causes` : '')
}

function causeOf(reading: Missing): string {
  const group = labelText(reading.labels)
  const whose = group === '' ? '' : `{${group}} `
  switch (reading.state) {
    case 'stale':
      return `${whose}its data ends at ${instant(reading.dataMs)}: ${reading.cause}`
    case 'absent':
      return `${whose}${reading.reason}: ${reading.cause}`
  }
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

const NEAR_NAMES_MAX = 5
/** Names that are compared for an error message; more would make errors expensive. */
const COMPARED_NAMES_MAX = 500
const COMPARED_CHARACTERS_MAX = 64

/** 404 with the names that may have been meant. */
export function unknownMetric(
  reader: SignalReader,
  route: CustomRoute | ExternalRoute,
  about: StatusDetails,
): Failure {
  const names = namesLike(reader, route)
  const near = nearest(route.metric, names)
  const what =
    route.kind === 'external'
      ? `external metric ${route.metric} in namespace ${route.namespace}`
      : `metric ${route.metric} for ${route.resource} ${route.name}`
  const hint =
    names.length === 0
      ? 'no signal is served there'
      : near.length > 0
        ? `did you mean ${near.join(', ')}?`
        : `served there: ${names.slice(0, NEAR_NAMES_MAX).join(', ')}${names.length > NEAR_NAMES_MAX ? ' and more' : ''}`
  return notFound(`the server could not find the ${what}; ${hint}`, about)
}

function namesLike(reader: SignalReader, route: CustomRoute | ExternalRoute): string[] {
  const names: string[] = []
  for (const { signal } of reader.all()) {
    if (names.length >= COMPARED_NAMES_MAX) break
    const { external, custom } = signal.expose
    if (route.kind === 'external') {
      if (external !== undefined && signal.namespace === route.namespace) names.push(external.name)
    } else if (custom !== undefined && custom.on.resource === route.resource) {
      if (!custom.on.namespaced || signal.namespace === route.namespace) names.push(custom.name)
    }
  }
  return names
}

function nearest(wanted: string, names: readonly string[]): string[] {
  const limit = Math.max(2, Math.floor(wanted.length / 3))
  return names
    .map((name) => ({ name, distance: editDistance(wanted, name) }))
    .filter(({ distance }) => distance <= limit)
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, NEAR_NAMES_MAX)
    .map(({ name }) => name)
}

/** Levenshtein's distance over the first characters of both. */
function editDistance(left: string, right: string): number {
  const a = left.slice(0, COMPARED_CHARACTERS_MAX)
  const b = right.slice(0, COMPARED_CHARACTERS_MAX)
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, swap))
    }
    row = next
  }
  return row[b.length] ?? 0
}
