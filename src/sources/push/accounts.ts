import type { PushInlet, PushReport, SourceDeps } from '../../ports.ts'
import { beginAnew } from './process.ts'
import type { Processes } from './process.ts'
import { Sequences } from './sequences.ts'

/** Processes of one pod that report within `maxAge`. */
export const INSTANCES_MAX = 16

interface Instance {
  readonly sequences: Sequences
  heardMs: number
}

type Instances = Map<string, Instance>

/** What was counted of one pod: reports by instance, measurements by process. */
export interface Account {
  readonly instances: Instances
  readonly processes: Processes
}

interface Ledger {
  readonly source: string
  readonly accounts: Map<string, Account>
}

/**
 * What was counted, by pod. A source that was only changed keeps its series, so its next life must know which
 * reports are in them; what the two have in common is where the reports come in, and the name.
 */
const ledgers = new WeakMap<PushInlet, Ledger>()

/** The accounts of a source that begins. */
export function accountsOf({
  pushed,
  name,
}: Pick<SourceDeps, 'pushed' | 'name'>): Map<string, Account> {
  const known = pushed === undefined ? undefined : ledgers.get(pushed)
  const ledger = known?.source === name ? known : { source: name, accounts: new Map() }
  if (pushed !== undefined) ledgers.set(pushed, ledger)
  for (const { processes } of ledger.accounts.values()) beginAnew(processes)
  return ledger.accounts
}

/** That of a report, heard now; undefined where there are too many others within `keepMs`. */
export function instanceOf(
  instances: Instances,
  { instance: name }: PushReport,
  heardMs: number,
  keepMs: number,
): Instance | undefined {
  const known = instances.get(name)
  if (known !== undefined) {
    known.heardMs = heardMs
    return known
  }
  forgetInstances(instances, heardMs, keepMs)
  if (instances.size >= INSTANCES_MAX) return undefined
  const made = { sequences: new Sequences(), heardMs }
  instances.set(name, made)
  return made
}

export function forgetInstances(instances: Instances, nowMs: number, keepMs: number): void {
  for (const [name, { heardMs }] of instances) if (nowMs - heardMs > keepMs) instances.delete(name)
}
