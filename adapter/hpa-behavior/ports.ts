/** What this edge asks of others; the cluster edge gives it. */
import type { Clock, Logger, SignalReader } from '../../src/ports.ts'

export type Tree = Readonly<Record<string, unknown>>
export type NamedObject = Tree & { readonly metadata: Tree & { readonly name: string } }

/** Called in order, each a whole step. */
export interface ObjectReceiver {
  replace(objects: readonly NamedObject[]): void
  put(object: NamedObject): void
  remove(object: NamedObject): void
  trouble(message: string | undefined): void
}

export interface Cluster {
  /** JSON both ways; a PATCH is a server-side apply. Rejects; an answer above 299 has its `status`. */
  request(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH',
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<unknown>
  /** Lists and follows a collection until `signal` aborts; never rejects. */
  watch(path: string, receiver: ObjectReceiver, signal: AbortSignal): Promise<void>
}

/** Which objects are followed; fixed while it runs. */
export interface BehaviorScope {
  /** Empty: all. */
  readonly namespaces: readonly string[]
  readonly scaledObjects: boolean
}

/** What is written to them, and when; may change while it runs. */
export interface BehaviorRules {
  readonly mode: 'write' | 'restore'
  readonly restingMs: number
  /** Least change that is written: a share of the window in force, and a time. */
  readonly minChange: number
  readonly minStepMs: number
  /** Least time between two writes to one object. */
  readonly intervalMs: number
  /** How long the window in force stays while the signal is unknown. */
  readonly graceMs: number
}

/** Who may write now. */
export interface Turn {
  readonly held: boolean
}

export interface BehaviorDeps {
  readonly cluster: Cluster
  readonly reader: SignalReader
  readonly turn: Turn
  readonly clock: Clock
  readonly log: Logger
  readonly scope: BehaviorScope
  rules(): BehaviorRules
}

export type WriteResult = 'written' | 'restored' | 'conflict' | 'failed'

/** HTTP status of a rejected request; undefined where there was no answer. */
export function statusOf(thrown: unknown): number | undefined {
  const status = (thrown as { status?: unknown } | null)?.status
  return typeof status === 'number' ? status : undefined
}
