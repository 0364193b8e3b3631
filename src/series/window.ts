import type { Series, Signal, WindowFunction } from '../model.ts'
import { ewmaOver } from './ewma.ts'
import { quantileOver } from './quantile.ts'
import { counterIncrease } from './rate.ts'

/**
 * What a window says of one series.
 * - `value`: and `dataMs`, the time of the newest point in it;
 * - `warming-up`: there are points, too few for the function;
 * - `interrupted`: the same, as what was told of the time before is lost since;
 * - `empty`: no point in the window.
 */
export type WindowResult =
  | { readonly state: 'value'; readonly value: number; readonly dataMs: number }
  | { readonly state: 'warming-up' }
  | { readonly state: 'interrupted' }
  | { readonly state: 'empty' }

const WARMING_UP: WindowResult = { state: 'warming-up' }
const EMPTY: WindowResult = { state: 'empty' }

/** The window's points are those at [from, to), at least one. */
interface Span {
  readonly from: number
  readonly to: number
  readonly fromMs: number
  readonly nowMs: number
  readonly quantile: number
}

/**
 * Evaluates one function over the points in (nowMs − duration, nowMs]: open on the left as in Prometheus 3,
 * so a window of a minute over a point each 15 s holds four points, never five.
 *
 * `rate` and `increase` read a gauge as a counter, as Prometheus does, since an exporter without type
 * information gives counters as gauges. Of `delta` series they are the plain sum of the counts whose interval
 * ends in the window, divided (for `rate`) by the whole window even where the series is younger: before
 * its first count there was nothing to count. A delta source that has nothing to count says 0; a window
 * without any point is empty, not 0.
 */
export function evaluateWindow(
  series: Series,
  window: Signal['window'],
  nowMs: number,
): WindowResult {
  const fromMs = nowMs - window.durationMs
  const from = series.firstAfter(fromMs)
  const to = series.firstAfter(nowMs)
  if (from >= to) return EMPTY
  const span: Span = { from, to, fromMs, nowMs, quantile: window.quantile }
  const result = FUNCTIONS[window.function](series, span)
  // Sums of finite values can leave the range of a double; that is no value.
  return result.state === 'value' && !Number.isFinite(result.value) ? EMPTY : result
}

const FUNCTIONS: Readonly<Record<WindowFunction, (series: Series, span: Span) => WindowResult>> = {
  last: (series, span) => valued(series, span, series.valueAt(span.to - 1)),
  avg: (series, span) => valued(series, span, sumOver(series, span) / (span.to - span.from)),
  min: (series, span) => valued(series, span, extremeOver(series, span, 1)),
  max: (series, span) => valued(series, span, extremeOver(series, span, -1)),
  rate: ratePerSecond,
  increase: (series, span) => growth(series, span, 1),
  quantile: (series, span) =>
    valued(series, span, quantileOver(series, span.from, span.to, span.quantile)),
  ewma: (series, span) => {
    const ewma = ewmaOver(series, span.from, span.to, span)
    return ewma === undefined
      ? WARMING_UP
      : { state: 'value', value: ewma.value, dataMs: ewma.dataMs }
  },
  // Of sums and counts apart; who asks for the mean divides them.
  mean: ratePerSecond,
}

function valued(series: Series, span: Span, value: number): WindowResult {
  return { state: 'value', value, dataMs: series.timeAt(span.to - 1) }
}

function ratePerSecond(series: Series, span: Span): WindowResult {
  return growth(series, span, (span.nowMs - span.fromMs) / 1000)
}

function growth(series: Series, span: Span, divisor: number): WindowResult {
  if (series.kind === 'delta') return valued(series, span, sumOver(series, span) / divisor)
  if (span.to - span.from < 2) return WARMING_UP
  return valued(series, span, counterIncrease(series, span.from, span.to, span) / divisor)
}

/** Neumaier's summation, as in `combine`, without an array in between. */
function sumOver(series: Series, span: Span): number {
  let sum = 0
  let lost = 0
  for (let i = span.from; i < span.to; i++) {
    const value = series.valueAt(i)
    const next = sum + value
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum
    sum = next
  }
  return sum + lost
}

/** The smallest for `sign` 1, the largest for −1. */
function extremeOver(series: Series, span: Span, sign: 1 | -1): number {
  let found = series.valueAt(span.from)
  for (let i = span.from + 1; i < span.to; i++) {
    const value = series.valueAt(i)
    if (sign * value < sign * found) found = value
  }
  return found
}
