import type { Clock, Component, Logger } from '../../src/ports.ts'
import { messageOf } from '../../src/errors.ts'
import type { Cluster, Tree, Turn } from './ports.ts'
import { statusOf } from './ports.ts'

export interface LeaseOptions {
  readonly namespace: string
  readonly name: string
  /** Unique among the replicas. */
  readonly identity: string
  readonly durationMs: number
  readonly renewMs: number
}

interface Seen {
  /** What the Lease said, and since when it has said so by our own clock. */
  readonly text: string
  readonly sinceMs: number
}

/**
 * A turn that one of several processes has, by a Lease of coordination.k8s.io. Taken when it is free, or when its
 * holder has not renewed it for its whole duration, measured by the observer's own clock; given up by the holder's
 * clock before anybody else can take it; released when `run` ends.
 */
export class Lease implements Component, Turn {
  readonly #deps: { readonly cluster: Cluster; readonly clock: Clock; readonly log: Logger }
  readonly #options: LeaseOptions
  #heldUntilMs = -Infinity
  #wasHeld = false
  #seen: Seen | undefined

  constructor(deps: { cluster: Cluster; clock: Clock; log: Logger }, options: LeaseOptions) {
    this.#deps = deps
    this.#options = options
  }

  get held(): boolean {
    return this.#deps.clock.monotonicMs() < this.#heldUntilMs
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps
    while (!signal.aborted) {
      try {
        await this.#attempt(signal)
      } catch (thrown) {
        if (signal.aborted) break
        log.warn('behavior-lease-failed', { cause: messageOf(thrown) })
      }
      if (this.held !== this.#wasHeld) log.info('behavior-lease', { held: this.held })
      this.#wasHeld = this.held
      await clock.sleep(this.#options.renewMs, signal)
    }
    if (this.held) await this.#release()
    this.#heldUntilMs = -Infinity
    this.#wasHeld = false
  }

  get #path(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    const { cluster, clock } = this.#deps
    const { name, durationMs } = this.#options
    const startMs = clock.monotonicMs()
    let present: Tree | undefined
    try {
      present = (await cluster.request('GET', `${this.#path}/${name}`, undefined, signal)) as Tree
    } catch (thrown) {
      if (statusOf(thrown) !== 404) throw thrown
    }
    if (present !== undefined && !this.#free(present)) return
    try {
      await this.#put(present, signal)
      this.#heldUntilMs = startMs + durationMs
    } catch (thrown) {
      // Another was quicker.
      if (statusOf(thrown) !== 409) throw thrown
    }
  }

  async #put(present: Tree | undefined, signal: AbortSignal, holder?: ''): Promise<void> {
    const { cluster, clock } = this.#deps
    const { name, namespace, identity, durationMs } = this.#options
    const before = (present?.['spec'] ?? {}) as Tree
    const mine = before['holderIdentity'] === identity
    const now = microTime(clock.nowMs())
    const transitions = Number(before['leaseTransitions'] ?? 0)
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: present?.['metadata'] ?? { name, namespace },
      spec: {
        holderIdentity: holder ?? identity,
        leaseDurationSeconds: holder === '' ? 1 : Math.ceil(durationMs / 1000),
        acquireTime: mine ? before['acquireTime'] : now,
        renewTime: now,
        leaseTransitions: mine || present === undefined ? transitions : transitions + 1,
      },
    }
    if (present === undefined) await cluster.request('POST', this.#path, body, signal)
    else await cluster.request('PUT', `${this.#path}/${name}`, body, signal)
  }

  #free({ spec }: Tree): boolean {
    const said = (spec ?? {}) as Tree
    const { identity } = this.#options
    if (said['holderIdentity'] === identity || (said['holderIdentity'] ?? '') === '') return true
    const nowMs = this.#deps.clock.monotonicMs()
    const text = JSON.stringify(said)
    if (this.#seen?.text !== text) this.#seen = { text, sinceMs: nowMs }
    const durationMs = Number(said['leaseDurationSeconds'] ?? 15) * 1000
    return nowMs - this.#seen.sinceMs > durationMs
  }

  /** So that the next replica need not wait; best effort, within the second that a component has to end. */
  async #release(): Promise<void> {
    const { cluster, clock, log } = this.#deps
    const limit = new AbortController()
    const over = new AbortController()
    void clock.sleep(800, over.signal).then(() => limit.abort())
    try {
      const path = `${this.#path}/${this.#options.name}`
      const present = (await cluster.request('GET', path, undefined, limit.signal)) as Tree
      const { holderIdentity } = present['spec'] as Tree
      if (holderIdentity === this.#options.identity) await this.#put(present, limit.signal, '')
    } catch (thrown) {
      log.warn('behavior-lease-failed', { cause: messageOf(thrown) })
    } finally {
      over.abort()
    }
  }
}

/** MicroTime of Kubernetes. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
