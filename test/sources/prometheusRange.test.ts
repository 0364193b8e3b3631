import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { HttpClient } from '../../src/sources/http.ts'
import { matrixOf } from '../../src/sources/prometheusMatrix.ts'
import { fetchRange, seemingPaceMs } from '../../src/sources/prometheusRange.ts'
import { secretsFrom } from '../kit/trial.ts'
import { startPrometheus } from '../setup/prometheusServer.ts'
import type { PrometheusServer } from '../setup/prometheusServer.ts'

const STEP_MS = 15_000
/** More than twice what Prometheus gives at one time. */
const STEPS = 25_000
const endMs = Math.floor((Date.now() - 3_600_000) / STEP_MS) * STEP_MS
const fromMs = endMs - (STEPS - 1) * STEP_MS
/** Hours without data, in the middle of the second part. */
const isGap = (step: number) => step >= 15_000 && step < 15_480
const valueAt = (step: number) => 100 + (step % 240)

let prometheus: PrometheusServer

beforeAll(async () => {
  const lines = ['# TYPE load gauge']
  for (let step = 0; step < STEPS; step++)
    if (!isGap(step))
      lines.push(`load{pod="a"} ${valueAt(step)} ${(fromMs + step * STEP_MS) / 1000}`)
  lines.push('# TYPE spread gauge')
  for (const pod of ['a', 'b']) lines.push(`spread{pod="${pod}"} 1 ${endMs / 1000}`)
  lines.push('# EOF\n')
  prometheus = await startPrometheus({ targets: [], scrapeInterval: '1s', past: lines.join('\n') })
}, 60_000)
afterAll(() => prometheus.stop())

async function fetched(query: string, range: Partial<Parameters<typeof fetchRange>[0]> = {}) {
  const client = new HttpClient({ secrets: secretsFrom({}), bodyBytesMax: 8 * 1024 * 1024 })
  const parts: string[] = []
  try {
    const answer = await fetchRange(
      {
        server: { url: `http://127.0.0.1:${prometheus.port}/`, headers: {} },
        ...{ query, fromMs, toMs: endMs, stepMs: STEP_MS, ...range },
      },
      { client, clock: systemClock },
      (part, of) => parts.push(`${part}/${of}`),
    )
    return { ...answer, parts }
  } finally {
    client.close()
  }
}

describe('a range of a real Prometheus', () => {
  test('is asked for in parts that it gives; each sample once, gaps as gaps', async () => {
    // Over a span and not at an instant: else Prometheus repeats the last value for 5 minutes. 14 s, since
    // spans are closed on both sides before Prometheus 3.
    const { points, missing, parts } = await fetched('avg_over_time(load[14s])')
    expect(parts).toEqual(['1/3', '2/3', '3/3'])
    expect(missing).toBe(480)
    const expected = Array.from({ length: STEPS }, (_, step) => step)
      .filter((step) => !isGap(step))
      .map((step) => ({ seconds: (fromMs + step * STEP_MS) / 1000, value: valueAt(step) }))
    expect(points).toEqual(expected)
  })

  test('in one piece it would have been refused', async () => {
    const form = new URLSearchParams({
      ...{ query: 'load', start: String(fromMs / 1000), end: String(endMs / 1000), step: '15s' },
    })
    const answer = await fetch(
      `http://127.0.0.1:${prometheus.port}/api/v1/query_range?${form.toString()}`,
    )
    expect(answer.status).toBe(400)
    expect(await answer.text()).toContain('exceeded maximum resolution of 11,000 points')
  })

  test('steps lie on multiples of the step, within the range', async () => {
    const { points } = await fetched('load', { fromMs: fromMs + 1, toMs: fromMs + 60_001 })
    expect(points.map(({ seconds }) => seconds * 1000 - fromMs)).toEqual([
      15_000, 30_000, 45_000, 60_000,
    ])
  })

  test('what is no number is a gap', async () => {
    const { points, missing, notNumbers } = await fetched('load / (load > bool 150)', {
      toMs: fromMs + 99 * STEP_MS,
    })
    expect(missing).toBe(51)
    expect(notNumbers).toBe(51)
    expect(points[0]).toEqual({ seconds: fromMs / 1000 + 51 * 15, value: 151 })
  })

  test.each([
    ['spread', /gave 2 series \(spread\{pod="a"\}, spread\{pod="b"\}\): write one .* sum/],
    ['sum(', /the server refuses the query \(bad_data\).*parse error/],
  ])('%s is refused', async (query, message) => {
    await expect(fetched(query)).rejects.toThrow(message)
  })

  test('series that follow each other are several, too', async () => {
    const last = `vector(time()) >= ${endMs / 1000 - 86_400}`
    const followed = `label_replace(load, "v", "2", "", "") and on() ${last} or load unless on() ${last}`
    await expect(fetched(followed)).rejects.toThrow('gave 2 series')
  })

  test.each([
    [{ toMs: fromMs }, 'fewer than two steps'],
    [{ stepMs: 1 }, 'choose a longer step or a shorter range'],
  ])('a range of %j is refused', async (range, message) => {
    await expect(fetched('load', range)).rejects.toThrow(message)
  })

  test('a query without samples gives none', async () => {
    expect((await fetched('absent_metric')).points).toEqual([])
  })
})

describe('the pace that data seems to have', () => {
  const every = (repeats: number, count: number) =>
    Array.from({ length: count * repeats }, (_, at) => ({
      seconds: at * 15,
      value: Math.floor(at / repeats),
    }))
  test.each([
    ['as the step', every(1, 50), undefined],
    ['four steps', every(4, 50), 60_000],
    ['too few changes to tell', every(4, 5), undefined],
    ['constant', every(500, 1), undefined],
  ])('%s', (_, points, pace) => {
    expect(seemingPaceMs(points, STEP_MS)).toBe(pace)
  })
})

test('histograms are no load', () => {
  const result = [{ metric: {}, histograms: [] }]
  expect(() => matrixOf('matrix', result)).toThrow('native histograms')
})
