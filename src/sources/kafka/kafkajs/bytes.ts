import { TidelineError } from '../../../errors.ts'

/** Reads the primitive types of the Kafka protocol in order. Throws `bad-response` beyond the end. */
export class Bytes {
  readonly buffer: Buffer
  at: number

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer
    this.at = at
  }

  get left(): number {
    return this.buffer.length - this.at
  }

  int8(): number {
    return this.buffer.readInt8(this.#step(1))
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#step(2))
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#step(4))
  }

  /** As a number: exact to 2^53, which offsets and times do not pass. */
  int64(): number {
    const at = this.#step(8)
    return this.buffer.readInt32BE(at) * 0x1_0000_0000 + this.buffer.readUInt32BE(at + 4)
  }

  /** Base 128, least significant group first. */
  unsigned(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = this.buffer[this.#step(1)] ?? 0
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 0x80
      if (factor > Number.MAX_SAFE_INTEGER) throw broken('a number of more than 53 bits')
    }
  }

  /** Zigzag: 0, −1, 1, −2, … as 0, 1, 2, 3, …. */
  signed(): number {
    const zigzag = this.unsigned()
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
  }

  take(length: number): Buffer {
    const at = this.#step(length)
    return this.buffer.subarray(at, at + length)
  }

  skip(length: number): void {
    this.#step(length)
  }

  string(): string {
    const length = this.int16()
    return length < 0 ? '' : this.take(length).toString('utf8')
  }

  compactString(): string {
    const length = this.unsigned() - 1
    return length <= 0 ? '' : this.take(length).toString('utf8')
  }

  array<T>(read: () => T): T[] {
    return this.#items(this.int32(), read)
  }

  compactArray<T>(read: () => T): T[] {
    return this.#items(this.unsigned() - 1, read)
  }

  /** Tagged fields of a flexible version; none is of interest. */
  tags(): void {
    for (let count = this.unsigned(); count > 0; count -= 1) {
      this.unsigned()
      this.skip(this.unsigned())
    }
  }

  #items<T>(count: number, read: () => T): T[] {
    // Every item takes a byte at least, so a count beyond the bytes is broken.
    if (count > this.left) throw broken(`an array of ${count} items`)
    const items: T[] = []
    for (let index = 0; index < count; index += 1) items.push(read())
    return items
  }

  #step(length: number): number {
    const { at } = this
    if (length < 0 || length > this.left) throw broken('it ends too early')
    this.at = at + length
    return at
  }
}

function broken(how: string): TidelineError {
  return new TidelineError('bad-response', `the broker's answer is broken: ${how}`)
}
