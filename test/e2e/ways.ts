/** HPAs on one queue, each by a signal of its own, so that ways to hold are seen side by side under one load. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments, stringify } from 'yaml'
import type { KubeObject } from '../controlPlane/kubeApi.ts'
import { MANIFESTS } from './objects.ts'
import { hpaPath } from './observe.ts'
import type { World } from './world.ts'

/** Frames that one replica is to have. */
export const PER_REPLICA = 10
export const LEAST_REPLICAS = 2

export interface Way {
  /** A Deployment of the examples; the HPA is named after it. */
  readonly workload: string
  readonly signal: string
  /** Left out: the signal is as observed. */
  readonly stabilize?: object
  /** The HPA's own; left out: nobody's. */
  readonly scaleDown?: object
  readonly annotations?: Readonly<Record<string, string>>
}

interface Document {
  readonly metadata: { readonly name: string }
  readonly spec: Record<string, unknown>
}

export interface Hpa {
  readonly metadata: {
    readonly annotations?: Readonly<Record<string, string>>
    readonly managedFields: readonly { readonly manager: string }[]
  }
  readonly spec: {
    readonly behavior?: {
      readonly scaleDown?: {
        readonly stabilizationWindowSeconds?: number
        readonly policies?: readonly { readonly periodSeconds: number }[]
      }
    }
  }
}

/** The objects that give the adapter the right to write behaviours. */
export function behaviorRights(): KubeObject[] {
  const file = join(MANIFESTS, 'components/hpa-behavior/rbac.yaml')
  return parseAllDocuments(readFileSync(file, 'utf8')).map((one) => one.toJS() as KubeObject)
}

const MAIN = join(import.meta.dirname, '../../adapter/main.ts')

/** `tideline restore`, as an administrator would run it anywhere; what it prints. */
export function restoreAll(kubeconfig: string): string {
  const parameters = [MAIN, 'restore', '--kubeconfig', kubeconfig]
  return execFileSync(process.execPath, parameters, { encoding: 'utf8' })
}

/** Asks for the window of a signal. */
export function asksFor(signal: string): Readonly<Record<string, string>> {
  return { 'tideline.dev/scale-down-window': signal }
}

export async function setQueue({ redis }: World, length: number): Promise<void> {
  const frames = Array.from({ length }, () => 'frame')
  await redis.admin
    .multi()
    .del('vision:frames')
    .rpush('vision:frames', ...frames)
    .exec()
}

/** Texts of the configuration as it is now. */
export function configuration({ plane }: World) {
  const at = (name: string) => join(plane.folder, 'config', name)
  return ['adapter.yaml', 'signals.yaml'].map((name) => ({
    path: at(name),
    text: readFileSync(at(name), 'utf8'),
  }))
}

interface Parts {
  readonly behavior?: object
  readonly state?: object
}

/**
 * Writes a signal for each way, all made as the example's `frames-waiting`, and these parts of the adapter's spec.
 * `stabilize` is for other signals of the base, by name.
 */
export function writeConfiguration(
  world: World,
  ways: readonly Way[],
  { stabilize = {}, ...parts }: Parts & { readonly stabilize?: Readonly<Record<string, object>> },
): void {
  const [adapterFile, signalsFile] = configuration(world)
  if (adapterFile === undefined || signalsFile === undefined) throw new Error('no configuration')
  const adapter = parse(adapterFile.text) as Document
  delete adapter.spec['behavior']
  delete adapter.spec['state']
  Object.assign(adapter.spec, parts)
  const documents = parseAllDocuments(signalsFile.text)
  const signals = documents.map((document) => document.toJS() as Document)
  const frames = signals.find(({ metadata }) => metadata.name === 'frames-waiting')
  if (frames === undefined) throw new Error('the base has no signal frames-waiting')
  const names = ways.map(({ signal }) => signal)
  const made = ways.map(({ signal, stabilize }) => ({
    ...frames,
    metadata: { ...frames.metadata, name: signal },
    spec: {
      ...frames.spec,
      expose: { external: { name: metricOf(signal) } },
      ...(stabilize === undefined ? {} : { stabilize }),
    },
  }))
  const others = signals.filter(({ metadata }) => !names.includes(metadata.name))
  for (const { metadata, spec } of others) {
    delete spec['stabilize']
    const hold = stabilize[metadata.name]
    if (hold !== undefined) spec['stabilize'] = hold
  }
  const all = [...others, ...made]
  writeFileSync(adapterFile.path, stringify(adapter))
  writeFileSync(signalsFile.path, all.map((one) => stringify(one)).join('---\n'))
}

/** An HPA of the examples, with nothing held by itself. */
export async function holdNothing({ plane }: World, workload: string): Promise<void> {
  const spec = { behavior: { scaleDown: { stabilizationWindowSeconds: 0 } } }
  await plane.api('PATCH', hpaPath(workload), { spec }, 'application/merge-patch+json')
}

function metricOf(signal: string): string {
  return `vision_${signal.replaceAll('-', '_')}`
}

/** The HPA as a new object, so that its `scaleDown` is owned by nobody else. */
export async function installHpa({ plane }: World, way: Way): Promise<void> {
  const { workload, scaleDown, annotations = {} } = way
  const path = hpaPath(workload)
  await plane.api('DELETE', path)
  const scaleUp = { stabilizationWindowSeconds: 0 }
  const metric = { name: metricOf(way.signal) }
  const target = { type: 'AverageValue', averageValue: String(PER_REPLICA) }
  const spec = {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: workload },
    minReplicas: LEAST_REPLICAS,
    maxReplicas: 20,
    metrics: [{ type: 'External', external: { metric, target } }],
    behavior: scaleDown === undefined ? { scaleUp } : { scaleUp, scaleDown },
  }
  const metadata = { name: workload, namespace: 'vision', annotations }
  await plane.apply([{ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata, spec }]) // prettier-ignore
}

export const readHpa = ({ plane }: World, workload: string) =>
  plane.api<Hpa>('GET', hpaPath(workload))

/** The window that an HPA has, whoever set it; none where nobody did. */
export async function windowOf(world: World, workload: string): Promise<number | undefined> {
  return (await readHpa(world, workload)).spec.behavior?.scaleDown?.stabilizationWindowSeconds
}

/** Whether anything of an HPA is the adapter's. */
export async function isTouched(world: World, workload: string): Promise<boolean> {
  const { metadata } = await readHpa(world, workload)
  return metadata.managedFields.some(({ manager }) => manager === 'tideline')
}

interface Listed {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly replicas: number }
}

/** What the HPAs ask for now, in the order of the workloads. */
export async function wantedReplicas({ plane }: World, workloads: readonly string[]) {
  const path = '/apis/apps/v1/namespaces/vision/deployments'
  const { items } = await plane.api<{ items: readonly Listed[] }>('GET', path)
  const byName = new Map(items.map(({ metadata, spec }) => [metadata.name, spec.replicas]))
  return workloads.map((name) => byName.get(name) ?? NaN)
}

export interface Seen {
  readonly atMs: number
  readonly replicas: readonly number[]
}

export interface Load {
  readonly atMs: number
  readonly load: number
}

const LOOK_EVERY_MS = 250

interface Play {
  readonly loads: readonly number[]
  readonly tailS?: number
  /** Nothing more needs to be seen. */
  enough?(seen: Seen): boolean
}

/**
 * Brings loads into the queue, one a second, and looks meanwhile, and `tailS` longer, how many replicas are wanted.
 * The first load is taken to have been there before.
 */
export async function play(
  world: World,
  workloads: readonly string[],
  { loads, tailS = 0, enough }: Play,
): Promise<{ readonly played: readonly Load[]; readonly seen: readonly Seen[] }> {
  const beganMs = performance.now()
  const played: Load[] = loads.slice(0, 1).map((load) => ({ atMs: -Infinity, load }))
  const seen: Seen[] = []
  const endMs = beganMs + (loads.length + tailS) * 1000
  let over = false
  const bring = async () => {
    for (const [second, load] of loads.entries()) {
      await until(beganMs + second * 1000)
      if (over) return
      played.push({ atMs: performance.now(), load })
      await setQueue(world, load)
    }
  }
  const look = async () => {
    while (performance.now() < endMs && !over) {
      const atMs = performance.now()
      const replicas = await wantedReplicas(world, workloads)
      seen.push({ atMs, replicas })
      over = enough?.({ atMs, replicas }) ?? false
      await until(atMs + LOOK_EVERY_MS)
    }
  }
  await Promise.all([bring(), look()])
  return { played, seen }
}

function until(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms - performance.now())))
}
