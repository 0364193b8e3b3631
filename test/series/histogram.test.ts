import { describe, expect, test } from 'vitest'
import { type Bucket, histogramQuantile } from '../../src/series/histogram.ts'

function buckets(...pairs: [number, number][]): Bucket[] {
  return pairs.map(([le, value]) => ({ le, value }))
}

const latency = buckets([0.1, 10], [0.2, 30], [0.5, 40], [Infinity, 50])

describe('histogramQuantile', () => {
  test.each<[string, number, Bucket[], number | undefined]>([
    ['linear within the bucket', 0.5, latency, 0.175],
    ['the lowest bucket begins at zero', 0.1, latency, 0.05],
    ['the last bound where there is no upper one', 0.99, latency, 0.5],
    ['the bound itself where the lowest is not positive', 0.1, buckets([-1, 5], [Infinity, 5]), -1],
    ['unsorted', 0.5, latency.toReversed(), 0.175],
    ['a falling count is raised', 0.5, buckets([1, 4], [2, 3], [4, 8], [Infinity, 8]), 1],
    ['equal bounds are added', 0.5, buckets([1, 2], [1, 2], [Infinity, 4]), 0.5],
    ['no observations', 0.9, buckets([1, 0], [Infinity, 0]), undefined],
    ['no +Inf', 0.9, buckets([1, 3], [2, 5]), undefined],
    ['+Inf alone', 0.9, buckets([Infinity, 5]), undefined],
    ['no buckets', 0.9, [], undefined],
    ['NaN count', 0.9, buckets([1, 3], [Infinity, NaN]), undefined],
    ['quantile out of range', 1.5, latency, undefined],
  ])('%s', (_, q, given, expected) => {
    const quantile = histogramQuantile(q, given)
    if (expected === undefined) expect(quantile).toBeUndefined()
    else expect(quantile).toBeCloseTo(expected, 12)
  })

  test('leaves its input as it was', () => {
    const given = Object.freeze(latency.map((bucket) => Object.freeze(bucket)).toReversed())
    histogramQuantile(0.5, given)
    expect(given[0]?.le).toBe(Infinity)
  })
})
