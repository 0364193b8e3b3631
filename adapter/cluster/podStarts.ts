import type { Labels } from '../../src/model.ts'
import type { PodStartUp } from '../../src/ports.ts'
import type { Pod } from './pod.ts'

/** A kubelet says that a pod is not ready as soon as it takes it up. If it says so later, the pod was ready before. */
const FIRST_WORD_MS = 10_000

/** Which pods somebody wants to hear of. */
export interface Listener {
  readonly namespace: string | undefined
  matches(labels: Labels): boolean
  told(startUp: PodStartUp): void
}

interface Started {
  pod: Pod
  /** Undefined where it cannot be known. */
  readonly startUp: PodStartUp | undefined
}

/**
 * How long each pod took from its node being chosen (condition `PodScheduled`) to its first being ready (`Ready`).
 * Both times are `lastTransitionTime`, in whole seconds, so `Ready` alone does not tell whether it was the first
 * time. It does of a pod that was seen before it was ever ready. One that was found ready is told of as that, and one
 * that was ready before it was seen not to be, or whose containers were restarted until it was, is never told of.
 */
export class PodStarts {
  /** By uid: pods that were never ready up to now. */
  readonly #starting = new Set<string>()
  readonly #started = new Map<string, Started>()
  readonly #listeners = new Set<Listener>()

  /** `listed`: it comes from a list, and what happened since it was seen before is not known. */
  put(pod: Pod, listed: boolean): void {
    const started = this.#started.get(pod.uid)
    if (started !== undefined) {
      started.pod = pod
      return
    }
    const starting = this.#starting.has(pod.uid) && !listed
    if (!pod.ready && (starting || saysFirstWord(pod))) {
      this.#starting.add(pod.uid)
      return
    }
    this.#starting.delete(pod.uid)
    const startUp = pod.ready ? startUpOf(pod, starting) : undefined
    this.#started.set(pod.uid, { pod, startUp })
    if (startUp === undefined) return
    for (const listener of this.#listeners) tell(listener, pod, startUp)
  }

  remove({ uid }: Pod): void {
    this.#starting.delete(uid)
    this.#started.delete(uid)
  }

  /** Tells of those that there are, and then of each as it becomes ready. What is given back ends it. */
  listen(listener: Listener): () => void {
    for (const { pod, startUp } of this.#started.values())
      if (startUp !== undefined) tell(listener, pod, startUp)
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

function tell({ namespace, matches, told }: Listener, pod: Pod, startUp: PodStartUp): void {
  if ((namespace === undefined || namespace === pod.namespace) && matches(pod.labels)) told(startUp)
}

function saysFirstWord({ scheduledMs, readyChangedMs }: Pod): boolean {
  if (scheduledMs === undefined || readyChangedMs === undefined) return true
  return readyChangedMs <= scheduledMs + FIRST_WORD_MS
}

function startUpOf(pod: Pod, witnessed: boolean): PodStartUp | undefined {
  const { uid, scheduledMs, readyChangedMs: readyMs, restarted } = pod
  if (restarted || scheduledMs === undefined || readyMs === undefined) return undefined
  return { pod: uid, ms: readyMs - scheduledMs, readyMs, witnessed }
}
