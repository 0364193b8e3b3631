import type { Labels, Sample, SampleKind, Series } from '../model.ts'

/** Points a new ring has room for; most series of a short window never need more than two doublings. */
const CAPACITY_MIN = 8

export interface SeriesIdentity {
  readonly source: string
  readonly origin: string
  readonly metric: string
  readonly labels: Labels
  readonly kind: SampleKind
}

/**
 * A series and its points. Times and values lie side by side in one ring, so that a window is one run
 * through memory; starts have their own array, made when the first start is given.
 *
 *     points:  │ t3 v3 │ t4 v4 │ t1 v1 │ t2 v2 │      capacity 4, length 4, head 2: the oldest is t1
 *     starts:  │  s3   │  s4   │  s1   │  s2   │
 *                                  ▲ head
 *
 * The capacity doubles until `pointsMax`; from then on a new point takes the place of the oldest.
 * Invariant: times rise strictly from the head on.
 */
export class RingSeries implements Series {
  readonly source: string
  readonly origin: string
  readonly metric: string
  readonly labels: Labels
  readonly kind: SampleKind
  /** Where the store finds it among the series of its origin. */
  readonly key: string
  /** The origin's round that last named it; see the store. */
  seenRound = 0
  /** True once the store has let go of it; a reader that still holds it sees its points unchanged. */
  ended = false
  covered: Sample['covered']

  #points = new Float64Array(2 * CAPACITY_MIN)
  #starts: Float64Array | undefined
  #capacity = CAPACITY_MIN
  #head = 0
  #length = 0
  readonly #pointsMax: number

  constructor(identity: SeriesIdentity, key: string, pointsMax: number) {
    this.source = identity.source
    this.origin = identity.origin
    this.metric = identity.metric
    this.labels = identity.labels
    this.kind = identity.kind
    this.key = key
    this.#pointsMax = Math.max(2, pointsMax)
  }

  /** Takes in what one more sample says of the time that is known; apart from what was known, it alone is. */
  cover(covered: NonNullable<Sample['covered']>): void {
    const before = this.covered
    const apart =
      before === undefined || covered.fromMs > before.untilMs || covered.untilMs < before.fromMs
    if (apart) {
      this.covered = covered
      return
    }
    this.covered = {
      fromMs: Math.min(covered.fromMs, before.fromMs),
      untilMs: Math.max(covered.untilMs, before.untilMs),
    }
  }

  get length(): number {
    return this.#length
  }

  /** Time of the newest point; -Infinity while there is none. */
  get lastMs(): number {
    return this.#length === 0 ? -Infinity : this.timeAt(this.#length - 1)
  }

  timeAt(index: number): number {
    return this.#points[2 * this.#slot(index)] as number
  }

  valueAt(index: number): number {
    return this.#points[2 * this.#slot(index) + 1] as number
  }

  startAt(index: number): number {
    return this.#starts === undefined ? NaN : (this.#starts[this.#slot(index)] as number)
  }

  firstAfter(ms: number): number {
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.timeAt(middle) > ms) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Appends a point later than all others. True if the oldest had to make room. */
  append(timestampMs: number, value: number, startMs: number): boolean {
    const overwritten = this.#makeRoom()
    this.#length += 1
    this.#set(this.#length - 1, timestampMs, value, startMs)
    return overwritten
  }

  /**
   * Puts a point between others, before `index`; for a late delta alone, so its cost does not matter.
   * True if the oldest had to make room.
   */
  insert(index: number, timestampMs: number, value: number, startMs: number): boolean {
    const overwritten = this.#makeRoom()
    this.#length += 1
    const at = overwritten ? index - 1 : index
    for (let i = this.#length - 1; i > at; i--)
      this.#set(i, this.timeAt(i - 1), this.valueAt(i - 1), this.startAt(i - 1))
    this.#set(at, timestampMs, value, startMs)
    return overwritten
  }

  /** Adds to the value of a point. */
  add(index: number, value: number): void {
    const at = 2 * this.#slot(index) + 1
    this.#points[at] = (this.#points[at] as number) + value
  }

  /** True if one more point costs the oldest. */
  get full(): boolean {
    return this.#length >= this.#pointsMax
  }

  /** Drops the points at or before `ms`; the number dropped. */
  dropUntil(ms: number): number {
    let dropped = 0
    while (this.#length > 0 && (this.#points[2 * this.#head] as number) <= ms) {
      this.#dropOldest()
      dropped += 1
    }
    return dropped
  }

  #slot(index: number): number {
    const slot = this.#head + index
    return slot < this.#capacity ? slot : slot - this.#capacity
  }

  #set(index: number, timestampMs: number, value: number, startMs: number): void {
    const slot = this.#slot(index)
    this.#points[2 * slot] = timestampMs
    this.#points[2 * slot + 1] = value
    if (this.#starts === undefined) {
      if (Number.isNaN(startMs)) return
      this.#starts = new Float64Array(this.#capacity).fill(NaN)
    }
    this.#starts[slot] = startMs
  }

  #makeRoom(): boolean {
    if (this.full) {
      this.#dropOldest()
      return true
    }
    if (this.#length === this.#capacity) this.#grow()
    return false
  }

  #dropOldest(): void {
    this.#head = this.#slot(1)
    this.#length -= 1
  }

  #grow(): void {
    const capacity = Math.min(2 * this.#capacity, Math.max(this.#pointsMax, CAPACITY_MIN))
    const points = new Float64Array(2 * capacity)
    const starts = this.#starts === undefined ? undefined : new Float64Array(capacity).fill(NaN)
    for (let i = 0; i < this.#length; i++) {
      points[2 * i] = this.timeAt(i)
      points[2 * i + 1] = this.valueAt(i)
      if (starts !== undefined) starts[i] = this.startAt(i)
    }
    this.#points = points
    this.#starts = starts
    this.#capacity = capacity
    this.#head = 0
  }
}
