import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Reading, SignalReadings } from '../../src/model.ts'
import { readingsJson } from '../../adapter/readings.ts'
import { whyText } from '../../adapter/why.ts'
import { readerOf, signalOf } from '../metrics-api/fakes.ts'

const NOW_MS = Date.UTC(2026, 2, 4, 13, 0, 0)
const MINUTE_MS = 60_000
const series = { fresh: 1, stale: 0, warmingUp: 0 }

const zone = process.env['TZ']
beforeAll(() => {
  process.env['TZ'] = 'Asia/Kolkata'
})
afterAll(() => {
  if (zone === undefined) delete process.env['TZ']
  else process.env['TZ'] = zone
})

function told(reading: Reading, more: Partial<SignalReadings> = {}): string {
  const signal = signalOf('queue', {}, [], 'vision')
  const reader = readerOf([{ signal, evaluatedMs: NOW_MS, readings: [reading], ...more }])
  return whyText(readingsJson(reader, ''), NOW_MS)
}

const HELD: Reading = {
  state: 'fresh',
  labels: {},
  value: 40,
  dataMs: NOW_MS,
  windowMs: 0,
  why: {
    series,
    observed: 3,
    hold: {
      fromMs: NOW_MS - 24 * 60 * MINUTE_MS,
      untilMs: NOW_MS + 7 * MINUTE_MS,
      reason:
        'yesterday at this time load came back to 32 within 4 min, as on 3 of the last 4 days',
    },
    forecast: { upper: 41.23456, trusted: true, losses: { own: 0.0123, seasonal: 0.02 } },
  },
}

describe('in words, where the person is', () => {
  test('a hold', () => {
    const startUp = { ms: 158_000, of: 'measured', seen: 10, reason: 'a pod takes 158 s to start (p90 of 10 seen)' } as const // prettier-ignore
    expect(told(HELD, { startUp }).split('\n')).toEqual([
      'vision/queue is 40 (observed 3), data of 18:30:00',
      '  held until 18:37:00: yesterday at this time load came back to 32 within 4 min, as on 3 of the last 4 days (since 2026-03-03 18:30:00)',
      '  the forecast is on: at most 41.23 (95 %); it lost 0.0123 lately, the season alone 0.02',
      '  a pod takes 158 s to start (p90 of 10 seen)',
    ])
  })

  test('a forecast that is off', () => {
    const forecast = { upper: 41, trusted: false, losses: { own: 0.1, seasonal: 0.02 } }
    const text = told({ ...HELD, why: { series, observed: 40, forecast } })
    expect(text).toContain('the forecast is off, the fixed window rules: it lost 0.1 lately')
    expect(text).not.toContain('observed')
  })

  test('a forecast that nothing came after yet', () => {
    const text = told({
      ...HELD,
      why: { series, observed: 40, forecast: { upper: 41, trusted: true } },
    })
    expect(text).toContain('at most 41 (95 %); nothing came yet to compare it with')
  })

  test('a window of the HPA', () => {
    const window = { leastMs: 61_500, mostMs: 90_500, reason: 'a load comes back' }
    const text = told({ ...HELD, why: { series, observed: 40, window } })
    expect(text).toContain('  the HPA is to hold for at least 62 s: a load comes back')
  })

  test('no data, and old data', () => {
    const absent = told({ state: 'absent', labels: { class: 'a' }, reason: 'no-series', cause: 'source x has no series', why: { series } }) // prettier-ignore
    expect(absent).toBe('vision/queue{class=a} is absent: source x has no series')
    const stale = told({ state: 'stale', labels: {}, lastValue: 7, dataMs: NOW_MS, ageMs: 5, cause: '1 of 1 series older than 45 s', why: { series } }) // prettier-ignore
    expect(stale).toBe('vision/queue is stale: 1 of 1 series older than 45 s; it was 7 at 18:30:00')
  })
})

test('what a terminal would obey is written out', () => {
  const labels = { class: 'a\u001b[2J\n\u009b' }
  const text = told({
    state: 'absent',
    labels,
    reason: 'no-series',
    cause: 'none',
    why: { series },
  })
  expect(text).toBe('vision/queue{class=a\\u001b[2J\\u000a\\u009b} is absent: none')
})

test('a signal is asked for by either name; others are left out', () => {
  const reader = readerOf(
    ['a', 'b'].map((name) => ({
      signal: signalOf(name, {}, [], 'vision'),
      evaluatedMs: NOW_MS,
      readings: [HELD],
    })),
  )
  for (const wanted of ['a', 'vision/a'])
    expect(whyText(readingsJson(reader, wanted), NOW_MS)).toMatch(/^vision\/a is 40[^]*95 %/)
  expect(whyText(readingsJson(reader, 'a'), NOW_MS)).not.toContain('vision/b')
  expect(whyText(readingsJson(reader, 'c'), NOW_MS)).toBe('')
})

test('of very many groups the first are told, and how many there are', () => {
  const readings = Array.from({ length: 1234 }, () => HELD)
  const signal = signalOf('queue', {}, [], 'vision')
  const reader = readerOf([{ signal, evaluatedMs: NOW_MS, readings }])
  expect(whyText(readingsJson(reader, ''), NOW_MS)).toMatch(/vision\/queue: 234 more groups$/)
})

test.each(['', 'no', '[]', '{}', '{"signals":3}'])('%j is no answer of an adapter', (text) => {
  expect(() => whyText(text, NOW_MS)).toThrow('is this a Tideline?')
})
