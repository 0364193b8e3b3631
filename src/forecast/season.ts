import type { Walk } from './walk.ts'

/**
 * What the load was at this time before: maxima over blocks of `BLOCK_SLOTS` slots, kept for a week and found
 * by wall time, so that a gap moves nothing. Loads are kept as 16-bit logarithms, true to 0.05 %: a week takes
 * 40 kB. Code 0: not known; code 1: none, or next to none.
 */
const BLOCK_SLOTS = 2
const BLOCKS_A_DAY = 86_400 / 15 / BLOCK_SLOTS
const SIZE = 7 * BLOCKS_A_DAY + 64
const RESOLUTION = 1000
const LEAST = -32

function codeOf(load: number): number {
  if (load <= 0) return 1
  return Math.min(Math.max(Math.round((Math.log(load) - LEAST) * RESOLUTION), 1), 65_535)
}

export class Season {
  readonly #codes = new Uint16Array(SIZE)
  #head = -1

  visit(walk: Walk): void {
    walk.array(this.#codes)
    this.#head = walk.number(this.#head)
  }

  /** `slot` counts 15 s since 1970 on the wall clock. */
  push(slot: number, load: number): void {
    const codes = this.#codes
    const block = Math.floor(slot / BLOCK_SLOTS)
    const at = block % SIZE
    const code = codeOf(load)
    if (block === this.#head) {
      codes[at] = Math.max(codes[at] ?? 0, code)
      return
    }
    const skipped = this.#head < 0 ? 0 : Math.min(block - this.#head - 1, SIZE)
    for (let i = 1; i <= skipped; i++) codes[(this.#head + i) % SIZE] = 0
    codes[at] = code
    this.#head = block
  }

  /** Largest load in the slots `from` to `to` (both included); NaN where a block of them is unknown. */
  max(from: number, to: number): number {
    const codes = this.#codes
    if (from < 0) return NaN
    let at = Math.floor(from / BLOCK_SLOTS) % SIZE
    let max = 0
    for (
      let left = Math.floor(to / BLOCK_SLOTS) - Math.floor(from / BLOCK_SLOTS);
      left >= 0;
      left--
    ) {
      const code = codes[at] ?? 0
      if (code === 0) return NaN
      if (code > max) max = code
      at = at + 1 === SIZE ? 0 : at + 1
    }
    return max === 1 ? 0 : Math.exp(max / RESOLUTION + LEAST)
  }
}
