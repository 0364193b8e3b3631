/** What values would have cost an autoscaler that follows them: a small replay, apart from the engine's own. */
export interface Outcome {
  /** Replica-slots for each one needed. */
  readonly paid: number
  /** Share of the work that found no free capacity within 5 s. */
  readonly violated: number
}

const START_SLOTS = 6

export function outcome(
  load: readonly number[],
  values: readonly number[],
  at: { readonly utilisation: number; readonly from: number; readonly capacity: number },
): Outcome {
  const { utilisation, from, capacity } = at
  const ordered: number[] = []
  let replicas = Math.max(1, Math.ceil((values[0] ?? 0) / capacity / utilisation))
  let queue = 0
  let paid = 0
  let work = 0
  let violated = 0
  for (const [i, rate] of load.entries()) {
    ordered.push(replicas)
    const ready = Math.min(...ordered.slice(-START_SLOTS - 1)) * capacity
    queue = Math.min(60 * ready, Math.max(0, queue + (rate - ready) * 15))
    if (i >= from) {
      work += rate
      paid += replicas * capacity
      if (queue > 5 * ready) violated += rate
    }
    const wanted = (values[i] ?? 0) / capacity / utilisation
    if (Math.abs(wanted / replicas - 1) > 0.1)
      replicas = Math.max(1, Math.min(Math.ceil(wanted), Math.max(2 * replicas, replicas + 4)))
  }
  return { paid: paid / work, violated: violated / work }
}

/** Least paid with at most `violated`, over target utilisations. */
export function paidAt(
  load: readonly number[],
  values: readonly number[],
  at: { readonly violated: number; readonly from: number; readonly capacity: number },
): number {
  const steps = Array.from({ length: 130 }, (_, i) => 0.1 + i * 0.01)
  const runs = steps.map((utilisation) => outcome(load, values, { ...at, utilisation }))
  return Math.min(...runs.filter((one) => one.violated <= at.violated).map((one) => one.paid))
}
