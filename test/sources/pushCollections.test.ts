/** Deltas that were lost on the way are not known, and those that were not sent since nothing was counted are zero. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { evaluateCollected } from '../../src/signal/collected.ts'
import { begin } from './pushedMeasurements.ts'
import type { Told } from './pushedMeasurements.ts'

const WINDOW = { function: 'rate', durationMs: 30_000, quantile: 0 } as const
const EVERY_MS = 5000

/**
 * A process with OpenTelemetry that counts and collects every 5 s. A counter that counted nothing is not sent; one that
 * counts again begins with its first count (`first`, as the SDK for JavaScript has it) or with the collection before
 * (`collection`, as others do).
 */
async function processOf(begins: 'first' | 'collection', everyMs = EVERY_MS) {
  const begun = begin({ bucket: '1s' })
  const { clock, send, series } = begun
  await clock.advance(121_000 - (clock.nowMs() % 1000))
  const counted = new Map<string, number[]>()
  let active = new Set<string>()
  const collect = async (
    counts: Readonly<Record<string, readonly number[]>>,
    way: 'sent' | 'lost' | 'twice' = 'sent',
    hasLevel = false,
  ) => {
    const beganMs = clock.nowMs()
    await clock.advance(everyMs)
    const points: Told[] = hasLevel ? [{ kind: 'gauge', metric: 'depth', stream: 'depth' }] : []
    const now = new Set<string>()
    for (const [model, after] of Object.entries(counts)) {
      const at = after.map((ms) => beganMs + ms).toSorted((a, b) => a - b)
      counted.set(model, [...(counted.get(model) ?? []), ...at])
      const [first] = at
      if (first === undefined) continue
      now.add(model)
      const startMs = begins === 'collection' || active.has(model) ? beganMs : first
      points.push({ kind: 'delta', value: at.length, startMs, labels: { model } })
    }
    active = now
    if (points.length === 0 || way === 'lost') return
    send(points)
    if (way === 'twice') send(points)
  }
  const rates = () =>
    Object.fromEntries(
      series('requests_total').map((one) => {
        const told = evaluateCollected(one, WINDOW)
        return [one.labels['model'], told.state === 'value' ? told.value : told.state]
      }),
    )
  /** What is stored of the time that is known, and what was counted in it. */
  const known = () =>
    series('requests_total').map((one) => {
      const { fromMs, untilMs } = one.covered ?? { fromMs: Infinity, untilMs: -Infinity }
      const isIn = (ms: number) => ms >= fromMs && ms < untilMs
      const all = counted.get(one.labels['model'] ?? '') ?? []
      let stored = 0
      for (let at = 0; at < one.length; at += 1)
        if (one.timeAt(at) > fromMs && one.timeAt(at) <= untilMs) stored += one.valueAt(at)
      return { stored, counted: all.filter(isIn).length }
    })
  return { collect, rates, known, ...begun }
}

const TEN = [100, 600, 1100, 1600, 2100, 2600, 3100, 3600, 4100, 4600]

describe.each(['first', 'collection'] as const)('a counter that begins anew with its %s', (how) => {
  test('of which an export was lost counts no zero: its rate is that of the time since', async () => {
    const { collect, rates } = await processOf(how)
    for (let round = 0; round < 10; round += 1) await collect({ yolo: TEN })
    expect(rates()).toEqual({ yolo: 2 })
    await collect({ yolo: TEN }, 'lost')
    expect(rates()).toEqual({ yolo: 2 })
    await collect({ yolo: TEN })
    expect(rates()).toEqual({ yolo: 'interrupted' })
    await collect({ yolo: TEN })
    expect(rates()).toEqual({ yolo: 2 })
  })

  test('is never told for half of what it counts, where every second export is lost', async () => {
    const { collect, rates } = await processOf(how)
    await collect({ yolo: TEN })
    for (let round = 0; round < 30; round += 1) {
      await collect({ yolo: TEN }, 'lost')
      await collect({ yolo: TEN })
      expect(rates()).toEqual({ yolo: 'interrupted' })
    }
  })

  test('and was silent counts zero, where another shows that nothing was lost', async () => {
    const { collect, rates } = await processOf(how)
    for (let round = 0; round < 10; round += 1) await collect({ yolo: TEN, detr: TEN })
    await collect({ yolo: TEN })
    await collect({ yolo: TEN })
    await collect({ yolo: TEN, detr: TEN })
    expect(rates()).toEqual({ yolo: 2, detr: 40 / 30 })
  })

  test('and was silent counts zero, where a level came each time', async () => {
    const { collect, rates } = await processOf(how)
    for (let round = 0; round < 10; round += 1) await collect({ yolo: TEN }, 'sent', true)
    await collect({}, 'sent', true)
    await collect({}, 'sent', true)
    await collect({ yolo: TEN.slice(6) }, 'sent', true)
    expect(rates()).toEqual({ yolo: (3 * 10 + 4) / 30 })
  })

  test('all that is known is counted, whatever is lost, repeated or silent', async () => {
    const counts = fc.array(fc.integer({ min: 0, max: 999 }), { maxLength: 3 })
    const round = fc.record({
      yolo: counts,
      detr: counts,
      way: fc.constantFrom('sent', 'sent', 'lost', 'twice'),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(round, { maxLength: 40 }),
        fc.boolean(),
        fc.constantFrom(1, 5),
        async (rounds, hasLevel, seconds) => {
          const { collect, known } = await processOf(how, seconds * 1000)
          // By then it is known how often it exports.
          for (let at = 0; at < 4; at += 1) await collect({ yolo: [at], detr: [] })
          for (const { way, yolo, detr } of rounds) {
            const later = (ms: number) => ms * seconds
            await collect({ yolo: yolo.map(later), detr: detr.map(later) }, way, hasLevel)
            for (const { stored, counted } of known()) expect(stored).toBe(counted)
          }
        },
      ),
      { numRuns: 100 },
    )
  })
})
