/** Policies side by side: the frontier of replica-hours against violations that each draws, and where it stands. */
import type { Cost, Service } from './fleet.ts'
import type { Gap } from './gaps.ts'
import type { TraceRow } from './replay.ts'
import { costOf, costOfConstant, SYNC_S } from './fleet.ts'
import { firstInterval } from './gaps.ts'

const TARGETS = [
  0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
  1, 1.05, 1.1, 1.2, 1.3, 1.45, 1.6, 1.8, 2,
]
/** The usual target, at which the HPA's default sets the violations that others are held to. */
const USUAL = 0.7
const DAY_SYNCS = 86_400 / SYNC_S

/** Mean rate of each 15 s; rows hold until their end. */
export function onGrid(rows: readonly TraceRow[]): Float64Array {
  const begin = beginOf(rows)
  const last = rows.at(-1)?.seconds ?? begin
  const grid = new Float64Array(Math.floor((last - begin) / SYNC_S))
  let row = 0
  let from = 0
  let sum = 0
  let before = 0
  for (let k = 0; k < grid.length; k++) {
    const end = (k + 1) * SYNC_S
    for (; row < rows.length && (rows[row]?.seconds ?? 0) - begin <= end; row++) {
      const to = (rows[row]?.seconds ?? 0) - begin
      sum += (rows[row]?.value ?? 0) * (to - from)
      from = to
    }
    const reached = sum + (rows[row]?.value ?? 0) * (end - from)
    grid[k] = (reached - before) / SYNC_S
    before = reached
  }
  return grid
}

/** The newest value known at each sync; before the first row the first. */
export function knownOnGrid(rows: readonly TraceRow[], values: readonly number[]): Float64Array {
  const begin = beginOf(rows)
  const known = new Float64Array(Math.floor(((rows.at(-1)?.seconds ?? begin) - begin) / SYNC_S))
  let row = 0
  for (let k = 0; k < known.length; k++) {
    const now = begin + (k + 1) * SYNC_S
    while (row + 1 < rows.length && (rows[row + 1]?.seconds ?? Infinity) <= now + 1e-6) row++
    known[k] = values[row] ?? 0
  }
  return known
}

function beginOf(rows: readonly TraceRow[]): number {
  return (rows[0]?.seconds ?? NaN) - firstInterval(rows)
}

/** 1 for each sync that has a part of a gap. */
export function unknownOnGrid(rows: readonly TraceRow[], gaps: readonly Gap[]): Uint8Array {
  const begin = beginOf(rows)
  const last = rows.at(-1)?.seconds ?? begin
  const unknown = new Uint8Array(Math.floor((last - begin) / SYNC_S))
  for (const { fromSeconds, toSeconds } of gaps)
    unknown.fill(
      1,
      Math.floor((fromSeconds - begin) / SYNC_S),
      Math.ceil((toSeconds - begin) / SYNC_S),
    )
  return unknown
}

/** A replica of such a size that the 99.5 % point of the 1-minute load needs twenty. */
export function assumedCapacity(load: Float64Array): number {
  const sorted = minuteMean(load).sort()
  const at = 0.995 * (sorted.length - 1)
  const low = sorted[Math.floor(at)] ?? 0
  const high = sorted[Math.ceil(at)] ?? low
  return (low + (high - low) * (at - Math.floor(at))) / 20
}

/** Ten minutes. */
const SETTLING_SYNCS = 40

/** What is counted: not the beginning, no gap, and not ten minutes after one, until the fleet is as the load is. */
export function countedOf(unknown: Uint8Array): Uint8Array {
  const counted = new Uint8Array(unknown.length)
  let settled = uncountedOf(unknown.length)
  for (let k = 0; k < counted.length; k++) {
    if (unknown[k] === 1) settled = Math.max(settled, k + 1 + SETTLING_SYNCS)
    if (k >= settled) counted[k] = 1
  }
  return counted
}

/** Long recordings begin with days to learn from, short ones with ten minutes. */
function uncountedOf(syncs: number): number {
  if (syncs >= 8 * DAY_SYNCS) return 3 * DAY_SYNCS
  if (syncs >= 1.5 * DAY_SYNCS) return DAY_SYNCS
  return Math.min(SETTLING_SYNCS, Math.floor(syncs / 4))
}

export function minuteMean(load: Float64Array): Float64Array {
  const sums = new Float64Array(load.length + 1)
  for (let k = 0; k < load.length; k++) sums[k + 1] = (sums[k] ?? 0) + (load[k] ?? 0)
  return load.map((_, k) => {
    const from = Math.max(0, k - 3)
    return ((sums[k + 1] ?? 0) - (sums[from] ?? 0)) / (k + 1 - from)
  })
}

export interface Standing {
  readonly name: string
  /** At the usual target of 70 %. */
  readonly usual: Cost
  /** Replica-hours and flaps where violations are as many as the HPA's default has at 70 %; NaN: never so few. */
  readonly equal: { readonly replicaHours: number; readonly flapsPerDay: number }
}

/** What a policy makes of a load, at each sync. */
export interface Answers {
  readonly exposed: Float64Array
  /** The HPA's own window. */
  readonly windowSeconds: Float64Array
}

/** The HPA's default (300 s on the 1-minute rate) comes first. */
export function compare(
  load: Float64Array,
  policies: ReadonlyMap<string, Answers>,
  service: Service,
): readonly Standing[] {
  const sweep = (exposed: Float64Array, windowSeconds: number | Float64Array) =>
    TARGETS.map((target) => costOf(load, exposed, windowSeconds, { service, target }))
  const constants = constantFleets(load, service)
  const swept = new Map([['HPA default', sweep(minuteMean(load), 300)]])
  for (const [name, { exposed, windowSeconds }] of policies)
    swept.set(name, sweep(exposed, windowSeconds))
  const standard = swept.get('HPA default')?.find(isUsual)?.violations ?? 0
  const allowed = Math.min(0.05, Math.max(0.001, standard))
  return [...swept].flatMap(([name, costs]) => {
    const usual = costs.find(isUsual)
    return usual === undefined
      ? []
      : [{ name, usual, equal: atViolations([...costs, ...constants], allowed) }]
  })
}

function isUsual({ target }: Cost): boolean {
  return target === USUAL
}

function constantFleets(load: Float64Array, service: Service): readonly Cost[] {
  const peak = load.reduce((a, b) => Math.max(a, b), 0)
  const most = Math.min(service.maxReplicas, Math.ceil(peak / service.capacity) + 2)
  return Array.from({ length: most }, (_, at) => costOfConstant(load, at + 1, service))
}

/** Along the lower envelope, linear in the logarithm of the violations. */
function atViolations(costs: readonly Cost[], allowed: number): Standing['equal'] {
  const points = costs
    .map((cost) => ({ ...cost, violations: Math.max(cost.violations, 1e-7) }))
    .sort((a, b) => a.replicaHours - b.replicaHours || a.violations - b.violations)
  let above: Cost | undefined
  for (const point of points) {
    if (above !== undefined && point.violations >= above.violations) continue
    if (point.violations <= allowed) {
      if (above === undefined) return point
      const whole = Math.log(above.violations / point.violations)
      const part = Math.log(above.violations / allowed) / whole
      return {
        replicaHours: above.replicaHours + part * (point.replicaHours - above.replicaHours),
        flapsPerDay: above.flapsPerDay + part * (point.flapsPerDay - above.flapsPerDay),
      }
    }
    above = point
  }
  return { replicaHours: NaN, flapsPerDay: NaN }
}
