export interface Interval {
  readonly startMs: number
  readonly endMs: number
}

/** Ends of the buckets (k × width, (k + 1) × width] that an interval (startMs, endMs] touches, in order. */
export function bucketEnds({ startMs, endMs }: Interval, widthMs: number): number[] {
  const ends: number[] = []
  const last = Math.ceil(endMs / widthMs) * widthMs
  const first = Math.min(last, (Math.floor(startMs / widthMs) + 1) * widthMs)
  for (let end = first; end <= last; end += widthMs) ends.push(end)
  return ends
}

/**
 * Lays an amount evenly over an interval and gives what falls to each bucket; the parts add up to the amount.
 * A whole number is laid in whole numbers. So reports of any length meet in the same buckets and add up there.
 */
export function spread(
  amount: number,
  { startMs, endMs }: Interval,
  ends: readonly number[],
): number[] {
  const whole = Number.isSafeInteger(amount)
  let before = 0
  return ends.map((end, index) => {
    const share = (end - startMs) / (endMs - startMs)
    const exact = index === ends.length - 1 ? amount : amount * Math.min(1, share)
    const until = whole ? Math.floor(exact) : exact
    const part = until - before
    before = until
    return part
  })
}
