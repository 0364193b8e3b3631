import type { Labels, Sample } from '../../../model.ts'
import type { WindowState } from '../../../ports.ts'
import type { Bucket, Cell } from './cells.ts'
import { emptyCell, labelsOf, readBucket } from './cells.ts'
import type { Drop, Memo } from './counts.ts'
import { DROPS, KNOWN_AT, readKnown, readMemo } from './counts.ts'

export interface TotalsSettings {
  readonly topic: string
  readonly metric: string
  readonly labelNames: readonly string[]
  /** Sets of label values that are there from the start. */
  readonly expected: readonly string[]
  readonly values: readonly { readonly metric: string; readonly bounds: readonly number[] }[]
  readonly bucketMs: number
  readonly windowMs: number
  readonly forgetMs: number
}

interface Partition {
  readonly lineage: string
  readonly offset: number
  readonly throughMs: number
  readonly memo: Memo
  /** What the store still had when it was read whole begins here. */
  keptMs: number
  readonly buckets: Map<number, Bucket>
  known: ReadonlyMap<string, number>
}

/** Up to when a topic is read, and by which partition that is bounded. */
export interface Reach {
  readonly throughMs: number
  readonly partition: number
  readonly coverMs: number
  readonly overflowMs: number
}

type Column = readonly [suffix: string, labels: Labels, value: (cell: Cell) => number]

/**
 * The counts of all partitions of a topic together, as samples: for each set of label values one count for each
 * bucket, zeros too, so that a series never has a gap. Counts that change after they were told are told again as
 * differences.
 */
export class Totals {
  readonly #settings: TotalsSettings
  readonly #partitions = new Map<number, Partition>()
  readonly #totals = new Map<number, Bucket>()
  readonly #columns = new Map<string, readonly Column[]>()
  /** What was told of buckets that are told already, still to be corrected. */
  readonly #corrected = new Map<number, Bucket>()
  /** End of the last bucket that was told of each set of label values. */
  readonly #heads = new Map<string, number>()
  #headMs = -Infinity
  /** Series of this origin that are there already are not ours: they would be added to. */
  #brokenOff = true

  constructor(settings: TotalsSettings) {
    this.#settings = settings
    for (const key of settings.expected) this.#heads.set(key, -Infinity)
  }

  /** Where the next look at a partition begins. */
  since(partition: number): { readonly lineage: string; readonly offset: number } | undefined {
    return this.#partitions.get(partition)
  }

  /** Takes in what a look has brought. Counts that have gone back wait until they are where they were. */
  take(partition: number, state: WindowState & { readonly whole: boolean }): void {
    const { position, buckets, whole } = state
    const { lineage, offset, throughMs } = position
    const before = this.#partitions.get(partition)
    const goesOn = before?.lineage === lineage
    if (goesOn && offset < before.offset) return
    if (before !== undefined && !goesOn) this.breakOff()
    // It says the same as long as nothing more was read.
    const memo = goesOn && offset === before.offset ? before.memo : readMemo(position)
    const kept = before ?? { keptMs: 0, buckets: new Map(), known: new Map() }
    const of: Partition = { ...kept, lineage, offset, throughMs, memo }
    if (whole) {
      for (const startMs of of.buckets.keys()) this.#replace(of, startMs, new Map())
      of.keptMs = throughMs - this.#settings.windowMs - 2 * this.#settings.bucketMs
    }
    for (const [startMs, content] of buckets)
      if (startMs === KNOWN_AT) of.known = readKnown(content)
      else this.#replace(of, startMs, readBucket(content))
    this.#partitions.set(partition, of)
  }

  /** Undefined while something is not known of every one of these. */
  reach(partitions: readonly number[]): Reach | undefined {
    let reach: Reach | undefined
    for (const partition of partitions) {
      const of = this.#partitions.get(partition)
      if (of === undefined) return undefined
      const { overflowMs } = of.memo
      // Beside a partition that is far behind, the others have dropped what its window reaches.
      const coverMs = Math.max(of.memo.coverMs, of.keptMs)
      const behind = reach === undefined || of.throughMs < reach.throughMs
      reach = {
        throughMs: behind ? of.throughMs : (reach?.throughMs ?? 0),
        partition: behind ? partition : (reach?.partition ?? 0),
        coverMs: Math.max(coverMs, reach?.coverMs ?? coverMs),
        overflowMs: Math.max(overflowMs, reach?.overflowMs ?? 0),
      }
    }
    return reach
  }

  /** True once at the beginning and after what was told before belongs to nothing any more. */
  brokeOff(): boolean {
    const was = this.#brokenOff
    this.#brokenOff = false
    return was
  }

  /** Samples of the buckets that ended since the last call; none where no bucket has ended. */
  samples(throughMs: number, nowMs: number): readonly Sample[] {
    const { bucketMs, windowMs } = this.#settings
    const headMs = Math.floor(throughMs / bucketMs) * bucketMs
    const oldestMs = headMs - windowMs
    if (headMs <= this.#headMs) return []
    const samples: Sample[] = []
    this.#correct(samples, oldestMs)
    this.#remember(nowMs)
    for (const [key, toldMs] of this.#heads) {
      for (let startMs = Math.max(toldMs, oldestMs); startMs < headMs; startMs += bucketMs)
        this.#push(samples, key, startMs, this.#totals.get(startMs)?.get(key))
      this.#heads.set(key, headMs)
    }
    this.#headMs = headMs
    this.#forget(oldestMs)
    samples.push(...this.#account(nowMs))
    return samples
  }

  #correct(samples: Sample[], oldestMs: number): void {
    for (const [startMs, bucket] of this.#corrected)
      for (const [key, cell] of bucket) {
        // What was not told yet is told as it is now.
        const told = startMs < (this.#heads.get(key) ?? -Infinity)
        if (told && startMs >= oldestMs && cell.count !== 0) this.#push(samples, key, startMs, cell)
      }
    this.#corrected.clear()
  }

  /** Label values do not vanish while this process runs: a class that pauses is 0. */
  #remember(nowMs: number): void {
    for (const { known } of this.#partitions.values())
      for (const [key, seenMs] of known)
        if (!this.#heads.has(key) && seenMs >= nowMs - this.#settings.forgetMs)
          this.#heads.set(key, -Infinity)
  }

  #forget(oldestMs: number): void {
    for (const startMs of this.#totals.keys()) if (startMs < oldestMs) this.#totals.delete(startMs)
    for (const { buckets } of this.#partitions.values())
      for (const startMs of buckets.keys()) if (startMs < oldestMs) buckets.delete(startMs)
  }

  /** The series are to begin anew, with the whole window. */
  breakOff(): void {
    this.#brokenOff = true
    this.#headMs = -Infinity
    this.#corrected.clear()
    for (const key of this.#heads.keys()) this.#heads.set(key, -Infinity)
  }

  #replace(of: Partition, startMs: number, bucket: Bucket): void {
    const before = of.buckets.get(startMs)
    if (bucket.size === 0) of.buckets.delete(startMs)
    else of.buckets.set(startMs, bucket)
    for (const key of new Set([...bucket.keys(), ...(before?.keys() ?? [])])) {
      this.#add(this.#totals, startMs, key, bucket.get(key), 1)
      this.#add(this.#totals, startMs, key, before?.get(key), -1)
      if (startMs >= this.#headMs) continue
      this.#add(this.#corrected, startMs, key, bucket.get(key), 1)
      this.#add(this.#corrected, startMs, key, before?.get(key), -1)
    }
  }

  #add(
    to: Map<number, Bucket>,
    startMs: number,
    key: string,
    ...[cell, sign]: [Cell | undefined, 1 | -1]
  ): void {
    if (cell === undefined) return
    let bucket = to.get(startMs)
    if (bucket === undefined) to.set(startMs, (bucket = new Map()))
    let sum = bucket.get(key)
    if (sum === undefined)
      bucket.set(key, (sum = emptyCell(this.#settings.values.map(({ bounds }) => bounds))))
    sum.count += sign * cell.count
    for (const [index, value] of sum.values.entries()) {
      const of = cell.values[index]
      value.sum += sign * (of?.sum ?? 0)
      for (let at = 0; at < value.buckets.length; at += 1)
        value.buckets[at] = (value.buckets[at] ?? 0) + sign * (of?.buckets[at] ?? 0)
    }
  }

  #push(samples: Sample[], key: string, startMs: number, cell: Cell | undefined): void {
    const timestampMs = startMs + this.#settings.bucketMs
    for (const [metric, labels, value] of this.#columnsOf(key))
      samples.push({
        metric,
        labels,
        kind: 'delta',
        value: cell === undefined ? 0 : value(cell),
        timestampMs,
        startMs,
      })
  }

  /** The series of one set of label values; their labels are the same objects each time. */
  #columnsOf(key: string): readonly Column[] {
    const known = this.#columns.get(key)
    if (known !== undefined) return known
    const { labelNames, metric, values } = this.#settings
    const of = labelsOf(key, labelNames.length)
    const named = labelNames.map((name, index) => [name, of[index] ?? ''] as const)
    const labels: Labels = Object.freeze(Object.fromEntries(named))
    const made: Column[] = [[metric, labels, (cell) => cell.count]]
    for (const [index, value] of values.entries()) {
      made.push([`${value.metric}_sum`, labels, (cell) => cell.values[index]?.sum ?? 0])
      made.push([`${value.metric}_count`, labels, (cell) => cell.count])
      if (value.bounds.length === 0) continue
      for (const [at, bound] of [...value.bounds, Infinity].entries()) {
        const le = bound === Infinity ? '+Inf' : String(bound)
        const within = (cell: Cell) =>
          (cell.values[index]?.buckets ?? []).slice(0, at + 1).reduce((sum, one) => sum + one, 0)
        made.push([`${value.metric}_bucket`, Object.freeze({ ...labels, le }), within])
      }
    }
    this.#columns.set(key, made)
    return made
  }

  /** Of the reading itself, as counters. */
  #account(nowMs: number): Sample[] {
    const { topic } = this.#settings
    const memos = [...this.#partitions.values()].map(({ memo }) => memo)
    const total = (of: (memo: Memo) => number) => memos.reduce((sum, memo) => sum + of(memo), 0)
    const counter = (metric: string, labels: Labels, value: number): Sample => ({
      metric,
      labels,
      kind: 'cumulative',
      value,
      timestampMs: nowMs,
    })
    const dropped = (reason: Drop) => total((memo) => memo.drops[reason])
    return [
      counter('kafka_events_counted', { topic }, total((memo) => memo.counted)), // prettier-ignore
      ...DROPS.map((reason) => counter('kafka_events_dropped', { topic, reason }, dropped(reason))),
    ]
  }
}
