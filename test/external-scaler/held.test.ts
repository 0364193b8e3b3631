/** From the store through the evaluator to KEDA's answers. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MissingPolicy } from '../../src/model.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { createEvaluator } from '../../src/signal/evaluator.ts'
import { QUEUE, startScaler } from './scaler.ts'
import type { Running, ScalerClient } from './scaler.ts'

const HOLD_MS = 60_000

let scaler: Running
let client: ScalerClient

beforeEach(async () => {
  scaler = await startScaler()
  client = scaler.client()
})
afterEach(() => scaler?.close())

/** The queue as a signal; `put` collects it, `fail` fails to, and both evaluate at once. */
function stage(changes: Partial<typeof QUEUE>) {
  const { clock, log, board } = scaler
  const view = createSeriesStore({
    seriesMax: 10,
    pointsPerSeriesMax: 1000,
    historyMs: 3_600_000,
    futureToleranceMs: 5000,
    labelsMax: 20,
    labelLengthMax: 200,
  })
  const evaluator = createEvaluator({ clock, log, board, view, intervalMs: 1000 })
  evaluator.setSignals([{ ...QUEUE, ...changes }])
  const atMs = () => clock.nowMs()
  return {
    put(value: number) {
      const sample = { metric: 'm', labels: {}, kind: 'gauge', value, timestampMs: atMs() } as const
      view.write({ source: 's', origin: 'o', atMs: atMs(), complete: true, samples: [sample] })
      evaluator.tick(atMs())
    },
    fail() {
      view.fail('s', 'o', { code: 'refused', message: 'connection refused', atMs: atMs() })
      evaluator.tick(atMs())
    },
  }
}

test('the last replica stays while the value is held: no zero between two pulses', async () => {
  const { put } = stage({ stabilize: { policy: 'fixed', windowMs: HOLD_MS } })
  put(12)
  expect([await client.value(), await client.active()]).toEqual([12, true])
  for (let passed = 0; passed < HOLD_MS - 1000; passed += 10_000) {
    await scaler.clock.advance(10_000)
    put(0)
    const held = [await client.value(), await client.active()]
    expect(held, `${passed} ms later`).toEqual(passed + 10_000 < HOLD_MS ? [12, true] : [0, false])
  }
  await scaler.clock.advance(1000)
  put(0)
  expect([await client.value(), await client.active()]).toEqual([0, false])
})

describe('a source that is down', () => {
  const declared: [MissingPolicy, number | RegExp][] = [
    [{ answer: 'error' }, /^UNAVAILABLE: .*connection refused/],
    [{ answer: 'hold', maxAgeMs: 600_000 }, 12],
    [{ answer: 'zero' }, 0],
    [{ answer: 'value', value: 3 }, 3],
  ]
  test.each(declared)('with the policy %o', async (whenStale, expected) => {
    const { put, fail } = stage({ whenStale, freshForMs: 30_000 })
    put(12)
    const specification = await client.spec()
    await scaler.clock.advance(40_000)
    fail()
    const [value, active] = [await client.value(), await client.active()]
    if (typeof expected === 'number') expect([value, active]).toEqual([expected, expected > 0])
    else {
      expect(value).toMatch(expected)
      expect(active).toBe(value)
    }
    expect(await client.spec()).toEqual(specification)
  })
})
