/** How far a report may be overtaken by later ones and still be told from a repetition. */
export const SEQUENCES_REMEMBERED = 1024

/**
 * Which reports of one instance were counted. Memory is bounded: what lies `SEQUENCES_REMEMBERED` or more below
 * the highest is `forgotten`, for it can no longer be told whether it was counted.
 */
export class Sequences {
  /** With the end of its interval. */
  readonly #counted = new Map<number, number>()
  #highest = 0

  /** `another`: one of that number was counted, and it was of another interval, so this is no repetition. */
  look(sequence: number, endMs: number): 'new' | 'counted' | 'another' | 'forgotten' {
    if (sequence <= this.#highest - SEQUENCES_REMEMBERED) return 'forgotten'
    const known = this.#counted.get(sequence)
    if (known === undefined) return 'new'
    return known === endMs ? 'counted' : 'another'
  }

  count(sequence: number, endMs: number): void {
    this.#counted.set(sequence, endMs)
    if (sequence <= this.#highest) return
    this.#highest = sequence
    if (this.#counted.size <= SEQUENCES_REMEMBERED) return
    for (const one of this.#counted.keys())
      if (one <= sequence - SEQUENCES_REMEMBERED) this.#counted.delete(one)
  }
}
