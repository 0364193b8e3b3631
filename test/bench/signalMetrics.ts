/**
 * What a scrape of the adapter's metrics costs at 10,000 signals: the whole, and the longest time that it keeps all
 * else waiting; beside prom-client's gauges with the same lines in the same run. Run alone:
 * `node test/bench/signalMetrics.ts`.
 */
import { Gauge, Registry } from 'prom-client'
import { SIGNAL_FAMILIES, signalMetricsText, toldOf } from '../../adapter/signalMetrics.ts'
import { systemClock } from '../../src/clock.ts'
import type { SignalReadings } from '../../src/model.ts'
import type { SignalReader } from '../../src/ports.ts'
import { createBoard } from '../../src/signal/board.ts'
import { signalOf } from '../kit/signals.ts'
import type { BenchRow } from './evaluate.ts'

const SIGNALS = 10_000
const ROUNDS = 11
const NOW_MS = 1_700_000_000_000

export async function benchSignalMetrics(): Promise<BenchRow[]> {
  const board = createBoard()
  board.publish(Array.from({ length: SIGNALS }, readingsOf), true)
  const library = gaugesOf(board)
  const cases = [
    ['prom-client', () => library.metrics()],
    ['own lines', () => signalMetricsText(board, NOW_MS)],
  ] as const
  const rows: BenchRow[] = []
  for (const [name, text] of cases) {
    const { wholeMs, blockedMs, bytes } = await measure(text)
    const what = `/metrics of ${SIGNALS} signals, ${name}`
    rows.push(
      { what: `${what}: whole`, value: wholeMs, unit: 'ms' },
      { what: `${what}: all else waits`, value: blockedMs, unit: 'ms' },
      { what: `${what}: size`, value: bytes / 2 ** 20, unit: 'MiB' },
    )
  }
  return rows
}

/** A predicted hold on one reading, as most signals have it. */
function readingsOf(_: unknown, at: number): SignalReadings {
  return {
    signal: signalOf({
      id: `ns-${at % 100}/signal-${at}`,
      namespace: `ns-${at % 100}`,
      name: `signal-${at}`,
    }),
    evaluatedMs: NOW_MS,
    readings: [
      {
        ...{ state: 'fresh', labels: {}, value: at + 0.5, dataMs: NOW_MS - 700, windowMs: 0 },
        why: {
          observed: at / 3,
          series: { fresh: 1, stale: 0, warmingUp: 0 },
          forecast: { upper: at + 1, trusted: true, losses: { own: 0.1, seasonal: at / 7 } },
        },
      },
    ],
  }
}

/** The same families as gauges that are filled when they are asked for, each by a walk over the signals. */
function gaugesOf(reader: SignalReader): Registry {
  const registry = new Registry()
  for (const { name, help, label, tell } of SIGNAL_FAMILIES)
    new Gauge({
      ...{ name, help, registers: [registry] },
      labelNames: ['namespace', 'signal', ...(label === undefined ? [] : [label])],
      collect() {
        this.reset()
        for (const one of reader.all()) {
          const common = { namespace: one.signal.namespace, signal: one.signal.name }
          tell(toldOf(one, NOW_MS), (value, extra) =>
            this.set(
              label === undefined || extra === undefined ? common : { ...common, [label]: extra },
              value,
            ),
          )
        }
      },
    })
  return registry
}

/** Medians. What waits is a task that asks for its turn again and again. */
async function measure(text: () => Promise<string>) {
  const rounds: { wholeMs: number; blockedMs: number; bytes: number }[] = []
  for (let round = 0; round < ROUNDS + 3; round++) {
    let over = false
    let blockedMs = 0
    let lastMs = systemClock.monotonicMs()
    const look = () => {
      const nowMs = systemClock.monotonicMs()
      blockedMs = Math.max(blockedMs, nowMs - lastMs)
      lastMs = nowMs
      if (!over) setImmediate(look)
    }
    setImmediate(look)
    const beginMs = systemClock.monotonicMs()
    const bytes = Buffer.byteLength(await text())
    const wholeMs = systemClock.monotonicMs() - beginMs
    over = true
    look()
    if (round >= 3) rounds.push({ wholeMs, blockedMs, bytes })
  }
  const median = (of: (round: (typeof rounds)[number]) => number) =>
    rounds.map(of).toSorted((a, b) => a - b)[ROUNDS >> 1] ?? NaN
  return {
    wholeMs: median((one) => one.wholeMs),
    blockedMs: median((one) => one.blockedMs),
    bytes: median((one) => one.bytes),
  }
}

if (import.meta.main) {
  for (const { what, value, unit } of await benchSignalMetrics())
    process.stdout.write(`${what.padEnd(60)} ${value.toFixed(2)} ${unit}\n`)
}
