import type { Reading, SignalReadings } from '../src/model.ts'
import type { SignalReader } from '../src/ports.ts'
import { instant } from './instant.ts'

/** A signal with more groups tells the first of them, and how many there are. */
const READINGS_MAX = 1000

/**
 * All readings, or those of the signal `wanted` (NAMESPACE/NAME, or NAME), as JSON: what each value is and why, with
 * times as instants. Nothing that is not known is there.
 */
export function readingsJson(reader: SignalReader, wanted: string): string {
  let left = READINGS_MAX
  const signals: unknown[] = []
  for (const one of reader.all()) {
    const { signal } = one
    if (wanted !== '' && wanted !== signal.id && wanted !== signal.name) continue
    signals.push(signalOf(one, left))
    left = Math.max(0, left - one.readings.length)
  }
  return JSON.stringify({ signals })
}

function signalOf(one: SignalReadings, most: number) {
  const { signal, evaluatedMs, readings, startUp, forecastFlaw } = one
  const told = readings.slice(0, most)
  return {
    signal: signal.id,
    evaluated: instant(evaluatedMs),
    startUp: startUp?.reason,
    forecastFlaw,
    readings: told.map(readingOf),
    leftOut: told.length < readings.length ? readings.length - told.length : undefined,
  }
}

function readingOf(reading: Reading) {
  const { state, labels, why } = reading
  const { hold, window, forecast } = why
  return {
    labels,
    state,
    ...valueOf(reading),
    observed: why.observed,
    hold: hold && {
      since: instant(hold.fromMs),
      until: instant(hold.untilMs),
      reason: hold.reason,
    },
    window: window && {
      leastSeconds: Math.ceil(window.leastMs / 1000),
      mostSeconds: window.mostMs === undefined ? undefined : Math.floor(window.mostMs / 1000),
      reason: window.reason,
    },
    forecast,
    fallback: why.fallback,
    series: why.series,
    unattributed: why.unattributed,
    notes: why.notes,
  }
}

function valueOf(reading: Reading) {
  switch (reading.state) {
    case 'fresh':
      return { value: reading.value, data: instant(reading.dataMs) }
    case 'stale':
      return { lastValue: reading.lastValue, data: instant(reading.dataMs), cause: reading.cause }
    case 'absent':
      return { reason: reading.reason, cause: reading.cause }
  }
}
