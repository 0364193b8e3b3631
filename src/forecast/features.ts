import type { Line, Recent } from './recent.ts'
import type { Season } from './season.ts'

/** How far back the same time is looked up: an hour, 1, 2, 3 and 7 days, in slots. */
const LAGS = [240, 5760, 11_520, 17_280, 40_320] as const
/** 1, 2, 5, 10 and 30 minutes, in slots. */
const MAXIMA = [4, 8, 20, 40, 120] as const
const PLAIN = 10
const RATIOS = PLAIN + 3 * LAGS.length
const SHAPE = 2 * RATIOS
const CHANGES = SHAPE + 6
const BIAS = CHANGES + LAGS.length

/** Number of inputs of the quantile regression. */
export const FEATURES = BIAS + 1
/** Where the two-minute maximum and the constant 1 are: the regression starts from them. */
export const MAX_2_MINUTES = 2
export const CONSTANT = BIAS
/** Number of simple forecasts that the calibrated experts start from. */
export const CANDIDATES = 20
/** Which of them is the maximum of 5 minutes, and which the same time yesterday. */
export const MAX_5_MINUTES = 3
export const YESTERDAY = 11

const clip = (value: number) => (value > 3 ? 3 : value < -3 ? -3 : value)

export interface Moment {
  readonly recent: Recent
  readonly season: Season
  /** Wall-clock slot of the newest load. */
  readonly slot: number
  /** Slots until a pod ordered now would serve. */
  readonly horizon: number
  /** Small load that keeps logarithms apart from -∞. */
  readonly floor: number
}

/** Filled anew for each moment, so one of each does for all series. */
const long: Line = { level: 0, slope: 0, mean: 0, explained: 0, residual: 0 }
const short: Line = { level: 0, slope: 0, mean: 0, explained: 0, residual: 0 }
const maxima = new Float64Array(MAXIMA.length)
/** Loads, and then their log ratios. */
const raw = new Float64Array(RATIOS)

/**
 * What is known of a load at one moment, as log ratios to its mean of the last minute. Two readings of it: the
 * inputs of a regression, and the simple forecasts of the coming maximum (NaN: not known yet).
 * Returns the base: ln(mean of the last minute + floor).
 */
export function fillFeatures(
  moment: Moment,
  inputs: Float64Array,
  candidates: Float64Array,
): number {
  const { recent, floor } = moment
  const base = Math.log(recent.minute + floor)
  fillPlain(moment)
  fillSeasons(moment, inputs)
  for (let i = 0; i < RATIOS; i++) {
    const ratio = Math.log((raw[i] ?? NaN) + floor) - base
    raw[i] = ratio
    const value = clip(ratio === ratio ? ratio : 0)
    inputs[i] = value
    inputs[RATIOS + i] = value > 0 ? value : 0
  }
  const { minute } = recent
  const longMean = Math.max(long.mean, floor)
  const shortMean = Math.max(short.mean, floor)
  inputs[SHAPE] = clip((long.slope / longMean) * 40)
  inputs[SHAPE + 1] = clip((short.slope / shortMean) * 8)
  inputs[SHAPE + 2] = long.explained
  inputs[SHAPE + 3] = Math.min(long.residual / longMean, 3)
  inputs[SHAPE + 4] = Math.min(short.residual / shortMean, 3)
  // `floor` is 1/400 of the peak: the level of the load against a twentieth of it.
  inputs[SHAPE + 5] = clip(Math.log((minute + floor) / (20 * floor)))
  inputs[BIAS] = 1
  fillCandidates(candidates, inputs)
  return base
}

function fillPlain(moment: Moment): void {
  const { recent } = moment
  recent.fit(40, long)
  recent.fit(8, short)
  recent.maxima(MAXIMA, maxima)
  raw[0] = recent.smooth
  for (let i = 0; i < MAXIMA.length; i++) raw[1 + i] = maxima[i] ?? 0
  raw[6] = recent.fiveMinutes
  raw[7] = recent.halfHour
  raw[8] = drawnAhead(long, moment)
  raw[9] = drawnAhead(short, moment)
}

function drawnAhead({ level, slope }: Line, { recent, horizon, floor }: Moment): number {
  const { minute } = recent
  return Math.min(Math.max(level + slope * horizon, 0.3 * minute), 3 * minute + floor)
}

/** Of each lag: the maximum around that time, the one over the same horizon, the load then, the change. */
function fillSeasons({ season, slot, horizon, floor }: Moment, inputs: Float64Array): void {
  for (let i = 0; i < LAGS.length; i++) {
    const then = slot - (LAGS[i] ?? 0)
    const at = PLAIN + 3 * i
    const around = season.max(then - 8, then + horizon + 8)
    const ahead = season.max(then, then + horizon)
    const level = season.max(then - 1, then)
    raw[at] = around
    raw[at + 1] = ahead
    raw[at + 2] = level
    const change = Math.log((ahead + floor) / (level + floor))
    inputs[CHANGES + i] = around === around ? clip(change) : 0
  }
}

function fillCandidates(candidates: Float64Array, inputs: Float64Array): void {
  candidates[0] = 0
  for (let i = 1; i < PLAIN; i++) candidates[i] = raw[i] ?? NaN
  const [hour, day, two, three, week] = [PLAIN, PLAIN + 3, PLAIN + 6, PLAIN + 9, PLAIN + 12]
  const around = raw[day] ?? NaN
  const ahead = raw[day + 1] ?? NaN
  const max2 = raw[MAX_2_MINUTES] ?? 0
  const max5 = raw[3] ?? 0
  candidates[10] = around
  candidates[YESTERDAY] = ahead
  candidates[12] = raw[week] ?? NaN
  candidates[13] = around === around ? (inputs[CHANGES + 1] ?? NaN) : NaN
  candidates[14] = Math.max(max2, around)
  candidates[15] = Math.max(max5, ahead)
  candidates[16] = Math.max(max2, raw[9] ?? 0)
  const threeDays = Math.max(around, raw[two] ?? NaN)
  candidates[17] = threeDays === threeDays ? Math.max(threeDays, orLow(raw[three])) : around
  candidates[18] = Math.max(max2, raw[hour] ?? NaN)
  candidates[19] = raw[hour + 1] ?? NaN
}

const orLow = (value = NaN) => (value === value ? value : -Infinity)
