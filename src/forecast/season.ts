/**
 * What the load was at this time before: maxima over blocks of `BLOCK_SLOTS` slots, kept for a week and found
 * by wall time, so that a gap moves nothing. Unknown blocks are NaN.
 */
export const BLOCK_SLOTS = 2
const BLOCKS_A_DAY = 86_400 / 15 / BLOCK_SLOTS
const SIZE = 7 * BLOCKS_A_DAY + 64

export class Season {
  readonly #blocks = new Float32Array(SIZE).fill(NaN)
  #head = -1

  /** `slot` counts 15 s since 1970 on the wall clock. */
  push(slot: number, load: number): void {
    const block = Math.floor(slot / BLOCK_SLOTS)
    const at = block % SIZE
    if (block === this.#head) {
      this.#blocks[at] = Math.max(this.#blocks[at] ?? load, load)
      return
    }
    const skipped = this.#head < 0 ? 0 : Math.min(block - this.#head - 1, SIZE)
    for (let i = 1; i <= skipped; i++) this.#blocks[(this.#head + i) % SIZE] = NaN
    this.#blocks[at] = load
    this.#head = block
  }

  /** Largest load in the slots `from` to `to` (both included); NaN where a block of them is unknown. */
  max(from: number, to: number): number {
    const last = Math.floor(to / BLOCK_SLOTS)
    let max = 0
    for (let block = Math.floor(from / BLOCK_SLOTS); block <= last; block++) {
      const value = this.#blocks[block % SIZE] ?? NaN
      if (!(value <= max)) max = value
      if (max !== max) return NaN
    }
    return max
  }
}
