/** Joins the writer of HPA behaviour with the cluster, as the configuration asks for it. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Clock, Component, Logger, SignalReader } from '../src/ports.ts'
import type { KubeClient } from './cluster/kubeClient.ts'
import { watchCollection } from './cluster/watch.ts'
import type { BehaviorAccount } from './hpa-behavior/behavior.ts'
import { Behavior, restoreAll } from './hpa-behavior/behavior.ts'
import { Lease } from './hpa-behavior/lease.ts'
import { HPA, SCALED_OBJECT } from './hpa-behavior/objects.ts'
import type { BehaviorRules, Cluster } from './hpa-behavior/ports.ts'
import { statusOf } from './hpa-behavior/ports.ts'

const LEASE = { name: 'tideline-behavior', durationMs: 15_000, renewMs: 5_000 }

/** `behavior` of the configuration. */
export interface BehaviorConfig {
  readonly mode: 'write' | 'restore'
  readonly namespaces?: readonly string[] | undefined
  readonly scaledObjects: boolean
  readonly leaseNamespace?: string | undefined
  readonly restingWindow: number
  readonly minChange: number
  readonly minStep: number
  readonly interval: number
  readonly grace: number
}

interface BehaviorSurroundings {
  readonly client: KubeClient | undefined
  readonly reader: SignalReader
  readonly clock: Clock
  readonly log: Logger
  /** The configuration as it is now; where it says nothing of it any more, what it said at the start counts. */
  current(): BehaviorConfig | undefined
}

/** What of it is taken at the next start alone: whether there is any, and which objects are followed. */
export function fixedAtStart(config: BehaviorConfig | undefined) {
  if (config === undefined) return undefined
  const { namespaces, scaledObjects, leaseNamespace } = config
  return { namespaces, scaledObjects, leaseNamespace }
}

/** Nothing at all where the configuration has no `behavior`. Throws where there is and no cluster. */
export function openBehavior(
  config: BehaviorConfig | undefined,
  { client, reader, clock, log, current }: BehaviorSurroundings,
): { readonly components: readonly Component[]; account(): BehaviorAccount | undefined } {
  if (config === undefined) return { components: [], account: () => undefined }
  if (client === undefined)
    throw new Error('behavior needs a cluster: run in a pod, give --kubeconfig, or leave it out')
  const namespace = config.leaseNamespace ?? client.namespace
  if (namespace === undefined)
    throw new Error('behavior.leaseNamespace is missing: the kubeconfig names no namespace')
  const cluster = clusterOf(client, clock, log)
  const identity = `${hostname()}_${randomUUID()}`
  const turn = new Lease({ cluster, clock, log }, { ...LEASE, namespace, identity })
  const scope = { namespaces: config.namespaces ?? [], scaledObjects: config.scaledObjects }
  const rules = () => rulesOf(current() ?? config)
  const behavior = new Behavior({ cluster, reader, turn, clock, log, scope, rules })
  return { components: [turn, behavior], account: () => behavior.account() }
}

export function rulesOf(config: BehaviorConfig): BehaviorRules {
  return {
    mode: config.mode,
    restingMs: config.restingWindow,
    minChange: config.minChange,
    minStepMs: config.minStep,
    intervalMs: config.interval,
    graceMs: config.grace,
  }
}

/** `tideline restore`: 0 where everything that was ever written is given back. */
export async function restoreBehavior(
  client: KubeClient | undefined,
  out: { write(text: string): unknown },
): Promise<number> {
  if (client === undefined) throw new Error('restore needs a cluster: give --kubeconfig')
  const { signal } = new AbortController()
  try {
    let lines = [...(await restoreAll(client, [HPA], signal))]
    try {
      lines = [...lines, ...(await restoreAll(client, [SCALED_OBJECT], signal))]
    } catch (thrown) {
      // No KEDA in this cluster.
      if (statusOf(thrown) !== 404) throw thrown
    }
    out.write(lines.length === 0 ? 'nothing to restore\n' : `${lines.join('\n')}\n`)
    return lines.every((line) => line.endsWith(': restored')) ? 0 : 1
  } finally {
    client.close()
  }
}

function clusterOf(client: KubeClient, clock: Clock, log: Logger): Cluster {
  return {
    request: (method, path, body, signal) => client.request(method, path, body, signal),
    watch: (path, receiver, signal) =>
      watchCollection({ path }, receiver, { client, clock, log }, signal),
  }
}
