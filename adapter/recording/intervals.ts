/** One row of a trace: `value` is the mean of what was observed in the interval that ends at `endMs`. */
export interface Row {
  readonly endMs: number
  readonly value: number
}

/**
 * Makes rows of what is observed: intervals end on multiples of `everyMs` of the wall clock, and an observation
 * belongs to the interval that its data is of, however often it is told. An interval without one has no row.
 */
export class Intervals {
  readonly #everyMs: number
  /** Nothing up to here is wanted any more. */
  #doneMs: number
  #dataMs = -Infinity
  #endMs = NaN
  #sum = 0
  #count = 0

  constructor(everyMs: number, doneMs: number) {
    this.#everyMs = everyMs
    this.#doneMs = doneMs
  }

  /** The row of the interval before, where this observation begins another. */
  add(value: number, dataMs: number): Row | undefined {
    const endMs = Math.ceil(dataMs / this.#everyMs) * this.#everyMs
    if (dataMs <= this.#dataMs || endMs <= this.#doneMs) return undefined
    this.#dataMs = dataMs
    const row = endMs === this.#endMs ? undefined : this.#take()
    this.#endMs = endMs
    this.#sum += value
    this.#count += 1
    return row
  }

  /** The row of an interval that ended before `ms`, should none of its observations come any more. */
  close(ms: number): Row | undefined {
    return this.#endMs <= ms ? this.#take() : undefined
  }

  #take(): Row | undefined {
    if (this.#count === 0) return undefined
    const row = { endMs: this.#endMs, value: this.#sum / this.#count }
    this.#doneMs = this.#endMs
    this.#sum = 0
    this.#count = 0
    return row
  }
}
