import type { Labels, Target } from '../../src/model.ts'
import type {
  Component,
  PodQuery,
  PodSelection,
  PodStartUp,
  StartUpWatch,
  TargetDiscovery,
} from '../../src/ports.ts'
import { messageOf, TidelineError } from '../../src/errors.ts'
import type { DirectoryPod, LabelSelector, PodDirectory } from '../metrics-api/ports.ts'
import { podOf } from './pod.ts'
import type { Pod } from './pod.ts'
import { PodStarts } from './podStarts.ts'
import { watchCollection } from './watch.ts'
import type { KubeObject, WatchDeps } from './watch.ts'

export interface PodWatchDeps extends WatchDeps {
  /** Empty: all namespaces, by one watch; else one watch for each. */
  readonly namespaces: readonly string[]
  /** Compiles a label selector; throws what it likes for one that does not parse. */
  readonly compileSelector: (text: string) => (labels: Labels) => boolean
}

const DEBOUNCE_MS = 100
/** A watch that fails for longer than this no longer counts as knowing the pods. */
const TROUBLE_MS = 120_000
const SELECTIONS_MAX = 1_000

/** The pods of one namespace. `version` changes when a name, uid or label set does. */
interface Namespace {
  readonly pods: Map<string, Pod>
  version: number
}

/** One scope is one watch: all namespaces (`''`) or one of them. */
interface Scope {
  listed: boolean
  trouble: string | undefined
  troubleSinceMs: number
}

interface Selected {
  readonly version: number
  readonly pods: readonly DirectoryPod[]
}

/** Follows the pods of the cluster and tells sources of their targets and the metrics API of their labels. */
export class PodWatch implements Component, TargetDiscovery, StartUpWatch, PodDirectory {
  readonly #deps: PodWatchDeps
  readonly #namespaces = new Map<string, Namespace>()
  readonly #scopes = new Map<string, Scope>()
  readonly #selections = new Map<string, Selected>()
  readonly #subscribers = new Set<() => void>()
  readonly #starts = new PodStarts()

  constructor(deps: PodWatchDeps) {
    this.#deps = deps
    for (const name of deps.namespaces.length === 0 ? [''] : new Set(deps.namespaces))
      this.#scopes.set(name, { listed: false, trouble: undefined, troubleSinceMs: 0 })
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#scopes].map(([name, scope]) => this.#follow(name, scope, signal)))
  }

  notSynced(): string | undefined {
    for (const [name, scope] of this.#scopes) {
      const what = name === '' ? 'the pods' : `the pods of namespace ${name}`
      if (!scope.listed) return `${what} are not known yet: ${scope.trouble ?? 'being listed'}`
      const troubledMs = this.#deps.clock.monotonicMs() - scope.troubleSinceMs
      if (scope.trouble !== undefined && troubledMs > TROUBLE_MS)
        return `${what} are not known any more, the watch has failed for ${Math.round(troubledMs / 1_000)} s: ${scope.trouble}`
    }
    return undefined
  }

  matching(namespace: string, selector: LabelSelector): readonly DirectoryPod[] {
    const known = this.#namespaces.get(namespace)
    if (known === undefined) return []
    const key = `${namespace}\n${selector.text}`
    const selected = this.#selections.get(key)
    if (selected?.version === known.version) return selected.pods
    const pods = [...known.pods.values()].filter((pod) => selector.matches(pod.labels))
    if (this.#selections.size >= SELECTIONS_MAX) this.#selections.clear()
    this.#selections.set(key, { version: known.version, pods })
    return pods
  }

  get(namespace: string, name: string): Pod | undefined {
    return this.#namespaces.get(namespace)?.pods.get(name)
  }

  /** Rejects with `TidelineError` `not-configured` for a selector that does not parse. */
  async watch(
    query: PodQuery,
    publish: (targets: readonly Target[]) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const matches = this.#compile(query.labelSelector)
    let published = ''
    // Pods that match and lack the port: told when there come to be any, not at each change.
    let portless = 0
    let wake = () => {}
    let dirty = true
    const changed = () => {
      dirty = true
      wake()
    }
    this.#subscribers.add(changed)
    signal.addEventListener('abort', changed, { once: true })
    try {
      while (!signal.aborted) {
        if (dirty && this.#listed(query.namespace)) {
          dirty = false
          const { targets, withoutPort } = this.#targets(query, matches)
          if (withoutPort > 0 && portless === 0)
            this.#deps.log.warn('pods-without-port', { ...query, pods: withoutPort })
          portless = withoutPort
          const text = JSON.stringify(targets)
          if (text !== published) publish(targets)
          published = text
          // Pods change in bursts; one publication for each is enough.
          await this.#deps.clock.sleep(DEBOUNCE_MS, signal)
        } else {
          dirty = false
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    } finally {
      this.#subscribers.delete(changed)
      signal.removeEventListener('abort', changed)
    }
  }

  /** Rejects as `watch` does. */
  async watchStartUps(
    { namespace, labelSelector }: PodSelection,
    told: (startUp: PodStartUp) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const matches = this.#compile(labelSelector)
    if (signal.aborted) return
    const end = this.#starts.listen({ namespace, matches, told })
    await new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    )
    end()
  }

  #compile(selector: string): (labels: Labels) => boolean {
    try {
      return this.#deps.compileSelector(selector)
    } catch (error) {
      throw new TidelineError(
        'not-configured',
        `label selector “${selector}”: ${messageOf(error)}`,
        error,
      )
    }
  }

  /** Whether all pods that a query could find have been listed once. */
  #listed(namespace: string | undefined): boolean {
    if (namespace !== undefined) {
      const scope = this.#scopes.get(namespace) ?? this.#scopes.get('')
      return scope?.listed === true
    }
    return [...this.#scopes.values()].every((scope) => scope.listed)
  }

  #targets(query: PodQuery, matches: (labels: Labels) => boolean) {
    const namespaces =
      query.namespace === undefined ? [...this.#namespaces.keys()] : [query.namespace]
    const pods = namespaces
      .flatMap((name) => [...(this.#namespaces.get(name)?.pods.values() ?? [])])
      .filter((pod) => serving(pod) && matches(pod.labels))
    const targets = pods.flatMap((pod) => targetOf(pod, query))
    return {
      targets: targets.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      withoutPort: pods.length - targets.length,
    }
  }

  async #follow(name: string, scope: Scope, signal: AbortSignal): Promise<void> {
    const path = name === '' ? '/api/v1/pods' : `/api/v1/namespaces/${name}/pods`
    // What an earlier run knew may be long past.
    scope.listed = false
    const receiver = {
      replace: (objects: readonly KubeObject[]) => {
        this.#replace(name, objects.map(podOf))
        scope.listed = true
        this.#notify()
      },
      put: (object: KubeObject) => {
        this.#put(podOf(object), false)
        this.#notify()
      },
      remove: (object: KubeObject) => {
        this.#remove(podOf(object))
        this.#notify()
      },
      trouble: (message: string | undefined) => {
        if (scope.trouble === undefined) scope.troubleSinceMs = this.#deps.clock.monotonicMs()
        scope.trouble = message
      },
    }
    await watchCollection({ path }, receiver, this.#deps, signal)
  }

  #replace(scope: string, pods: readonly Pod[]): void {
    const present = new Set(pods.map((pod) => `${pod.namespace}/${pod.name}`))
    for (const [name, namespace] of this.#namespaces) {
      if (scope !== '' && scope !== name) continue
      for (const pod of namespace.pods.values())
        if (!present.has(`${name}/${pod.name}`)) this.#remove(pod)
    }
    for (const pod of pods) this.#put(pod, true)
  }

  #put(pod: Pod, listed: boolean): void {
    let namespace = this.#namespaces.get(pod.namespace)
    if (namespace === undefined) {
      namespace = { pods: new Map(), version: 0 }
      this.#namespaces.set(pod.namespace, namespace)
    }
    const before = namespace.pods.get(pod.name)
    if (before !== undefined && before.uid !== pod.uid) this.#starts.remove(before)
    this.#starts.put(pod, listed)
    namespace.pods.set(pod.name, pod)
    if (before?.uid !== pod.uid || JSON.stringify(before.labels) !== JSON.stringify(pod.labels))
      namespace.version += 1
  }

  #remove(pod: Pod): void {
    this.#starts.remove(pod)
    const namespace = this.#namespaces.get(pod.namespace)
    if (namespace?.pods.delete(pod.name) === true) namespace.version += 1
  }

  #notify(): void {
    for (const changed of this.#subscribers) changed()
  }
}

/** A pod that is worth asking: it answers requests and is to go on doing so. */
function serving(pod: Pod): boolean {
  return pod.ready && !pod.deleting && pod.phase === 'Running' && pod.ip !== undefined
}

/** No target where the pod has no port of the name asked for. */
function targetOf(pod: Pod, query: PodQuery): readonly Target[] {
  const port =
    typeof query.port === 'number'
      ? query.port
      : pod.ports.find(({ name }) => name === query.port)?.port
  if (port === undefined || pod.ip === undefined) return []
  const host = pod.ip.includes(':') ? `[${pod.ip}]` : pod.ip
  const path = query.path.startsWith('/') ? query.path : `/${query.path}`
  return [
    {
      id: `${pod.namespace}/${pod.name}`,
      url: `${query.scheme}://${host}:${port}${path}`,
      labels: { namespace: pod.namespace, pod: pod.name },
    },
  ]
}
