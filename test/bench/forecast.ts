/** Cost of forecasting: one step, memory for each series, many series at one tick. */
import { systemClock } from '../../src/clock.ts'
import { createPredictiveStabilizer, PREDICTIVE_DEFAULTS } from '../../src/forecast/predictive.ts'
import type { BenchRow } from './evaluate.ts'
import { bytesInUse } from './memory.ts'

const SERIES = 10_000
const BEGIN_MS = 1_700_000_010_000
const SLOT_MS = 15_000

export function benchForecast(): BenchRow[] {
  const stabilizer = createPredictiveStabilizer(PREDICTIVE_DEFAULTS)
  return [...oneSeries(stabilizer), ...manySeries(stabilizer)]
}

function oneSeries(stabilizer: ReturnType<typeof createPredictiveStabilizer>): BenchRow[] {
  const WEEK = 40_320
  let state = stabilizer.initial()
  const go = (from: number) => {
    for (let i = from; i < from + WEEK; i++)
      state = stabilizer.step(state, load(i, 0), BEGIN_MS + i * SLOT_MS).state
  }
  go(0)
  const begin = systemClock.monotonicMs()
  go(WEEK)
  const tookMs = systemClock.monotonicMs() - begin
  return [
    {
      what: 'forecast: step of a slot of 15 s, in the second week',
      value: (tookMs / WEEK) * 1e3,
      unit: 'µs',
    },
  ]
}

function manySeries(stabilizer: ReturnType<typeof createPredictiveStabilizer>): BenchRow[] {
  const emptyBytes = bytesInUse()
  let states = Array.from({ length: SERIES }, () => stabilizer.initial())
  const bytes = (bytesInUse() - emptyBytes) / SERIES
  const tick = (atMs: number, i: number) => {
    const begin = systemClock.monotonicMs()
    states = states.map((state, one) => stabilizer.step(state, load(i, one), atMs).state)
    return systemClock.monotonicMs() - begin
  }
  const between: number[] = []
  const atSlot: number[] = []
  for (let i = 0; i < 12; i++) {
    const atMs = BEGIN_MS + i * SLOT_MS
    atSlot.push(tick(atMs, i))
    for (let s = 1; s < 4; s++) between.push(tick(atMs + s * 1000, i))
  }
  const name = `${SERIES} series at one tick of 1 s`
  return [
    { what: 'forecast: memory for each series', value: bytes, unit: 'bytes' },
    { what: `forecast: ${name}, between slots`, value: median(between), unit: 'ms' },
    { what: `forecast: ${name}, when all learn`, value: median(atSlot.slice(6)), unit: 'ms' },
  ]
}

const load = (i: number, one: number) =>
  50 + one + 40 * Math.sin(i / 900) + ((i * 7919 + one * 104_729) % 23)

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN

if (import.meta.main) {
  for (const { what, value, unit } of benchForecast())
    process.stdout.write(`${what.padEnd(60)} ${value.toFixed(2)} ${unit}\n`)
}
