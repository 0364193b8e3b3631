import { messageOf } from '../../src/errors.ts'
import type { Policy } from './decide.ts'
import type { Subject } from './objects.ts'
import { applied, collectionPath, FIELD_MANAGER } from './objects.ts'
import type { BehaviorDeps, Cluster, NamedObject, WriteResult } from './ports.ts'
import { statusOf } from './ports.ts'
import { instant } from '../instant.ts'

export interface Written {
  readonly result: WriteResult
  /** The object as it is now, where it was written. */
  readonly object?: NamedObject
  readonly cause?: string
}

/**
 * Server-side apply of what is to be the adapter's; `undefined` gives all of it back. Never by force: a field that
 * another owner has set to something else is a conflict, and nothing is changed.
 */
export async function write(
  subject: Subject,
  scaleDown: { readonly seconds: number; readonly policies?: readonly Policy[] } | undefined,
  { cluster, signal }: { cluster: Pick<Cluster, 'request'>; signal: AbortSignal },
): Promise<Written> {
  const path = `${collectionPath(subject.kind, subject.namespace)}/${subject.name}?fieldManager=${FIELD_MANAGER}`
  try {
    const object = await cluster.request('PATCH', path, applied(subject, scaleDown), signal)
    const result = scaleDown === undefined ? 'restored' : 'written'
    return { result, object: object as NamedObject }
  } catch (thrown) {
    const cause = messageOf(thrown)
    const conflict = statusOf(thrown) === 409 && !cause.includes('uid mismatch')
    return { result: conflict ? 'conflict' : 'failed', cause }
  }
}

/** Tells the object's owner where `kubectl describe` shows it; best effort. */
export async function tellConflict(
  subject: Subject,
  cause: string,
  { cluster, clock, signal }: Pick<BehaviorDeps, 'cluster' | 'clock'> & { signal: AbortSignal },
): Promise<void> {
  const { kind, namespace, name, uid } = subject
  const nowMs = clock.nowMs()
  const time = instant(nowMs)
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${nowMs.toString(16)}`, namespace },
    involvedObject: { apiVersion: kind.apiVersion, kind: kind.kind, namespace, name, uid },
    reason: 'BehaviorConflict',
    message: `tideline leaves the scale-down window as it is, another sets it: ${cause}`.slice(0, 1000), // prettier-ignore
    type: 'Warning',
    source: { component: FIELD_MANAGER },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  }
  await cluster.request('POST', `/api/v1/namespaces/${namespace}/events`, event, signal)
}
