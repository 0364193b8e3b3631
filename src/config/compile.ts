/** From a validated `Signal` document to the signals the evaluator works on. */
import type {
  DescribedKind,
  Exposure,
  Matcher,
  MissingPolicy,
  Selection,
  Signal,
} from '../model.ts'
import type { SourceSpec } from './adapterSchema.ts'
import type { SignalSpec } from './signalSchema.ts'
import { parseMatcher } from './matchers.ts'
import { startUpSelector } from './podSelectors.ts'
import { compileStabilization, stabilizationMistakes } from './stabilization.ts'
import { PODS, PRESET_ATTRIBUTION, PRESETS } from './presets.ts'

/** One mistake in a document, before it is known where the document came from. */
export interface Mistake {
  readonly path: readonly PropertyKey[]
  readonly mend: string
}

export interface SignalIdentity {
  readonly namespace: string
  readonly name: string
}

type Answer = SignalSpec['whenStale']

/** Signals of one document: one, or those of its preset. */
export function compileSignal(
  identity: SignalIdentity,
  spec: SignalSpec,
  source: SourceSpec,
): { readonly signals: readonly Signal[]; readonly mistakes: readonly Mistake[] } {
  if (spec.preset !== undefined) return compilePreset(identity, spec, source)
  const mistakes = holdMistakes(spec)
  if (spec.select === undefined)
    mistakes.push({ path: ['select'], mend: 'say which metric, or name a preset' })
  const { external, custom, keda } = spec.expose ?? {}
  if (external === undefined && custom === undefined && keda === undefined)
    mistakes.push({
      path: ['expose'],
      mend: 'give an external or a custom name or a KEDA target, or nobody can ask',
    })
  if (spec.window.function === 'quantile' && spec.window.quantile === undefined)
    mistakes.push({ path: ['window', 'quantile'], mend: 'say which quantile, such as 0.9' })
  if (needsDuration(spec) && spec.window.duration === undefined)
    mistakes.push({ path: ['window', 'duration'], mend: 'say how long the window is, such as 1m' })
  mistakes.push(...windowMistakes(spec, source))
  const expose = exposure(identity, spec, mistakes)
  const matchers = selectionMatchers(spec, mistakes)
  const signal: Signal = {
    ...common(identity, spec, source),
    selection: {
      source: spec.source,
      metric: spec.select?.metric ?? '',
      matchers,
      ...scopeOf(identity, source),
    },
    window: {
      function: spec.window.function,
      durationMs: spec.window.duration ?? spec.freshFor,
      quantile: spec.window.quantile ?? 0,
    },
    combine: spec.combine,
    expose,
  }
  return { signals: [signal], mistakes }
}

function holdMistakes({ stabilize }: SignalSpec): Mistake[] {
  return stabilize === undefined ? [] : stabilizationMistakes(stabilize)
}

/** Counts of events reach back no further than their source keeps them. */
function windowMistakes({ window }: SignalSpec, { name, kafkaEvents }: SourceSpec): Mistake[] {
  const { duration } = window
  if (duration === undefined || kafkaEvents === undefined || duration <= kafkaEvents.window)
    return []
  const mend = `must be at most window of source ${name}, ${kafkaEvents.window / 1000}s: shorten it, or make that longer`
  return [{ path: ['window', 'duration'], mend }]
}

function needsDuration(spec: SignalSpec): boolean {
  return spec.window.function !== 'last'
}

function common(
  { namespace, name }: SignalIdentity,
  spec: SignalSpec,
  source: SourceSpec,
): Pick<
  Signal,
  'id' | 'namespace' | 'name' | 'freshForMs' | 'whenStale' | 'whenAbsent' | 'stabilize' | 'act'
> {
  const stabilize =
    spec.stabilize && compileStabilization(spec.stabilize, startUpSelector(spec, source))
  return {
    id: `${namespace}/${name}`,
    namespace,
    name,
    freshForMs: spec.freshFor,
    whenStale: missingPolicy(spec.whenStale),
    whenAbsent: missingPolicy(spec.whenAbsent),
    ...(stabilize === undefined ? {} : { stabilize }),
    ...(stabilize !== undefined && spec.stabilize?.act === 'behavior'
      ? { act: 'behavior' as const }
      : {}),
  }
}

function missingPolicy(answer: Answer): MissingPolicy {
  switch (answer.answer) {
    case 'error':
    case 'zero':
    case 'value':
      return answer
    case 'hold':
      return { answer: 'hold', maxAgeMs: answer.maxAge }
    case 'decay':
      return { answer: 'decay', halfLifeMs: answer.halfLife, maxAgeMs: answer.maxAge }
  }
}

/** The conditions that the user wrote. */
function selectionMatchers(spec: SignalSpec, mistakes: Mistake[]): Matcher[] {
  const matchers: Matcher[] = []
  for (const [label, value] of Object.entries(spec.select?.labels ?? {}))
    matchers.push({ label, operator: '=', value })
  for (const [index, text] of (spec.select?.matchers ?? []).entries()) {
    const matcher = parseMatcher(text)
    if ('reason' in matcher)
      mistakes.push({ path: ['select', 'matchers', index], mend: matcher.reason })
    else matchers.push(matcher)
  }
  return matchers
}

/**
 * What keeps a team within its namespace. Samples of pods say whose they are; others only where the platform
 * team says by which label.
 */
function scopeOf({ namespace }: SignalIdentity, source: SourceSpec): Pick<Selection, 'scope'> {
  const byDefault = source.scrape === undefined && source.push === undefined ? null : 'namespace'
  const label = source.scopeLabel === undefined ? byDefault : source.scopeLabel
  return label === null ? {} : { scope: { label, value: namespace } }
}

function exposure(identity: SignalIdentity, spec: SignalSpec, mistakes: Mistake[]): Exposure {
  const { namespace, name } = identity
  const { external, custom, keda } = spec.expose ?? {}
  return {
    ...(external === undefined ? {} : { external }),
    ...(custom === undefined
      ? {}
      : { custom: { name: custom.name, on: describedKind(namespace, spec, custom.on, mistakes) } }),
    ...(keda === undefined
      ? {}
      : { keda: { ...keda, name: keda.name ?? name.replaceAll('.', '-') } }),
  }
}

type Described = NonNullable<NonNullable<SignalSpec['expose']>['custom']>['on']

function describedKind(
  namespace: string,
  spec: SignalSpec,
  on: Described,
  mistakes: Mistake[],
): DescribedKind {
  const { by } = spec.combine
  if (on === 'pods') {
    if (!by.includes('pod'))
      mistakes.push({
        path: ['combine', 'by'],
        mend: 'must hold "pod" where values are told of pods',
      })
    return PODS
  }
  if (on === 'namespace') {
    if (by.length > 0)
      mistakes.push({
        path: ['combine', 'by'],
        mend: 'must be empty where one value is told of the namespace',
      })
    return {
      resource: 'namespaces',
      kind: 'Namespace',
      apiVersion: 'v1',
      namespaced: true,
      name: namespace,
    }
  }
  const { name, nameLabel, ...kind } = on
  if ((name === undefined) === (nameLabel === undefined))
    mistakes.push({ path: ['expose', 'custom', 'on'], mend: 'give either name or nameLabel' })
  if (nameLabel !== undefined && !by.includes(nameLabel))
    mistakes.push({
      path: ['combine', 'by'],
      mend: `must hold "${nameLabel}", which names the object`,
    })
  if (name !== undefined && by.length > 0)
    mistakes.push({
      path: ['combine', 'by'],
      mend: 'must be empty where one value is told of one object',
    })
  return {
    ...kind,
    ...(name === undefined ? {} : { name }),
    ...(nameLabel === undefined ? {} : { nameLabel }),
  }
}

/** One line for an engine: its signals take name, window and exposure from the preset. */
function compilePreset(
  identity: SignalIdentity,
  spec: SignalSpec,
  source: SourceSpec,
): { readonly signals: readonly Signal[]; readonly mistakes: readonly Mistake[] } {
  const { preset } = spec
  const mistakes = holdMistakes(spec)
  if (preset === undefined) return { signals: [], mistakes }
  for (const field of ['select', 'expose'] as const) {
    if (spec[field] !== undefined)
      mistakes.push({ path: [field], mend: `leave it out: the preset ${preset} says it` })
  }
  const attribution = source.scrape?.attribution ?? source.prometheus?.attribution
  const wanted = PRESET_ATTRIBUTION[preset]
  if (attribution !== undefined && attribution !== wanted)
    mistakes.push({
      path: ['preset'],
      mend: `needs attribution: ${wanted} at source ${source.name}, since ${preset} tells of ${wanted === 'metric' ? 'other pods than the one asked' : 'the pod asked'}`,
    })
  const matchers = selectionMatchers(spec, mistakes)
  const signals = PRESETS[preset].map((one): Signal => {
    const name = `${identity.name}-${one.name}`
    return {
      ...common({ namespace: identity.namespace, name }, spec, source),
      selection: {
        source: spec.source,
        metric: one.metric,
        matchers: [...matchers, ...one.matchers],
        ...scopeOf(identity, source),
      },
      window: one.window,
      combine: one.combine,
      expose: one.expose,
    }
  })
  return { signals, mistakes }
}
