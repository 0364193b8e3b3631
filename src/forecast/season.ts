import type { Walk } from './walk.ts'

/**
 * What the load was at this time before: maxima over blocks of `BLOCK_SLOTS` slots, kept for a week and found
 * by wall time, so that a gap moves nothing. Loads are kept as 16-bit logarithms, true to 0.05 %: a week takes
 * 40 kB, and a younger load less, as memory grows with its age. Code 0: not known; code 1: none, or next to none.
 */
const BLOCK_SLOTS = 2
const BLOCKS_A_DAY = 86_400 / 15 / BLOCK_SLOTS
/** A few hours at first; a week, and what is read around it, at most. */
const FIRST = 512
const MOST = 7 * BLOCKS_A_DAY + 64
const RESOLUTION = 1000
const LEAST = -32

function codeOf(load: number): number {
  if (load <= 0) return 1
  return Math.min(Math.max(Math.round((Math.log(load) - LEAST) * RESOLUTION), 1), 65_535)
}

export class Season {
  /** In a ring that holds all blocks from the oldest to the newest, up to its full size. */
  #codes = new Uint16Array(FIRST)
  #oldest = Infinity
  #newest = -1

  visit(walk: Walk): void {
    const length = walk.length(this.#codes.length, MOST)
    if (length !== this.#codes.length) this.#codes = new Uint16Array(length)
    walk.array(this.#codes)
    this.#oldest = walk.number(this.#oldest)
    this.#newest = walk.number(this.#newest)
  }

  /** `slot` counts 15 s since 1970 on the wall clock. */
  push(slot: number, load: number): void {
    const block = Math.floor(slot / BLOCK_SLOTS)
    if (block !== this.#newest) this.#begin(block)
    const codes = this.#codes
    const at = block % codes.length
    codes[at] = Math.max(codes[at] ?? 0, codeOf(load))
  }

  /** Blocks between the newest and this one stay unknown. */
  #begin(block: number): void {
    const before = this.#newest
    this.#oldest = Math.min(this.#oldest, block)
    this.#grow(block - this.#oldest + 1)
    const codes = this.#codes
    const skipped = Math.min(Math.max(block - before - 1, 0), codes.length)
    for (let back = 0; back <= skipped; back++) codes[(block - back) % codes.length] = 0
    this.#newest = block
  }

  #grow(blocks: number): void {
    const before = this.#codes
    let { length } = before
    while (length < Math.min(blocks, MOST)) length = Math.min(2 * length, MOST)
    if (length === before.length) return
    const codes = new Uint16Array(length)
    for (let block = this.#oldest; block <= this.#newest; block++)
      codes[block % length] = before[block % before.length] ?? 0
    this.#codes = codes
  }

  /**
   * Slots from `from` until the load was at least `level`: 0 where it was in the block of `from`, more than `most`
   * where it never was in as many; undefined where a block until then is unknown. True to a block.
   */
  slotsUntil(level: number, from: number, most: number): number | undefined {
    const codes = this.#codes
    const code = codeOf(level)
    const first = Math.floor(from / BLOCK_SLOTS)
    if (first < this.#oldest) return undefined
    let at = first % codes.length
    for (let blocks = Math.floor((from + most) / BLOCK_SLOTS) - first, i = 0; i <= blocks; i++) {
      const known = codes[at] ?? 0
      if (known === 0) return undefined
      // The end of the block: it was reached by then.
      if (known >= code) return i === 0 ? 0 : (first + i + 1) * BLOCK_SLOTS - 1 - from
      at = at + 1 === codes.length ? 0 : at + 1
    }
    return Infinity
  }

  /** Largest load in the slots `from` to `to` (both included); NaN where a block of them is unknown. */
  max(from: number, to: number): number {
    const codes = this.#codes
    const first = Math.floor(from / BLOCK_SLOTS)
    if (first < this.#oldest) return NaN
    let at = first % codes.length
    let max = 0
    for (let left = Math.floor(to / BLOCK_SLOTS) - first; left >= 0; left--) {
      const code = codes[at] ?? 0
      if (code === 0) return NaN
      if (code > max) max = code
      at = at + 1 === codes.length ? 0 : at + 1
    }
    return max === 1 ? 0 : Math.exp(max / RESOLUTION + LEAST)
  }
}
