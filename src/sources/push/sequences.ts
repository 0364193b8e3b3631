/** How far a report may be overtaken by later ones and still be told from a repetition. */
export const SEQUENCES_REMEMBERED = 1024

/**
 * Which reports of one instance were counted. Memory is bounded: what lies `SEQUENCES_REMEMBERED` or more below
 * the highest is `forgotten`, for it can no longer be told whether it was counted.
 */
export class Sequences {
  readonly #counted = new Set<number>()
  #highest = 0

  look(sequence: number): 'new' | 'counted' | 'forgotten' {
    if (sequence <= this.#highest - SEQUENCES_REMEMBERED) return 'forgotten'
    return this.#counted.has(sequence) ? 'counted' : 'new'
  }

  count(sequence: number): void {
    this.#counted.add(sequence)
    if (sequence <= this.#highest) return
    this.#highest = sequence
    if (this.#counted.size <= SEQUENCES_REMEMBERED) return
    for (const one of this.#counted)
      if (one <= sequence - SEQUENCES_REMEMBERED) this.#counted.delete(one)
  }
}
