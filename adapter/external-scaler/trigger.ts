/**
 * From a trigger's metadata to what it asks for. Answered from the signal's definition and the metadata alone:
 * no reading is looked at, so an outage of a source never takes KEDA's HPA away.
 */
import type { Labels, Signal, SignalReadings } from '../../src/model.ts'
import type { SignalReader } from '../../src/ports.ts'
import { badMetadata, unavailable } from './fault.ts'
import type { ScaledObjectRef } from './wire.ts'

export interface Trigger {
  readonly found: SignalReadings
  readonly metricName: string
  readonly target: number
  /** Active above it. */
  readonly activation: number
  /** The groups meant: those with these labels; empty: all. */
  readonly groups: Labels
}

/** Read by KEDA itself and handed on with the rest. */
const OF_KEDA: ReadonlySet<string> = new Set(['scalerAddress', 'enableTLS', 'unsafeSsl'])
const OWN = ['signal', 'metricName', 'target', 'activation'] as const
type Own = (typeof OWN)[number]

/** KEDA resolves `targetFromEnv: NAME` and hands the value on under the longer key. */
const FROM_ENV = 'FromEnv'
const METRIC_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/
const METRIC_NAME_MAX = 200
const TARGET_MIN = 0.001

/** The metric of triggers that are refused; of no other one. */
export const REFUSED_NAME = 'tideline-trigger-refused'

/** Throws `CallFault` `INVALID_ARGUMENT` for bad metadata; `UNAVAILABLE` before the first evaluation. */
export function readTrigger(ref: ScaledObjectRef, reader: SignalReader): Trigger {
  const fields = ownFields(ref.scalerMetadata)
  const found = signalOf(fields.signal, ref.namespace, reader)
  const { signal } = found
  const groups = groupsOf(ref.scalerMetadata, signal)
  const keda = signal.expose.keda
  const target = numberOf('target', fields.target, TARGET_MIN) ?? keda?.target
  if (target === undefined)
    throw badMetadata(
      'target',
      undefined,
      `signal ${signal.id} has no expose.keda.target: say here what one replica is to bear`,
    )
  return {
    found,
    metricName: notRefused(metricNameOf(fields.metricName, signal, groups)),
    target,
    activation: numberOf('activation', fields.activation, 0) ?? keda?.activation ?? 0,
    groups,
  }
}

function ownFields(metadata: ScaledObjectRef['scalerMetadata']): Partial<Record<Own, string>> {
  const fields: Partial<Record<Own, string>> = {}
  for (const own of OWN) {
    const value = metadata[own] ?? metadata[own + FROM_ENV]
    if (value !== undefined) fields[own] = value
  }
  return fields
}

/** Only signals of the ScaledObject's namespace are there; others are not even hinted at. */
function signalOf(
  name: string | undefined,
  namespace: string,
  reader: SignalReader,
): SignalReadings {
  if (reader.tick === 0) throw unavailable('no signal has been evaluated yet: starting')
  if (name === undefined || name === '')
    throw badMetadata('signal', name, `name a Signal of namespace ${namespace}`)
  const found = reader.signal(namespace, name)
  if (found !== undefined) return found
  const names = namesIn(namespace, reader)
  const hint =
    names.length === 0 ? 'there is none' : `there are ${names.slice(0, NAMES_SHOWN_MAX).join(', ')}`
  const more = names.length > NAMES_SHOWN_MAX ? ' and more' : ''
  throw badMetadata('signal', name, `no such Signal in namespace ${namespace}; ${hint}${more}`)
}

const NAMES_SHOWN_MAX = 8

function namesIn(namespace: string, reader: SignalReader): string[] {
  const names: string[] = []
  for (const { signal } of reader.all()) {
    if (signal.namespace === namespace) names.push(signal.name)
    if (names.length > NAMES_SHOWN_MAX) break
  }
  return names
}

/** What is neither known nor a label of the signal's groups is a slip of the pen, and is said to be. */
function groupsOf(metadata: ScaledObjectRef['scalerMetadata'], signal: Signal): Labels {
  const groups: Record<string, string> = {}
  const { by } = signal.combine
  for (const [key, value] of Object.entries(metadata)) {
    const name = key.endsWith(FROM_ENV) ? key.slice(0, -FROM_ENV.length) : key
    if (OF_KEDA.has(name) || (OWN as readonly string[]).includes(name)) continue
    if (!by.includes(name)) {
      // A value from the environment may be a secret that was put into the wrong place.
      const shown = name === key ? value : '…'
      const labels = by.length === 0 ? 'it has no groups' : `its groups have ${by.join(', ')}`
      const mend = `neither one of ${OWN.join(', ')} nor a label of ${signal.id}'s groups (${labels}): remove it`
      throw badMetadata(key, shown, mend)
    }
    if (value === '') throw badMetadata(key, value, 'name the group, or remove it to mean all')
    groups[name] = value
  }
  return groups
}

function numberOf(field: Own, text: string | undefined, min: number): number | undefined {
  if (text === undefined) return undefined
  const value = DECIMAL.test(text) ? Number(text) : NaN
  if (!(value >= min)) throw badMetadata(field, text, `must be a number of at least ${min}`)
  const most = Number.MAX_SAFE_INTEGER
  if (value > most) throw badMetadata(field, text, `must be a number of at most ${most}`)
  return value
}

const DECIMAL = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/** Stable, and different for different groups of one signal, since names must differ within a ScaledObject. */
function metricNameOf(given: string | undefined, signal: Signal, groups: Labels): string {
  if (given !== undefined) {
    if (!METRIC_NAME.test(given) || given.length > METRIC_NAME_MAX)
      throw badMetadata(
        'metricName',
        given,
        `must be lower case letters, digits and "-", at most ${METRIC_NAME_MAX}`,
      )
    return given
  }
  const base = signal.expose.keda?.name ?? signal.name
  const values = Object.keys(groups)
    .toSorted()
    .map((label) => groups[label])
  return [base, ...values]
    .join('-')
    .toLowerCase()
    .replaceAll(NOT_IN_NAMES, '-')
    .slice(0, METRIC_NAME_MAX)
    .replaceAll(EDGES, '')
}

function notRefused(name: string): string {
  if (name !== REFUSED_NAME) return name
  throw badMetadata('metricName', name, 'is kept for triggers that are refused: give another')
}

const NOT_IN_NAMES = /[^a-z0-9-]/g
const EDGES = /^-+|-+$/g
