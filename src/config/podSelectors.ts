/** Label selectors of pods: whether they parse, and whose start-ups a signal measures. */
import type { AdapterSpec, SourceSpec } from './adapterSchema.ts'
import type { Mistake } from './compile.ts'
import type { SignalSpec } from './signalSchema.ts'

/** What only the edges can judge. */
export interface ConfigChecks {
  /** Why a label selector of pods does not parse; undefined where it does. */
  selectorProblem(text: string): string | undefined
}

export function sourceSelectorMistakes({ sources }: AdapterSpec, checks: ConfigChecks): Mistake[] {
  return sources.flatMap((source, index) =>
    (['scrape', 'push'] as const).flatMap((kind) => {
      const selector = source[kind]?.pods?.labelSelector
      const mend = selector === undefined ? undefined : checks.selectorProblem(selector)
      if (mend === undefined) return []
      return [{ path: ['sources', index, kind, 'pods', 'labelSelector'], mend }]
    }),
  )
}

/** The pods that the signal names, or those that its source finds, where it is them that the series are of. */
export function startUpSelector(spec: SignalSpec, source: SourceSpec): string | undefined {
  const named = spec.stabilize?.startUp?.pods?.labelSelector
  if (named !== undefined) return named
  const { scrape, push } = source
  if (scrape?.attribution === 'metric') return undefined
  const found = scrape?.pods?.labelSelector ?? push?.pods?.labelSelector
  // All pods there are start in all sorts of times.
  return found === '' ? undefined : found
}

/** What keeps start-ups from being measured: no selector, a wrong one, pods that are not watched. */
export function startUpPodMistakes(
  spec: SignalSpec,
  of: { readonly namespace: string; readonly source: SourceSpec },
  adapter: AdapterSpec,
  checks: ConfigChecks,
): Mistake[] {
  const startUp = spec.stabilize?.startUp
  if (startUp === undefined) return []
  const path = ['stabilize', 'startUp']
  if (startUpSelector(spec, of.source) === undefined) {
    const mend = `say which pods are scaled: source ${of.source.name} does not find them`
    return [{ path: [...path, 'pods'], mend }]
  }
  const mistakes: Mistake[] = []
  const named = startUp.pods?.labelSelector
  const wrong = named === undefined ? undefined : checks.selectorProblem(named)
  if (wrong !== undefined) mistakes.push({ path: [...path, 'pods', 'labelSelector'], mend: wrong })
  if (adapter.podNamespaces?.includes(of.namespace) === false)
    mistakes.push({
      path,
      mend: `pods of namespace ${of.namespace} are not watched: add it to podNamespaces of the MetricsAdapter`,
    })
  return mistakes
}
