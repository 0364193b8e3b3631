import type { SeriesView } from '../src/ports.ts'
import type { DirectoryPod, PodDirectory } from './metrics-api/ports.ts'

/**
 * Pods without a cluster: the scrape targets themselves. A scrape writes `up` with the labels of its target,
 * and those that name a namespace and a pod stand for one. A target's labels serve as the pod's.
 */
export function standalonePods(view: SeriesView, sources: () => readonly string[]): PodDirectory {
  let generation = -1
  let byNamespace = new Map<string, Map<string, DirectoryPod>>()

  function pods(namespace: string): ReadonlyMap<string, DirectoryPod> {
    if (generation !== view.generation) {
      byNamespace = collect(view, sources())
      generation = view.generation
    }
    return byNamespace.get(namespace) ?? new Map<string, DirectoryPod>()
  }

  return {
    notSynced: () => undefined,
    matching: (namespace, selector) =>
      [...pods(namespace).values()].filter((pod) => selector.matches(pod.labels)),
    get: (namespace, name) => pods(namespace).get(name),
  }
}

function collect(
  view: SeriesView,
  sources: readonly string[],
): Map<string, Map<string, DirectoryPod>> {
  const byNamespace = new Map<string, Map<string, DirectoryPod>>()
  for (const source of sources) {
    for (const { labels } of view.select({ source, metric: 'up', matchers: [] })) {
      const { namespace, pod } = labels
      if (namespace === undefined || pod === undefined) continue
      const known = byNamespace.get(namespace) ?? new Map<string, DirectoryPod>()
      byNamespace.set(namespace, known.set(pod, { name: pod, labels }))
    }
  }
  return byNamespace
}
