/**
 * The decision of the HorizontalPodAutoscaler of Kubernetes 1.36 for one external metric with a target for each
 * replica (`replica_calculator.go`, `horizontal.go`): tolerance, stabilization, scaling policies. Times are in
 * seconds; nothing here reads a clock.
 */
export interface ScalingPolicy {
  readonly type: 'Pods' | 'Percent'
  readonly value: number
  readonly periodSeconds: number
}
export interface ScalingRules {
  readonly select: 'Max' | 'Min' | 'Disabled'
  readonly policies: readonly ScalingPolicy[]
}
export interface HpaSettings {
  /** Load that one replica should have. */
  readonly target: number
  readonly minReplicas: number
  readonly maxReplicas: number
  readonly tolerance: number
  readonly up: ScalingRules
  readonly down: ScalingRules
  readonly upWindowSeconds: number
}

/** What the API server fills in where an HPA names no behaviour; the window of scale-down is 300 s there. */
export const DEFAULT_BEHAVIOR: Pick<HpaSettings, 'up' | 'down' | 'upWindowSeconds' | 'tolerance'> =
  {
    up: {
      select: 'Max',
      policies: [
        { type: 'Pods', value: 4, periodSeconds: 15 },
        { type: 'Percent', value: 100, periodSeconds: 15 },
      ],
    },
    down: { select: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] },
    upWindowSeconds: 0,
    tolerance: 0.1,
  }

const MAX_INT32 = 2_147_483_647

/** Replicas that were added (or removed) at a time, oldest first. */
export interface ScaleEvent {
  readonly at: number
  readonly change: number
}

/** Replicas for a usage; within the tolerance those there are. */
export function recommend(
  usage: number,
  target: number,
  replicas: number,
  tolerance: number,
): number {
  const ratio = usage / (target * replicas)
  if (1 - tolerance <= ratio && ratio <= 1 + tolerance) return replicas
  return Math.min(MAX_INT32, Math.ceil(usage / target))
}

/** What scale events leave of a period: those strictly after its beginning count. */
function changeSince(events: readonly ScaleEvent[], cutoff: number): number {
  let sum = 0
  for (let at = events.length - 1; at >= 0; at--) {
    const event = events[at]
    if (event === undefined || event.at <= cutoff) break
    sum += event.change
  }
  return sum
}

/** Most replicas (`up`) or fewest (`down`) that the policies allow now. */
export function scaleLimit(
  direction: 'up' | 'down',
  replicas: number,
  rules: ScalingRules,
  history: {
    readonly ups: readonly ScaleEvent[]
    readonly downs: readonly ScaleEvent[]
    readonly now: number
  },
): number {
  if (rules.select === 'Disabled') return replicas
  const up = direction === 'up'
  const greatest = up === (rules.select === 'Max')
  let limit = greatest ? -Infinity : Infinity
  for (const { type, value, periodSeconds } of rules.policies) {
    const cutoff = history.now - periodSeconds
    const start = replicas - changeSince(history.ups, cutoff) + changeSince(history.downs, cutoff)
    const proposed =
      type === 'Pods'
        ? start + (up ? value : -value)
        : up
          ? Math.ceil(start * (1 + value / 100))
          : Math.trunc(start * (1 - value / 100))
    limit = greatest ? Math.max(limit, proposed) : Math.min(limit, proposed)
  }
  return limit
}

/** One HPA over time. The list of recommendations reuses slots that both windows have left, as the original. */
export class Hpa {
  readonly #settings: HpaSettings
  readonly #values: number[]
  readonly #times: number[] = [0]
  readonly #ups: ScaleEvent[] = []
  readonly #downs: ScaleEvent[] = []
  #replicas: number

  constructor(settings: HpaSettings, replicas: number) {
    this.#settings = settings
    this.#replicas = replicas
    this.#values = [replicas]
  }

  get replicas(): number {
    return this.#replicas
  }

  /** One sync at `now`: the change of the number of replicas. */
  sync(usage: number, now: number, downWindowSeconds: number): number {
    const { target, tolerance, minReplicas, maxReplicas, up, down } = this.#settings
    const current = this.#replicas
    const raw = recommend(Math.max(usage, 0), target, Math.max(current, 1), tolerance)
    let desired = this.#stabilize(raw, now, downWindowSeconds)
    const history = { ups: this.#ups, downs: this.#downs, now }
    if (desired > current) {
      const limit = Math.max(current, scaleLimit('up', current, up, history))
      desired = Math.min(desired, maxReplicas, limit)
    } else if (desired < current) {
      const limit = Math.min(current, scaleLimit('down', current, down, history))
      desired = Math.max(desired, minReplicas, limit)
    }
    desired = Math.max(minReplicas, Math.min(maxReplicas, desired))
    const change = desired - current
    if (change > 0) this.#ups.push({ at: now, change })
    else if (change < 0) this.#downs.push({ at: now, change: -change })
    this.#replicas = desired
    return change
  }

  #stabilize(raw: number, now: number, downWindowSeconds: number): number {
    const upCutoff = now - this.#settings.upWindowSeconds
    const downCutoff = now - downWindowSeconds
    let least = raw
    let most = raw
    let free = -1
    for (let at = 0; at < this.#times.length; at++) {
      const time = this.#times[at] ?? 0
      const value = this.#values[at] ?? 0
      if (time > upCutoff) least = Math.min(value, least)
      if (time > downCutoff) most = Math.max(value, most)
      if (time < upCutoff && time < downCutoff) free = at
    }
    if (free < 0) free = this.#times.length
    this.#values[free] = raw
    this.#times[free] = now
    return Math.min(most, Math.max(least, this.#replicas))
  }
}
