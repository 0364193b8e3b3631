/** What a policy costs: an HPA over a load, with pods that take time to start and a queue before them. */
import { DEFAULT_BEHAVIOR, Hpa } from './hpa.ts'

/** The pace of an HPA's syncs. */
export const SYNC_S = 15
/** A scale-up within ten minutes of a scale-down is a flap. */
const FLAP_S = 600

export interface Service {
  /** Load that one replica serves. */
  readonly capacity: number
  readonly startDelaySeconds: number
  readonly metricDelaySeconds: number
  /** A unit of work that waits longer violates. */
  readonly sloWaitSeconds: number
  /** What would wait longer is dropped, and violates. */
  readonly queueSeconds: number
  readonly minReplicas: number
  readonly maxReplicas: number
  /** 1 for each sync that is counted. */
  readonly counted: Uint8Array
}

export interface Cost {
  readonly target: number
  readonly replicaHours: number
  /** Share of the work that waited too long or was dropped. */
  readonly violations: number
  readonly flapsPerDay: number
}

/**
 * `load` and `exposed` are on the grid of syncs: entry k is of the 15 s that end at sync k. `windowSeconds` is the
 * HPA's own, at each sync where it changes. `target` is the utilisation aimed at.
 */
export function costOf(
  load: Float64Array,
  exposed: Float64Array,
  windowSeconds: number | Float64Array,
  run: {
    readonly service: Service
    readonly target: number
    readonly sees?: (total: number, ready: number) => void
  },
): Cost {
  const { service, target, sees } = run
  const { capacity, minReplicas, maxReplicas, counted } = service
  const startSyncs = Math.ceil(service.startDelaySeconds / SYNC_S)
  const lag = Math.round(service.metricDelaySeconds / SYNC_S)
  const first = load.subarray(0, 4)
  const wanted = Math.ceil(first.reduce((a, b) => a + b, 0) / first.length / (capacity * 0.7))
  const replicas = Math.max(minReplicas, Math.min(maxReplicas, wanted))
  const hpa = new Hpa(
    { ...DEFAULT_BEHAVIOR, target: capacity * target, minReplicas, maxReplicas },
    replicas,
  )
  const pods = new Pods(replicas, startSyncs)
  const account = new Account(service)
  const flaps = new Flaps()
  for (let k = 0; k < load.length; k++) {
    pods.begin(k)
    sees?.(hpa.replicas, pods.ready)
    account.serve(load[k] ?? 0, pods.ready, hpa.replicas, counted[k] === 1)
    if (k < lag) continue
    const now = (k + 1) * SYNC_S
    const window = typeof windowSeconds === 'number' ? windowSeconds : (windowSeconds[k - lag] ?? 0)
    const change = hpa.sync(exposed[k - lag] ?? 0, now, window)
    pods.change(k, change)
    if (counted[k] === 1) flaps.see(change, now)
  }
  const days = Math.max((counted.reduce((a, b) => a + b, 0) * SYNC_S) / 86_400, 1e-9)
  return { target, ...account.cost(), flapsPerDay: flaps.count / days }
}

/** Cost of a number of replicas that never changes. */
export function costOfConstant(load: Float64Array, replicas: number, service: Service): Cost {
  const account = new Account(service)
  for (let k = 0; k < load.length; k++)
    account.serve(load[k] ?? 0, replicas, replicas, service.counted[k] === 1)
  return { target: NaN, ...account.cost(), flapsPerDay: 0 }
}

/** Pods that serve, and those ordered; those not yet ready go first, the newest before the older. */
class Pods {
  ready: number
  readonly #starting: Int32Array
  readonly #startSyncs: number

  constructor(ready: number, startSyncs: number) {
    this.ready = ready
    this.#startSyncs = startSyncs
    this.#starting = new Int32Array(startSyncs + 2)
  }

  begin(k: number): void {
    const at = k % this.#starting.length
    this.ready += this.#starting[at] ?? 0
    this.#starting[at] = 0
  }

  change(k: number, by: number): void {
    const starting = this.#starting
    const newest = k + 1 + this.#startSyncs
    if (by > 0) starting[newest % starting.length] = (starting[newest % starting.length] ?? 0) + by
    let left = -by
    for (let q = newest; q > k && left > 0; q--) {
      const at = q % starting.length
      const gone = Math.min(left, starting[at] ?? 0)
      starting[at] = (starting[at] ?? 0) - gone
      left -= gone
    }
    if (left > 0) this.ready -= left
  }
}

/** Fluid queue, first in, first out. */
class Account {
  readonly #service: Service
  #queue = 0
  #arrived = 0
  #violated = 0
  #seconds = 0

  constructor(service: Service) {
    this.#service = service
  }

  serve(load: number, ready: number, total: number, counted: boolean): void {
    const { capacity, sloWaitSeconds: slo, queueSeconds } = this.#service
    const work = load * SYNC_S
    const pace = Math.max(ready, 0) * capacity
    const before = this.#queue
    const queue = Math.max(0, before + work - pace * SYNC_S)
    const most = queueSeconds * pace
    const dropped = Math.max(0, queue - most)
    this.#queue = Math.min(queue, most)
    if (!counted) return
    const waitBefore = pace > 0 ? before / pace : queueSeconds
    const waitAfter = pace > 0 ? this.#queue / pace : queueSeconds
    const least = Math.min(waitBefore, waitAfter)
    const longest = Math.max(waitBefore, waitAfter)
    const late = longest <= slo ? 0 : least >= slo ? 1 : (longest - slo) / (longest - least)
    this.#arrived += work
    this.#violated += Math.min(work, dropped) + late * Math.max(work - dropped, 0)
    this.#seconds += total * SYNC_S
  }

  cost(): { replicaHours: number; violations: number } {
    const violations = this.#arrived > 0 ? this.#violated / this.#arrived : 0
    return { replicaHours: this.#seconds / 3600, violations }
  }
}

class Flaps {
  count = 0
  #up = -Infinity
  #down = -Infinity

  see(change: number, now: number): void {
    if (change > 0) {
      if (now - this.#down < FLAP_S && this.#down >= this.#up) this.count++
      this.#up = now
    } else if (change < 0) this.#down = now
  }
}
