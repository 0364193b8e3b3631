/** Lag while one of three brokers is killed, or hangs. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { KafkaTrial } from './kafkaLagTrial.ts'
import type { LagRun } from './kafkaLagTrial.ts'

let trial: KafkaTrial
beforeAll(async () => {
  trial = await KafkaTrial.start({ nodes: 3 })
}, 120_000)
afterAll(() => trial.stop())
afterEach(() => trial.endRuns())

const PARTITIONS = 6
const LAGS = [1, 2, 3, 4, 5, 6]

async function behind(): Promise<{ readonly topic: string; readonly group: string }> {
  const named = await trial.topic(PARTITIONS)
  for (const [partition, lag] of LAGS.entries())
    await trial.produce(named.topic, partition, lag, () => Date.now() - 60_000)
  const all = Array.from({ length: PARTITIONS }, (_, partition) => [partition, 0])
  await trial.commit(named.group, named.topic, Object.fromEntries(all))
  return named
}

/** Every batch tells the whole lag: none of them knows a part of it only. */
function expectWhole(run: LagRun): void {
  for (const batch of run.sink.batches) {
    const of = (metric: string) => batch.samples.filter((sample) => sample.metric === metric)
    expect(of('kafka_group_lag').map(({ value }) => value)).toEqual(LAGS)
    expect(of('kafka_group_scaling_lag').map(({ value }) => value)).toEqual([21])
  }
}

test.each(['kill', 'suspend'] as const)(
  'one of three brokers, %s: failures are told, never a part of the lag, and the rest takes over',
  async (how) => {
    const { topic, group } = await behind()
    const run = trial.run({ group, topics: [topic] })
    await run.until(() => run.value('kafka_group_scaling_lag') === 21)

    const node = trial.server.nodes[1]!
    if (how === 'kill') await node.kill()
    else node.suspend()
    try {
      await run.until(() => run.failure() !== undefined)
      // Until its leases are over, and the others lead what it led.
      const fromMs = Date.now()
      await run.until(() => run.sink.batches.some(({ atMs }) => atMs > fromMs), 30_000)
    } finally {
      if (how === 'kill') await node.restart()
      else node.resume()
    }
    await run.next()
    expectWhole(run)
    for (const { code } of run.sink.failures)
      expect(['timeout', 'unavailable', 'refused']).toContain(code)
  },
  60_000,
)
