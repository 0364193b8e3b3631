import type { BehaviorWindow } from '../../src/model.ts'
import type { Component } from '../../src/ports.ts'
import { messageOf } from '../../src/errors.ts'
import { DEFAULT_POLICIES, scaledPolicies, secondsToWrite, windowOf } from './decide.ts'
import type { Kind, Subject } from './objects.ts'
import { collectionPath, HPA, keyOf, policiesOf, SCALED_OBJECT, subjectOf } from './objects.ts'
import type { BehaviorDeps, NamedObject, ObjectReceiver, WriteResult } from './ports.ts'
import { tellConflict, write } from './write.ts'

const TICK_MS = 1000
/** After a conflict or a failure. */
const RETRY_MS = 60_000

interface Tracked {
  subject: Subject
  lastWriteMs: number
  retryAtMs: number
  /** Since when its signal's window has not been known. */
  unknownSinceMs: number | undefined
  /** What was said last of why it cannot be. */
  fault: string
  conflict: string
}

/** For the adapter's own metrics. */
export interface BehaviorAccount {
  readonly leader: boolean
  readonly windows: readonly { namespace: string; kind: string; name: string; seconds: number }[]
  readonly writes: ReadonlyMap<WriteResult, number>
}

/**
 * Follows annotated HPAs and ScaledObjects and writes the decided window to their behaviour while it has the turn.
 * What it wrote is known from the objects themselves (their managed fields), so that any replica can go on.
 */
export class Behavior implements Component {
  readonly #deps: BehaviorDeps
  readonly #tracked = new Map<string, Tracked>()
  readonly #writes = new Map<WriteResult, number>()

  constructor(deps: BehaviorDeps) {
    this.#deps = deps
  }

  account(): BehaviorAccount {
    const windows = [...this.#tracked.values()].flatMap(({ subject }) => {
      const { namespace, name, kind, inForceS } = subject
      return inForceS === undefined ? [] : [{ namespace, kind: kind.kind, name, seconds: inForceS }]
    })
    return { leader: this.#deps.turn.held, windows, writes: this.#writes }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { scope, cluster, clock, log } = this.#deps
    this.#tracked.clear()
    const kinds = scope.scaledObjects ? [HPA, SCALED_OBJECT] : [HPA]
    const namespaces = scope.namespaces.length === 0 ? [''] : scope.namespaces
    const watches = kinds.flatMap((kind) =>
      namespaces.map((namespace) =>
        cluster.watch(collectionPath(kind, namespace), this.#receiver(kind, namespace), signal),
      ),
    )
    while (!signal.aborted) {
      try {
        await this.#tick(signal)
      } catch (thrown) {
        log.error('behavior-failed', { error: thrown })
      }
      await clock.sleep(TICK_MS, signal)
    }
    await Promise.all(watches)
  }

  #receiver(kind: Kind, scope: string): ObjectReceiver {
    return {
      replace: (objects) => {
        const present = new Set(
          objects.map(({ metadata }) => keyOf(kind, String(metadata['namespace']), metadata.name)),
        )
        for (const [key, { subject }] of this.#tracked)
          if (subject.kind === kind && (scope === '' || scope === subject.namespace))
            if (!present.has(key)) this.#tracked.delete(key)
        for (const object of objects) this.#put(kind, object)
      },
      put: (object) => this.#put(kind, object),
      remove: ({ metadata }) => {
        this.#tracked.delete(keyOf(kind, String(metadata['namespace']), metadata.name))
      },
      trouble: () => undefined,
    }
  }

  #put(kind: Kind, object: NamedObject): void {
    const subject = subjectOf(kind, object)
    const key = keyOf(kind, subject.namespace, subject.name)
    const tracked = this.#tracked.get(key)
    if (subject.signal === undefined && !subject.touched) this.#tracked.delete(key)
    else if (tracked?.subject.uid === subject.uid) tracked.subject = subject
    else
      this.#tracked.set(key, {
        subject,
        lastWriteMs: -Infinity,
        retryAtMs: -Infinity,
        unknownSinceMs: undefined,
        fault: '',
        conflict: '',
      })
  }

  async #tick(signal: AbortSignal): Promise<void> {
    const { turn, clock } = this.#deps
    for (const tracked of [...this.#tracked.values()]) {
      if (!turn.held || signal.aborted) return
      const nowMs = clock.monotonicMs()
      if (nowMs < tracked.retryAtMs) continue
      const wanted = this.#wanted(tracked, nowMs)
      if (wanted === 'keep') continue
      await this.#write(tracked, wanted, signal)
    }
  }

  /** What is to be written: seconds, nothing any more, or nothing now. */
  #wanted(tracked: Tracked, nowMs: number): number | 'restore' | 'keep' {
    const rules = this.#deps.rules()
    const { signal, touched, inForceS } = tracked.subject
    const back = touched ? 'restore' : 'keep'
    if (rules.mode === 'restore' || signal === undefined) return back
    const window = this.#windowOf(tracked, signal)
    if (window === undefined) {
      tracked.unknownSinceMs ??= nowMs
      return nowMs - tracked.unknownSinceMs >= rules.graceMs ? back : 'keep'
    }
    tracked.unknownSinceMs = undefined
    const sinceWriteMs = nowMs - tracked.lastWriteMs
    return secondsToWrite(window, inForceS, { ...rules, sinceWriteMs }) ?? 'keep'
  }

  #windowOf(tracked: Tracked, name: string): BehaviorWindow | undefined {
    const { reader, log } = this.#deps
    const { namespace, kind } = tracked.subject
    const found = reader.signal(namespace, name)
    const fault =
      found === undefined
        ? 'there is no such signal in its namespace'
        : found.signal.act === 'behavior'
          ? ''
          : 'the signal is not for it, a hold in the value and one in the HPA would add up: set stabilize.act to behavior'
    if (fault !== '' && tracked.fault !== fault)
      log.warn('behavior-signal', { kind: kind.kind, namespace, name: tracked.subject.name, signal: name, fault }) // prettier-ignore
    tracked.fault = fault
    return found === undefined || fault !== '' ? undefined : windowOf(found)
  }

  async #write(tracked: Tracked, wanted: number | 'restore', signal: AbortSignal): Promise<void> {
    const { log, clock } = this.#deps
    const { subject } = tracked
    const scaleDown =
      wanted === 'restore' ? undefined : scaleDownOf(subject, wanted, this.#deps.rules())
    const nowMs = clock.monotonicMs()
    const { result, object, cause } = await write(subject, scaleDown, { ...this.#deps, signal })
    if (signal.aborted) return
    this.#writes.set(result, (this.#writes.get(result) ?? 0) + 1)
    const { namespace, name, kind } = subject
    const fields = { kind: kind.kind, namespace, name }
    if (object !== undefined) {
      tracked.lastWriteMs = nowMs
      tracked.conflict = ''
      log.info(`behavior-${result}`, { ...fields, from: subject.inForceS, to: scaleDown?.seconds })
      this.#put(kind, object)
      return
    }
    tracked.retryAtMs = nowMs + RETRY_MS
    log.warn(`behavior-${result}`, { ...fields, cause, retryInMs: RETRY_MS })
    if (result !== 'conflict' || tracked.conflict === cause) return
    tracked.conflict = cause ?? ''
    await tellConflict(subject, cause ?? '', { ...this.#deps, signal }).catch((thrown: unknown) =>
      log.warn('behavior-event-failed', { ...fields, cause: messageOf(thrown) }),
    )
  }
}

function scaleDownOf(subject: Subject, seconds: number, { restingMs }: { restingMs: number }) {
  if (!subject.followPeriods) return { seconds }
  const policies = policiesOf(subject.original) ?? DEFAULT_POLICIES
  return { seconds, policies: scaledPolicies(policies, seconds, restingMs) }
}

/** Gives back everything that was ever written, as `tideline restore` does; what was done, a line for each. */
export async function restoreAll(
  cluster: Pick<BehaviorDeps['cluster'], 'request'>,
  kinds: readonly Kind[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const lines: string[] = []
  for (const kind of kinds) {
    const list = (await cluster.request('GET', collectionPath(kind), undefined, signal)) as {
      items?: readonly NamedObject[]
    }
    for (const object of list.items ?? []) {
      const subject = subjectOf(kind, object)
      if (!subject.touched) continue
      const { result, cause } = await write(subject, undefined, { cluster, signal })
      const said = cause === undefined ? result : `${result}: ${cause}`
      lines.push(`${kind.kind} ${subject.namespace}/${subject.name}: ${said}`)
    }
  }
  return lines
}
