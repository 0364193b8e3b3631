import type { NamedObject, Tree } from './ports.ts'
import type { Policy } from './decide.ts'

/** On an HPA or a ScaledObject: the name of a Signal of its namespace whose window it is to get. */
export const WINDOW_ANNOTATION = 'tideline.dev/scale-down-window'
/** `follow`: the policies' periods change with the window. */
export const PERIODS_ANNOTATION = 'tideline.dev/scale-down-periods'
/** Ours: what `scaleDown` was when the adapter wrote first. */
export const ORIGINAL_ANNOTATION = 'tideline.dev/original-scale-down'
export const FIELD_MANAGER = 'tideline'

/** A kind of object with a `behavior` in it. */
export interface Kind {
  readonly kind: string
  readonly apiVersion: string
  readonly plural: string
  /** Where `behavior` is. */
  readonly at: readonly string[]
}

export const HPA: Kind = {
  kind: 'HorizontalPodAutoscaler',
  apiVersion: 'autoscaling/v2',
  plural: 'horizontalpodautoscalers',
  at: ['spec', 'behavior'],
}

export const SCALED_OBJECT: Kind = {
  kind: 'ScaledObject',
  apiVersion: 'keda.sh/v1alpha1',
  plural: 'scaledobjects',
  at: ['spec', 'advanced', 'horizontalPodAutoscalerConfig', 'behavior'],
}

export function collectionPath({ apiVersion, plural }: Kind, namespace = ''): string {
  const space = namespace === '' ? '' : `/namespaces/${namespace}`
  return `/apis/${apiVersion}${space}/${plural}`
}

/** What of an object matters here. */
export interface Subject {
  readonly kind: Kind
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** The signal asked for; undefined where nothing is. */
  readonly signal: string | undefined
  readonly followPeriods: boolean
  /** Anything of it is the adapter's. */
  readonly touched: boolean
  /** The window in force, where it is the adapter's. */
  readonly inForceS: number | undefined
  /** Of `scaleDown` before the adapter wrote first. */
  readonly original: Tree
}

export function keyOf(kind: Kind, namespace: string, name: string): string {
  return `${kind.kind}/${namespace}/${name}`
}

export function subjectOf(kind: Kind, object: NamedObject): Subject {
  const { metadata } = object
  const annotations = tree(metadata['annotations'])
  const ours = ownFields(metadata)
  const scaleDown = tree(at(object, [...kind.at, 'scaleDown']))
  const path = [...kind.at, 'scaleDown', 'stabilizationWindowSeconds'].map((name) => `f:${name}`)
  const owned = ours !== undefined && at(ours, path) !== undefined
  const seconds = scaleDown['stabilizationWindowSeconds']
  const asked = annotations[WINDOW_ANNOTATION]
  return {
    kind,
    namespace: text(metadata['namespace']),
    name: metadata.name,
    uid: text(metadata['uid']),
    // KEDA copies a ScaledObject's annotations to the HPA that it makes, and undoes what others change there.
    signal: text(asked) === '' || ofScaledObject(metadata) ? undefined : text(asked),
    followPeriods: annotations[PERIODS_ANNOTATION] === 'follow',
    touched: ours !== undefined,
    inForceS: owned && typeof seconds === 'number' ? seconds : undefined,
    original: recorded(annotations[ORIGINAL_ANNOTATION]) ?? originalOf(scaleDown),
  }
}

/** What a server-side apply sends: the fields that are to be the adapter's, and no other. */
export function applied(
  subject: Subject,
  scaleDown: { readonly seconds: number; readonly policies?: readonly Policy[] } | undefined,
): Tree {
  const { kind, uid, name, namespace } = subject
  const head = { apiVersion: kind.apiVersion, kind: kind.kind }
  // With the uid an object that is gone is not made anew.
  const metadata = { name, namespace, uid }
  if (scaleDown === undefined) return { ...head, metadata }
  const { seconds, policies } = scaleDown
  const written = {
    stabilizationWindowSeconds: seconds,
    ...(policies === undefined ? {} : { policies }),
  }
  const annotations = { [ORIGINAL_ANNOTATION]: JSON.stringify(subject.original) }
  const body = kind.at.toReversed().reduce<Tree>((inner, field) => ({ [field]: inner }), {
    scaleDown: written,
  })
  return { ...head, metadata: { ...metadata, annotations }, ...body }
}

function originalOf(scaleDown: Tree): Tree {
  const { stabilizationWindowSeconds, policies } = scaleDown
  return {
    ...(stabilizationWindowSeconds === undefined ? {} : { stabilizationWindowSeconds }),
    ...(policies === undefined ? {} : { policies }),
  }
}

export function policiesOf(original: Tree): readonly Policy[] | undefined {
  const { policies } = original
  if (!Array.isArray(policies) || !policies.every(isPolicy) || policies.length === 0) return
  return policies
}

function isPolicy(value: unknown): value is Policy {
  const { type, value: size, periodSeconds } = tree(value)
  return typeof type === 'string' && typeof size === 'number' && typeof periodSeconds === 'number'
}

function recorded(annotation: unknown): Tree | undefined {
  if (typeof annotation !== 'string') return undefined
  try {
    return tree(JSON.parse(annotation))
  } catch {
    return undefined
  }
}

/** `fieldsV1` of what the adapter applied; undefined where nothing is its. */
function ownFields(metadata: Tree): Tree | undefined {
  const entries = metadata['managedFields']
  if (!Array.isArray(entries)) return undefined
  for (const entry of entries.map(tree))
    if (entry['manager'] === FIELD_MANAGER && entry['operation'] === 'Apply')
      return tree(entry['fieldsV1'])
  return undefined
}

function ofScaledObject(metadata: Tree): boolean {
  const owners = metadata['ownerReferences']
  return Array.isArray(owners) && owners.some((owner) => tree(owner)['kind'] === SCALED_OBJECT.kind)
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, field) => tree(inner)[field], value)
}

function tree(value: unknown): Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Tree) : {}
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
