import type { Labels } from '../model.ts'

/**
 * Whose the samples of a target are:
 * - `target`: the target's own (its pod serves numbers about itself);
 * - `metric`: that of the pod which each series names (an exporter serves numbers about other pods).
 */
export type Attribution = 'target' | 'metric'

type Exposed = readonly (readonly [string, string])[]

/** Makes the final labels of a target's series from those exposed. Made once for a target. */
export function targetLabels(
  target: Labels,
  rules: { readonly honorLabels: boolean; readonly attribution: Attribution },
): (exposed: Exposed) => Labels {
  return rules.attribution === 'metric'
    ? (exposed) => attributed(target, exposed)
    : (exposed) => joined(target, exposed, rules.honorLabels)
}

/** As Prometheus does: where both have a label, the target's wins and the exposed one is kept as `exported_`. */
function joined(target: Labels, exposed: Exposed, honorLabels: boolean): Labels {
  const labels = new Map(Object.entries(target))
  for (const [name, value] of exposed) {
    if (honorLabels || !Object.hasOwn(target, name)) labels.set(name, value)
    else labels.set(freeName(`exported_${name}`, labels, exposed), value)
  }
  return frozen(labels)
}

function freeName(wanted: string, labels: ReadonlyMap<string, string>, exposed: Exposed): string {
  let name = wanted
  while (labels.has(name) || exposed.some(([key]) => key === name)) name = `exported_${name}`
  return name
}

const ATTRIBUTION = ['namespace', 'pod', 'container'] as const

/**
 * The exporter's own pod is told as `exporter_pod`; `pod`, `namespace` and `container` are those that the series
 * names, under either spelling. A series that names no pod has none: it is unattributed, not the exporter's.
 */
function attributed(target: Labels, exposed: Exposed): Labels {
  const labels = new Map<string, string>()
  for (const [name, value] of Object.entries(target))
    labels.set(isAttribution(name) ? `exporter_${name}` : name, value)
  for (const [name, value] of exposed) labels.set(name, value)
  for (const name of ATTRIBUTION) {
    const exported = labels.get(`exported_${name}`)
    if (exported === undefined) continue
    labels.delete(`exported_${name}`)
    labels.set(name, exported)
  }
  // A namespace or container without a pod is the exporter's own, added on its way by a relabelling.
  if (!labels.has('pod')) for (const name of ATTRIBUTION) labels.delete(name)
  return frozen(labels)
}

function isAttribution(name: string): boolean {
  return ATTRIBUTION.some((each) => each === name)
}

/** Sorted, so that the order in which a target writes its labels says nothing. */
function frozen(labels: ReadonlyMap<string, string>): Labels {
  const entries = [...labels].filter(([, value]) => value !== '')
  return Object.freeze(Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))))
}
