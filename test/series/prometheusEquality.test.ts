import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Series, WindowFunction } from '../../src/model.ts'
import { type Bucket, histogramQuantile } from '../../src/series/histogram.ts'
import { evaluateWindow } from '../../src/series/window.ts'
import { line, type Point } from './line.ts'
import { askPrometheus, type PromQuery, type PromSeries } from './promtool.ts'

/**
 * The engine against Prometheus itself: random series, evaluated by both.
 *
 * The promtool of Debian is Prometheus 2.42, and two things changed since:
 * - 2.42 closes a window on both sides, 3.0 opened it on the left. All samples here are on whole seconds and
 *   all evaluations on half ones, with windows of whole seconds, so that no sample is ever on an edge.
 * - 2.52 mended the limit at the zero point (see `zeroPointChanged`). Such cases are left out here and
 *   are in the table of `rate.test.ts`.
 */
const SEED = 20260717
const CASES = 600
const WINDOWS_S = [7, 30, 61, 300]
const EVALUATIONS_S = [40.5, 123.5, 299.5, 360.5]
const TOLERANCE = 1e-9

const value = fc.oneof(
  fc.integer({ min: 0, max: 1000 }),
  fc.double({ min: 0.001, max: 1e6, noNaN: true }),
)
const step = fc.record({
  gapS: fc.oneof(
    { weight: 6, arbitrary: fc.constant(15) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 20 }) },
    { weight: 1, arbitrary: fc.integer({ min: 30, max: 90 }) },
  ),
  what: fc.oneof(
    { weight: 8, arbitrary: fc.constant('grow' as const) },
    { weight: 2, arbitrary: fc.constant('stay' as const) },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
  ),
  amount: value,
})
const walk = fc.record({
  beginS: fc.integer({ min: 0, max: 200 }),
  first: fc.oneof(fc.constant(0), value),
  steps: fc.array(step, { minLength: 0, maxLength: 40 }),
})

function counterOf({
  beginS,
  first,
  steps,
}: typeof walk extends fc.Arbitrary<infer T> ? T : never) {
  const points: Point[] = [[beginS, first]]
  let [second, count] = [beginS, first]
  for (const { gapS, what, amount } of steps) {
    second += gapS
    if (what === 'grow') count += amount
    if (what === 'restart') count = Math.min(count, amount) / 2
    points.push([second, count])
  }
  return points
}

const counters = fc.sample(walk.map(counterOf), { seed: SEED, numRuns: CASES })
const gauges = fc.sample(
  fc
    .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 370 }), value), {
      selector: ([second]) => second,
      maxLength: 60,
    })
    .map((points) => points.toSorted((a, b) => a[0] - b[0]) as Point[]),
  { seed: SEED, numRuns: CASES },
)

function inputs(name: string, lines: readonly Point[][]): PromSeries[] {
  return lines.map((points, i) => ({ name: `${name}{case="${i}"}`, points }))
}

const GRID = EVALUATIONS_S.flatMap((atS) => WINDOWS_S.map((windowS) => ({ atS, windowS })))

interface Disagreement {
  readonly query: string
  readonly case: number
  readonly ours: number | undefined
  readonly theirs: number | undefined
}

function agree(ours: number | undefined, theirs: number | undefined): boolean {
  if (ours === undefined || theirs === undefined) return ours === theirs
  return Math.abs(ours - theirs) <= TOLERANCE * Math.max(Math.abs(ours), Math.abs(theirs))
}

/**
 * Whether 2.52 and later extrapolate otherwise than before: the first point is further from the edge than
 * points are apart, and the zero point lies between half an interval and 1.1 intervals before it. Older
 * versions went to the zero point, newer ones half an interval.
 */
function zeroPointChanged(series: Series, atMs: number, windowMs: number): boolean {
  const from = series.firstAfter(atMs - windowMs)
  const to = series.firstAfter(atMs)
  if (to - from < 2) return false
  const sampledMs = series.timeAt(to - 1) - series.timeAt(from)
  const intervalMs = sampledMs / (to - from - 1)
  let grown = series.valueAt(to - 1) - series.valueAt(from)
  for (let i = from + 1; i < to; i++)
    if (series.valueAt(i) < series.valueAt(i - 1)) grown += series.valueAt(i - 1)
  const gapMs = series.timeAt(from) - (atMs - windowMs)
  const toZeroMs = sampledMs * (series.valueAt(from) / grown)
  return gapMs >= 1.1 * intervalMs && toZeroMs > intervalMs / 2 && toZeroMs < 1.1 * intervalMs
}

interface Comparison {
  readonly name: string
  readonly fn: WindowFunction
  readonly quantile: number
  readonly expr: (windowS: number) => string
}

async function compare(kind: 'cumulative' | 'gauge', lines: Point[][], what: Comparison[]) {
  const asked = what.flatMap((one) => GRID.map((cell) => ({ ...one, ...cell })))
  const queries: PromQuery[] = asked.map(({ expr, windowS, atS }) => ({
    expr: expr(windowS),
    atMs: atS * 1000,
  }))
  const answers = await askPrometheus(inputs('m', lines), queries)
  const series = lines.map((points) => line(kind, points))
  const wrong: Disagreement[] = []
  let compared = 0
  let leftOut = 0
  for (const [q, { fn, quantile, atS, windowS }] of asked.entries()) {
    for (const [i, one] of series.entries()) {
      if (kind === 'cumulative' && zeroPointChanged(one, atS * 1000, windowS * 1000)) {
        leftOut += 1
        continue
      }
      const window = { function: fn, durationMs: windowS * 1000, quantile }
      const result = evaluateWindow(one, window, atS * 1000)
      const ours = result.state === 'value' ? result.value : undefined
      const theirs = answers[q]?.get(String(i))
      if (theirs !== undefined) compared += 1
      if (!agree(ours, theirs)) wrong.push({ query: queries[q]?.expr ?? '', case: i, ours, theirs })
    }
  }
  return { wrong, compared, leftOut }
}

const SAME = 'the same samples give what Prometheus gives'

test(`${SAME}: rate and increase of counters with restarts, gaps and uneven spacing (seed ${SEED})`, async () => {
  const { wrong, compared, leftOut } = await compare('cumulative', counters, [
    { name: 'rate', fn: 'rate', quantile: 0, expr: (s) => `rate(m[${s}s])` },
    { name: 'increase', fn: 'increase', quantile: 0, expr: (s) => `increase(m[${s}s])` },
  ])
  expect(wrong).toEqual([])
  expect(compared).toBeGreaterThan(2000)
  expect(leftOut).toBeLessThan(compared / 10)
})

test(`${SAME}: average, minimum, maximum, last and quantiles of levels (seed ${SEED})`, async () => {
  const over = (fn: WindowFunction, name: string): Comparison => ({
    name,
    fn,
    quantile: 0,
    expr: (s) => `${name}(m[${s}s])`,
  })
  const quantiles = [0, 0.25, 0.5, 0.9, 0.99, 1].map((q) => ({
    name: `quantile ${q}`,
    fn: 'quantile' as const,
    quantile: q,
    expr: (s: number) => `quantile_over_time(${q}, m[${s}s])`,
  }))
  const { wrong, compared } = await compare('gauge', gauges, [
    over('avg', 'avg_over_time'),
    over('min', 'min_over_time'),
    over('max', 'max_over_time'),
    over('last', 'last_over_time'),
    ...quantiles,
  ])
  expect(wrong).toEqual([])
  expect(compared).toBeGreaterThan(10_000)
})

test(`${SAME}: histogram_quantile (seed ${SEED})`, async () => {
  const bounds = fc.uniqueArray(fc.double({ min: -10, max: 100, noNaN: true }), {
    minLength: 0,
    maxLength: 12,
  })
  const histogram = fc
    .tuple(bounds, fc.array(fc.integer({ min: -3, max: 50 }), { minLength: 13, maxLength: 13 }))
    .chain(([les, growth]) =>
      fc.boolean().map((whole): Bucket[] => {
        let count = 0
        const all = [
          ...les.toSorted((a, b) => a - b),
          ...(whole || les.length === 0 ? [Infinity] : []),
        ]
        return all.map((le, i) => ({
          le,
          value: (count = Math.max(0, count + (growth[i] ?? 0))),
        }))
      }),
    )
  const histograms = fc.sample(histogram, { seed: SEED, numRuns: CASES })
  const series = histograms.flatMap((buckets, i) =>
    buckets.map(({ le, value: count }) => ({
      name: `h_bucket{case="${i}",le="${le === Infinity ? '+Inf' : le}"}`,
      points: [[0, count]] as Point[],
    })),
  )
  const quantiles = [0.01, 0.5, 0.9, 0.99, 1]
  const answers = await askPrometheus(
    series,
    quantiles.map((q) => ({ expr: `histogram_quantile(${q}, h_bucket)`, atMs: 500 })),
  )
  const wrong: Disagreement[] = []
  let compared = 0
  for (const [k, q] of quantiles.entries())
    for (const [i, buckets] of histograms.entries()) {
      const ours = histogramQuantile(q, buckets)
      const answer = answers[k]?.get(String(i))
      const theirs = answer !== undefined && Number.isNaN(answer) ? undefined : answer
      if (theirs !== undefined) compared += 1
      if (!agree(ours, theirs)) wrong.push({ query: `quantile ${q}`, case: i, ours, theirs })
    }
  expect(wrong).toEqual([])
  expect(compared).toBeGreaterThan(400)
})
