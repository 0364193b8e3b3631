import type { GroupDescription } from '../client.ts'
import type { LagGroupConfig } from './groupConfig.ts'
import type { Observed } from './partition.ts'

type Policy = Pick<
  LagGroupConfig,
  'noCommit' | 'startWithoutCommit' | 'replicaLag' | 'limitTo' | 'excludeStuck' | 'rebalanceHold'
>

export interface Part extends Observed {
  readonly partition: number
  readonly stuck: boolean
}

/** A value, and what its reader should know; undefined where a part of it is not known. */
export interface Scaling {
  readonly value: number | undefined
  readonly notes: readonly string[]
}

/** The lag of a group on a topic after the declared policies, apart from the damping. */
export function scalingLag(policy: Policy, parts: readonly Part[]): Scaling {
  const known = parts.filter((part) => part.lag !== undefined)
  if (known.length === 0)
    return {
      value: undefined,
      notes: ['no partition has a committed offset, and noCommit is ignore'],
    }
  const notes: string[] = []
  const excluded = policy.excludeStuck ? known.filter((part) => part.stuck) : []
  let total = 0
  let withLag = 0
  for (const part of known) {
    if (policy.excludeStuck && part.stuck) continue
    const lag = Math.max(part.lag ?? 0, startsWith(policy, part))
    total += lag
    if (lag > 0) withLag += 1
  }
  if (excluded.length > 0) {
    notes.push(`stuck partitions are left out: ${numbers(excluded)}`)
    // Without a consumer the stuck ones could never go on, and would count again: the last one stays.
    if (total === 0) {
      total = 1
      withLag = 1
    }
  }
  const started = known.filter((part) => startsWith(policy, part) > (part.lag ?? 0))
  if (started.length > 0)
    notes.push(
      `${started.length} of ${parts.length} partitions have no committed offset and count one message each, so that a consumer starts`,
    )
  const { replicaLag, limitTo = 'partitions' } = policy
  if (replicaLag === undefined || limitTo === 'none') return { value: total, notes }
  const places = limitTo === 'partitions' ? parts.length : withLag
  const limit = replicaLag * places
  if (total > limit)
    notes.push(
      `${total} is limited to ${limit}: replicaLag ${replicaLag} for each of ${places} ${limitTo}`,
    )
  return { value: Math.min(total, limit), notes }
}

function startsWith({ noCommit, startWithoutCommit = true }: Policy, part: Part): number {
  return part.basis !== 'committed' && noCommit === 'latest' && startWithoutCommit ? 1 : 0
}

const NUMBERS_MAX = 10

/** Numbers of partitions, the first of many. */
export function numbers(parts: readonly { readonly partition: number }[]): string {
  const first = parts.slice(0, NUMBERS_MAX).map(({ partition }) => partition)
  const more = parts.length - first.length
  return first.join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/**
 * Takes no step downwards while the group distributes its partitions: nobody consumes then, commits come late,
 * and taking a consumer away would begin the next round. Ends with the rebalance, or after `holdMs`.
 */
export class RebalanceDamping {
  readonly #holdMs: number
  #last: number | undefined
  #sinceMs: number | undefined

  constructor(holdMs: number) {
    this.#holdMs = holdMs
  }

  /** `nowMs` is of a clock that does not step. */
  step(scaling: Scaling, state: GroupDescription['state'] | undefined, nowMs: number): Scaling {
    const { value, notes } = scaling
    if (state !== 'rebalancing' || value === undefined) {
      this.#sinceMs = undefined
      this.#last = value
      return scaling
    }
    this.#sinceMs ??= nowMs
    if (nowMs - this.#sinceMs >= this.#holdMs) return scaling
    const held = Math.max(this.#last ?? value, value)
    this.#last = held
    if (held === value) return scaling
    return {
      value: held,
      notes: [...notes, `held while the group rebalances; it would be ${value}`],
    }
  }
}
