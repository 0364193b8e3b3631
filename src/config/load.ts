/**
 * Reads configuration documents, validates them whole, and compiles them. A configuration is taken entirely
 * or not at all: the caller keeps the last good one where `problems` is not empty.
 */
import { isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml'
import type { z } from 'zod'
import type { Document } from 'yaml'
import type { Signal, Stabilization } from '../model.ts'
import type { AdapterSpec } from './adapterSchema.ts'
import type { Problem } from './problems.ts'
import type { SignalSpec } from './signalSchema.ts'
import { adapterDocumentSchema, behaviorSchema } from './adapterSchema.ts'
import { compileSignal } from './compile.ts'
import { knownFields } from './jsonSchema.ts'
import type { ConfigChecks } from './podSelectors.ts'
import { sourceSelectorMistakes, startUpPodMistakes } from './podSelectors.ts'
import { mendOf, nearest, shownValue } from './problems.ts'
import { API_VERSION, signalDocumentSchema } from './signalSchema.ts'
import { compileStabilization, stabilizationMistakes } from './stabilization.ts'

export interface ConfigFile {
  readonly path: string
  readonly text: string
}

export interface Config {
  readonly adapter: AdapterSpec
  readonly signals: readonly Signal[]
}

export type Loaded =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] }

interface Placed<Spec> {
  readonly document: ParsedDocument
  readonly title: string
  readonly spec: Spec
}

interface PlacedSignal extends Placed<SignalSpec> {
  readonly namespace: string
  readonly name: string
}

const NO_CHECKS: ConfigChecks = { selectorProblem: () => undefined }

export function loadConfig(files: readonly ConfigFile[], checks: ConfigChecks = NO_CHECKS): Loaded {
  const problems: Problem[] = []
  const adapters: Placed<AdapterSpec>[] = []
  const signals: PlacedSignal[] = []
  const documents = files.flatMap((file) => parseFile(file, problems))
  // What is not read at all may have been the MetricsAdapter.
  let unread = problems.length > 0
  for (const document of documents) {
    const refused = !readDocument(document, { adapters, signals, problems })
    if (refused && document.value['kind'] !== 'Signal') unread = true
  }
  if (adapters.length === 0 && !unread) problems.push(NO_ADAPTER)
  const adapter = oneAdapter(adapters, problems)
  if (adapters[0] !== undefined) checkSelectors(adapters[0], checks, problems)
  const compiled = compileAll(adapter, signals, checks, problems)
  if (adapter === undefined || problems.length > 0) return { ok: false, problems }
  return { ok: true, config: { adapter, signals: compiled } }
}

export type LoadedStabilization =
  | {
      readonly ok: true
      readonly name: string
      readonly stabilize: Stabilization
      readonly act?: 'behavior'
      /** How windows are written, as a MetricsAdapter of the file says, or by default. */
      readonly behavior: NonNullable<AdapterSpec['behavior']>
    }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** How the one Signal of a file holds its value; nothing else of it is looked at but for its form. */
export function loadStabilization(file: ConfigFile): LoadedStabilization {
  const problems: Problem[] = []
  const adapters: Placed<AdapterSpec>[] = []
  const signals: PlacedSignal[] = []
  for (const document of parseFile(file, problems))
    readDocument(document, { adapters, signals, problems })
  const [signal] = signals
  const stabilize = signal?.spec.stabilize
  const missing = (field: string, mend: string) =>
    problems.push({ where: file.path, field, value: undefined, mend })
  if (problems.length === 0 && (signal === undefined || signals.length > 1))
    missing('Signal', `must be one in the file: it has ${signals.length}`)
  else if (problems.length === 0 && stabilize === undefined)
    missing('stabilize', 'the Signal holds nothing: add it to its spec')
  if (signal === undefined || stabilize === undefined || problems.length > 0)
    return { ok: false, problems }
  for (const { path, mend } of stabilizationMistakes(stabilize)) {
    const where = signal.document.whereIs(['spec', ...path])
    const value = shownValue(signal.document.value, ['spec', ...path])
    problems.push({ where, field: `${signal.title}: spec.${path.join('.')}`, value, mend })
  }
  if (problems.length > 0) return { ok: false, problems }
  const { act } = stabilize
  const compiled = compileStabilization(stabilize)
  if (compiled === undefined) {
    missing('stabilize', 'the Signal holds nothing: its policy is none')
    return { ok: false, problems }
  }
  return {
    ok: true,
    name: signal.name,
    stabilize: compiled,
    ...(act === 'behavior' ? { act } : {}),
    behavior: adapters[0]?.spec.behavior ?? behaviorSchema.parse({}),
  }
}

interface ParsedDocument {
  readonly value: Readonly<Record<string, unknown>>
  whereIs(path: readonly PropertyKey[]): string
}

function parseFile(file: ConfigFile, problems: Problem[]): ParsedDocument[] {
  const lines = new LineCounter()
  const documents = parseAllDocuments(file.text, { lineCounter: lines, uniqueKeys: true })
  if (!Array.isArray(documents)) return []
  const parsed: ParsedDocument[] = []
  for (const document of documents) {
    // The first alone: those after it mostly follow from it.
    for (const error of document.errors.slice(0, 1)) {
      const where = `${file.path}:${error.linePos?.[0].line ?? 1}`
      problems.push({
        where,
        field: 'YAML',
        value: undefined,
        mend: error.message.split('\n')[0] ?? '',
      })
    }
    if (document.errors.length > 0) continue
    const value = plainValue(document)
    if (value instanceof Error) {
      problems.push({ where: file.path, field: 'YAML', value: undefined, mend: value.message })
      continue
    }
    if (value === null) continue
    if (typeof value !== 'object' || Array.isArray(value)) {
      const mend = `must be a document with apiVersion: ${API_VERSION} and a kind`
      problems.push({ where: file.path, field: 'document', value: shownValue(value, []), mend })
      continue
    }
    parsed.push({
      value: value as Record<string, unknown>,
      whereIs: (path) => `${file.path}:${lineOf(document, lines, path)}`,
    })
  }
  return parsed
}

/** The document as plain data. Aliases are refused: nobody needs them here, and they can be a bomb. */
function plainValue(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 })
  } catch {
    return new Error('aliases (*name) are not supported: write the value out')
  }
}

/** Line of the deepest part of `path` that exists in the document. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true)
    const key = path[depth - 1]
    const pair = isMap(parent)
      ? parent.items.find((item) => isScalar(item.key) && item.key.value === key)
      : undefined
    const node = pair?.key ?? document.getIn(path.slice(0, depth), true)
    if (isScalar(node) || isMap(node)) {
      const offset = node.range?.[0]
      if (offset !== undefined) return lines.linePos(offset).line
    }
  }
  const start = document.contents?.range?.[0] ?? 0
  return Math.max(1, lines.linePos(start).line)
}

interface Sorted {
  readonly adapters: Placed<AdapterSpec>[]
  readonly signals: PlacedSignal[]
  readonly problems: Problem[]
}

/** False where the document is refused; why is added to the problems. */
function readDocument(document: ParsedDocument, sorted: Sorted): boolean {
  const { value } = document
  const title = titleOf(value)
  if (value['apiVersion'] !== API_VERSION || !isKind(value['kind'])) {
    const field = value['apiVersion'] === API_VERSION ? 'kind' : 'apiVersion'
    const mend = field === 'kind' ? 'must be MetricsAdapter or Signal' : `must be ${API_VERSION}`
    const shown = shownValue(value, [field])
    sorted.problems.push({
      where: document.whereIs([field]),
      field: `${title}: ${field}`,
      value: shown,
      mend,
    })
    return false
  }
  if (value['kind'] === 'Signal') {
    const result = signalDocumentSchema.safeParse(value)
    if (!result.success) return complain(document, title, result.error, sorted.problems)
    const { metadata, spec } = result.data
    sorted.signals.push({
      document,
      title,
      spec,
      namespace: metadata.namespace,
      name: metadata.name,
    })
    return true
  }
  const result = adapterDocumentSchema.safeParse(value)
  if (!result.success) return complain(document, title, result.error, sorted.problems)
  sorted.adapters.push({ document, title, spec: result.data.spec })
  return true
}

function isKind(kind: unknown): kind is 'MetricsAdapter' | 'Signal' {
  return kind === 'MetricsAdapter' || kind === 'Signal'
}

function titleOf(value: Readonly<Record<string, unknown>>): string {
  const metadata = (value['metadata'] ?? {}) as Record<string, unknown>
  const namespace = typeof metadata['namespace'] === 'string' ? `${metadata['namespace']}/` : ''
  const name = typeof metadata['name'] === 'string' ? metadata['name'] : '(no name)'
  const kind = typeof value['kind'] === 'string' ? value['kind'] : 'document'
  return `${kind} ${namespace}${name}`
}

function complain(
  document: ParsedDocument,
  title: string,
  error: z.ZodError,
  problems: Problem[],
): false {
  for (const issue of error.issues) {
    problems.push({
      where: document.whereIs(issue.path),
      field: `${title}: ${issue.path.map(String).join('.') || 'document'}`,
      value:
        issue.code === 'unrecognized_keys' ? undefined : shownValue(document.value, issue.path),
      mend: mendOf(issue, knownFields()),
    })
  }
  return false
}

const NO_ADAPTER: Problem = {
  where: 'configuration',
  field: 'MetricsAdapter',
  value: undefined,
  mend: `no MetricsAdapter document: add one (apiVersion: ${API_VERSION}, kind: MetricsAdapter)`,
}

function checkSelectors(
  { document, title, spec }: Placed<AdapterSpec>,
  checks: ConfigChecks,
  problems: Problem[],
): void {
  for (const mistake of sourceSelectorMistakes(spec, checks)) {
    const path = ['spec', ...mistake.path]
    const field = `${title}: ${path.map(String).join('.')}`
    const value = shownValue(document.value, path)
    problems.push({ where: document.whereIs(path), field, value, mend: mistake.mend })
  }
}

/** Undefined where there is none that can be read. */
function oneAdapter(
  adapters: readonly Placed<AdapterSpec>[],
  problems: Problem[],
): AdapterSpec | undefined {
  const [first, second] = adapters
  if (second !== undefined) {
    const mend = `there is already ${first?.title ?? 'one'}: keep one MetricsAdapter`
    problems.push({
      where: second.document.whereIs([]),
      field: second.title,
      value: undefined,
      mend,
    })
  }
  if (first === undefined) return undefined
  const adapter = first.spec
  const names = new Set<string>()
  for (const [index, source] of adapter.sources.entries()) {
    if (names.has(source.name)) {
      const path = ['spec', 'sources', index, 'name']
      const field = `${first.title}: ${path.join('.')}`
      const mend = 'another source has this name: choose a different one'
      problems.push({ where: first.document.whereIs(path), field, value: source.name, mend })
    }
    names.add(source.name)
  }
  return adapter
}

/** Without an adapter, signals are checked for themselves: nothing is said of sources and limits. */
function compileAll(
  adapter: AdapterSpec | undefined,
  placed: readonly PlacedSignal[],
  checks: ConfigChecks,
  problems: Problem[],
): Signal[] {
  const compiled: Signal[] = []
  const owners = new Map<string, string>()
  for (const one of placed) {
    const say = (path: readonly PropertyKey[], value: string | undefined, mend: string) => {
      const full = ['spec', ...path]
      const field = `${one.title}: ${full.map(String).join('.')}`
      problems.push({ where: one.document.whereIs(full), field, value, mend })
    }
    const source =
      adapter === undefined
        ? { name: one.spec.source }
        : adapter.sources.find((candidate) => candidate.name === one.spec.source)
    if (source === undefined) {
      const names = adapter?.sources.map((candidate) => candidate.name) ?? []
      const near = nearest(one.spec.source, names)
      const hint =
        near === undefined ? `one of: ${names.join(', ') || '(none configured)'}` : `"${near}"?`
      say(['source'], one.spec.source, `no such source; did you mean ${hint}`)
      continue
    }
    if (source.namespaces !== undefined && !source.namespaces.includes(one.namespace))
      say(
        ['source'],
        one.spec.source,
        `is not open to namespace ${one.namespace}: ask the platform team`,
      )
    const { signals, mistakes } = compileSignal(one, one.spec, source)
    const { spec, namespace } = one
    const unmeasured =
      adapter === undefined ? [] : startUpPodMistakes(spec, { namespace, source }, adapter, checks)
    for (const { path, mend } of [...mistakes, ...unmeasured])
      say(path, shownValue(one.document.value, ['spec', ...path]), mend)
    for (const signal of signals) {
      if (adapter !== undefined && signal.window.durationMs > adapter.limits.history)
        say(
          ['window', 'duration'],
          `${signal.window.durationMs} ms`,
          'is longer than limits.history',
        )
      for (const [face, name] of servedNames(signal)) {
        const owner = owners.get(face)
        if (owner !== undefined)
          say(['expose'], name, `${owner} already serves this name: choose another`)
        owners.set(face, `Signal ${signal.id}`)
      }
      compiled.push(signal)
    }
  }
  if (adapter !== undefined && compiled.length > adapter.limits.signals)
    problems.push({
      where: 'configuration',
      field: 'signals',
      value: String(compiled.length),
      mend: `more than limits.signals (${adapter.limits.signals}): raise it or remove signals`,
    })
  return compiled
}

/** The names a signal occupies: itself and what it is asked by; each may be taken once. */
function servedNames({ id, namespace, expose }: Signal): [string, string][] {
  const names: [string, string][] = [[`signal ${id}`, id]]
  const { external, custom, keda } = expose
  if (external !== undefined) names.push([`external ${namespace}/${external.name}`, external.name])
  if (custom !== undefined) {
    const scope = custom.on.namespaced ? namespace : ''
    names.push([`custom ${scope}/${custom.on.resource}/${custom.name}`, custom.name])
  }
  if (keda !== undefined) names.push([`keda ${namespace}/${keda.name}`, keda.name])
  return names
}
