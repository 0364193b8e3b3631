import type { LagGroupConfig } from './groupConfig.ts'

/** Offsets of a partition as one poll found them. */
export interface Offsets {
  /** The first that is not deleted. */
  readonly earliest: number
  /** The one that the next message gets, or the end of what a reader of committed messages sees. */
  readonly end: number
  /** Of the group; undefined where it never committed, or its commit expired. */
  readonly committed: number | undefined
}

/**
 * How the place was found at which the group reads on: it committed it; it committed none and the declared policy
 * says; or it committed one that lies beyond the end, so that its consumers begin where the policy says.
 */
export type Basis = 'committed' | 'no-commit' | 'beyond-end'

export interface Observed {
  readonly basis: Basis
  /** Offset of the next message to be consumed; undefined where the policy is not to guess. */
  readonly next: number | undefined
  /** Offsets from there to the end. */
  readonly lag: number | undefined
}

/** What is kept of one partition of a group from poll to poll. */
export class PartitionMemory {
  /** When it was first seen; the counters began at 0 then. */
  readonly sinceMs: number
  #produced = 0
  #consumed = 0
  #end: number | undefined
  #committed: number | undefined
  #unmoved = 0

  constructor(sinceMs: number) {
    this.sinceMs = sinceMs
  }

  /** Messages produced since; only grows, whatever becomes of the topic. */
  get produced(): number {
    return this.#produced
  }

  /** Messages consumed since; only grows, however often the group goes back. */
  get consumed(): number {
    return this.#consumed
  }

  /** Polls in a row, with somebody consuming, in which the committed offset stood still in spite of a lag. */
  get unmoved(): number {
    return this.#unmoved
  }

  /**
   * @param seen.remade The topic is another than at the last poll: it was deleted and made again.
   * @param seen.consuming False while the group has no members or is distributing its partitions.
   */
  observe(
    offsets: Offsets,
    policy: Pick<LagGroupConfig, 'noCommit' | 'isolation'>,
    seen: { readonly remade: boolean; readonly consuming: boolean },
  ): Observed {
    const { end, committed } = offsets
    if (seen.remade) this.#committed = undefined
    const stands = committed === this.#committed
    // One request may see a commit that is younger than the end another saw: only one that stays is beyond it.
    // What a reader of uncommitted messages committed may well lie beyond the end of the committed ones.
    const beyond =
      committed !== undefined &&
      committed > end &&
      stands &&
      policy.isolation === 'read-uncommitted'
    const observed = positionOf(offsets, policy.noCommit, beyond)

    // A topic made anew begins at 0: all that is in it came since the last poll.
    if (this.#end !== undefined) this.#produced += seen.remade ? end : Math.max(0, end - this.#end)
    if (committed !== undefined && this.#committed !== undefined)
      this.#consumed += Math.max(0, committed - this.#committed)
    const known = this.#end !== undefined
    if (!known || !stands || observed.lag === undefined || observed.lag === 0) this.#unmoved = 0
    else if (seen.consuming) this.#unmoved += 1
    this.#end = end
    this.#committed = committed
    return observed
  }
}

function positionOf(
  { earliest, end, committed }: Offsets,
  noCommit: LagGroupConfig['noCommit'],
  beyond: boolean,
): Observed {
  if (committed !== undefined && !beyond) {
    const next = Math.max(committed, earliest)
    return { basis: 'committed', next, lag: Math.max(0, end - next) }
  }
  const basis = beyond ? 'beyond-end' : 'no-commit'
  switch (noCommit) {
    case 'earliest':
      return { basis, next: earliest, lag: Math.max(0, end - earliest) }
    case 'latest':
      return { basis, next: end, lag: 0 }
    case 'ignore':
      return { basis, next: undefined, lag: undefined }
    default:
      return noCommit satisfies never
  }
}
