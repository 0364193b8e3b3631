import { status } from '@grpc/grpc-js'
import type { Caller } from './caller.ts'
import { Refusal } from './refusal.ts'

interface Pace {
  left: number
  atMs: number
}

/** Pods that are remembered; the full allowance of one that is forgotten is what it would have by then. */
const PODS_MAX = 20_000

/** How many reports each pod may still send: `perSecond`, twice as many at once. */
export class Paces {
  readonly #perSecond: number
  readonly #pods = new Map<string, Pace>()

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  /** Throws `Refusal` `RESOURCE_EXHAUSTED` where the pod is too quick. */
  pass(pod: string, nowMs: number): void {
    const most = 2 * this.#perSecond
    const known = this.#pods.get(pod)
    const refilled =
      known === undefined ? most : known.left + ((nowMs - known.atMs) / 1000) * this.#perSecond
    const left = Math.min(most, refilled)
    if (known === undefined) this.#makeRoom()
    this.#pods.delete(pod)
    this.#pods.set(pod, { left: left < 1 ? left : left - 1, atMs: nowMs })
    if (left >= 1) return
    const waitMs = Math.ceil(((1 - left) / this.#perSecond) * 1000)
    throw new Refusal(
      status.RESOURCE_EXHAUSTED,
      `${pod} may send ${this.#perSecond} reports a second: send again in ${waitMs} ms`,
      waitMs,
    )
  }

  /** The same for a caller that is one pod, so that it can be asked before what it sends is read. */
  passCaller({ namespaces, pod }: Caller, nowMs: number): void {
    const [namespace] = namespaces ?? []
    if (namespace !== undefined && pod !== undefined) this.pass(`${namespace}/${pod}`, nowMs)
  }

  #makeRoom(): void {
    const [oldest] = this.#pods.keys()
    if (this.#pods.size >= PODS_MAX && oldest !== undefined) this.#pods.delete(oldest)
  }
}
