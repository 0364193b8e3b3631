import type { CombineFunction } from '../model.ts'

/**
 * One value of the first `n` values. Undefined if there are none: a sum or a count of nothing is not zero.
 * Sums are compensated, so their result does not depend on the order of the series.
 */
export function combine(
  fn: CombineFunction,
  values: ArrayLike<number>,
  n: number,
): number | undefined {
  if (n === 0) return undefined
  switch (fn) {
    case 'sum':
      return compensatedSum(values, n)
    case 'avg':
      return compensatedSum(values, n) / n
    case 'min':
      return extreme(values, n, Math.min)
    case 'max':
      return extreme(values, n, Math.max)
    case 'count':
      return n
  }
}

/** Neumaier's summation: what an addition rounds away is kept apart and added at the end. */
function compensatedSum(values: ArrayLike<number>, n: number): number {
  let sum = 0
  let lost = 0
  for (let i = 0; i < n; i++) {
    const value = values[i] as number
    const next = sum + value
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum
    sum = next
  }
  // Past the range of a double the parts lost are no numbers any more; the sum is infinite and is told so.
  return Number.isFinite(sum) ? sum + lost : sum
}

function extreme(
  values: ArrayLike<number>,
  n: number,
  pick: (a: number, b: number) => number,
): number {
  let found = values[0] as number
  for (let i = 1; i < n; i++) found = pick(found, values[i] as number)
  return found
}
