import { describe, expect, test } from 'vitest'
import { signalMetricsText } from '../../adapter/signalMetrics.ts'
import type { Forecast, Reading, SignalReadings, Why } from '../../src/model.ts'
import { createBoard } from '../../src/signal/board.ts'
import { signalOf } from '../kit/signals.ts'

const NOW_MS = 1_700_000_100_000
const series = { fresh: 1, stale: 0, warmingUp: 0 }
const fresh = (value: number, why: Partial<Why> = {}, labels = {}): Reading => ({
  ...{ state: 'fresh', labels, value, dataMs: NOW_MS - 1500, windowMs: 0 },
  why: { observed: value, series, ...why },
})
const stale: Reading = {
  ...{ state: 'stale', labels: { zone: 'b' }, lastValue: 9, dataMs: NOW_MS - 60_000 },
  ...{ ageMs: 60_000, cause: 'old', why: { series } },
}
const absent: Reading = {
  ...{ state: 'absent', labels: {}, reason: 'no-series', cause: 'none', why: { series } },
}
const of = (readings: readonly Reading[], more: Partial<SignalReadings> = {}): SignalReadings => ({
  ...{ signal: signalOf(), evaluatedMs: NOW_MS, readings },
  ...more,
})

async function linesOf(...signals: readonly SignalReadings[]): Promise<string[]> {
  const board = createBoard()
  board.publish(signals, true)
  const text = await signalMetricsText(board, NOW_MS)
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

describe('what is told of signals', () => {
  test('counts readings by state, adds what is fresh, and has the age of the oldest data', async () => {
    const readings = [fresh(2, {}, { zone: 'a' }), stale, fresh(0.5, {}, { zone: 'c' })]
    expect(await linesOf(of(readings))).toEqual([
      'tideline_readings{namespace="vision",signal="queue",state="fresh"} 2',
      'tideline_readings{namespace="vision",signal="queue",state="stale"} 1',
      'tideline_signal_value{namespace="vision",signal="queue"} 2.5',
      'tideline_signal_data_age_seconds{namespace="vision",signal="queue"} 60',
      'tideline_signal_observed{namespace="vision",signal="queue",group="zone=a"} 2',
      'tideline_signal_observed{namespace="vision",signal="queue",group="zone=c"} 0.5',
      'tideline_signal_observed_data_seconds{namespace="vision",signal="queue",group="zone=a"} 1700000098.5',
      'tideline_signal_observed_data_seconds{namespace="vision",signal="queue",group="zone=c"} 1700000098.5',
    ])
  })

  test('is no number where none is known', async () => {
    expect(await linesOf(of([absent]))).toEqual([
      'tideline_readings{namespace="vision",signal="queue",state="absent"} 1',
    ])
    expect(await linesOf(of([]))).toEqual([])
  })

  test('has the losses of forecasts, and how many are off', async () => {
    const forecast = (trusted: boolean): Forecast => ({
      ...{ upper: 1, trusted, losses: { own: 0.25, seasonal: 0.5 } },
    })
    const readings = [true, false, false].map((trusted, at) =>
      fresh(1, { forecast: forecast(trusted) }, { zone: String(at) }),
    )
    expect((await linesOf(of(readings))).filter((line) => line.includes('_forecast_'))).toEqual([
      'tideline_forecast_off{namespace="vision",signal="queue"} 2',
      'tideline_forecast_loss{namespace="vision",signal="queue",of="forecast"} 0.75',
      'tideline_forecast_loss{namespace="vision",signal="queue",of="yesterday"} 1.5',
    ])
  })

  test("escapes what the format asks for in a label's value", async () => {
    const signal = signalOf({ namespace: 'a\\b', name: 'say "x"\ny' })
    expect((await linesOf(of([absent], { signal })))[0]).toBe(
      String.raw`tideline_readings{namespace="a\\b",signal="say \"x\"\ny",state="absent"} 1`,
    )
  })

  test('is of one tick, whatever comes while it is written, and lets others have their turn', async () => {
    const board = createBoard()
    board.publish(
      Array.from({ length: 1000 }, () => of([fresh(1)])),
      true,
    )
    const text = signalMetricsText(board, NOW_MS)
    let turned = false
    setImmediate(() => {
      turned = true
      board.publish([of([fresh(2)])], true)
    })
    const values = (await text).matchAll(/^tideline_signal_value\{.*\} (.*)$/gm)
    expect(turned).toBe(true)
    expect([...values].map(([, value]) => value)).toEqual(Array<string>(1000).fill('1'))
  })
})
