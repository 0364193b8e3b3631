type Numbers = Float64Array | Uint16Array | Int32Array | Uint8Array

/**
 * One way through all that something has learned, for writing it and for reading it back: each class names its
 * fields once, in one order, and takes the answer for the new value.
 */
export interface Walk {
  array(values: Numbers): void
  /** Length of an array that grows from `now` to at most `most`: to be made that long before it is visited. */
  length(now: number, most: number): number
  number(value: number): number
  flag(value: boolean): boolean
}

/** All that `visit` shows, bit by bit (NaN and infinities too), in the machine's order. */
export function written(visit: (walk: Walk) => void): Uint8Array {
  const parts: Uint8Array[] = []
  const number = (value: number) => {
    parts.push(bytesOf(Float64Array.of(value)))
    return value
  }
  visit({
    array: (values) => void parts.push(bytesOf(values)),
    length: number,
    number,
    flag: (value) => number(value ? 1 : 0) === 1,
  })
  return new Uint8Array(Buffer.concat(parts))
}

/** Puts back what `written` made; false, and what was visited is of no use, where a length is another. */
export function readBack(bytes: Uint8Array, visit: (walk: Walk) => void): boolean {
  let at = 0
  const array = (values: Numbers) => {
    const end = at + values.byteLength
    if (end <= bytes.length) bytesOf(values).set(bytes.subarray(at, end))
    at = end
  }
  const one = new Float64Array(1)
  const number = () => {
    array(one)
    const value = one[0] ?? NaN
    const whole = value | 0
    // Counts go on as integers: the engine keeps them apart, and is slower where what was one comes back as another.
    return Object.is(whole, value) ? whole : value
  }
  let possible = true
  const length = (now: number, most: number) => {
    const told = number()
    if (Number.isInteger(told) && told >= now && told <= most) return told
    possible = false
    return now
  }
  visit({ array, length, number, flag: () => number() === 1 })
  return possible && at === bytes.length
}

function bytesOf(values: Numbers): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
