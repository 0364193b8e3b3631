/** Lag against a real broker, with the truth known: what was produced and committed was written down. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { joinByNewProtocol } from '../setup/kafka/newProtocolMember.ts'
import { KafkaTrial } from './kafkaLagTrial.ts'
import type { LagRun } from './kafkaLagTrial.ts'

let trial: KafkaTrial
beforeAll(async () => {
  trial = await KafkaTrial.start()
}, 120_000)
afterAll(() => trial.stop())
afterEach(() => trial.endRuns())

const lags = (run: LagRun, partitions: number) =>
  Array.from({ length: partitions }, (_, partition) => run.value('kafka_group_lag', partition))

describe('lag in messages', () => {
  test('is what was produced less what was committed, exactly', async () => {
    const { topic, group } = await trial.topic(4)
    for (const [partition, count] of [0, 1, 250, 1000].entries())
      await trial.produce(topic, partition, count)
    await trial.commit(group, topic, { 0: 0, 1: 1, 2: 13, 3: 400 })
    const run = trial.run({ group, topics: [topic] })
    await run.until(() => lags(run, 4).join() === '0,0,237,600')
    expect(run.value('kafka_group_scaling_lag')).toBe(837)
    expect(run.value('kafka_group_partitions')).toBe(4)
    expect(run.value('kafka_group_members')).toBe(0)
  })

  test('does not count what retention has deleted', async () => {
    const { topic, group } = await trial.topic(1)
    await trial.produce(topic, 0, 100)
    await trial.commit(group, topic, { 0: 10 })
    await trial.retain(topic, 0, 70)
    const run = trial.run({ group, topics: [topic] })
    await run.until(() => run.value('kafka_group_lag', 0) === 30)
  })

  test.each([
    ['earliest', 30, 30],
    ['latest', 0, 1],
    ['ignore', undefined, undefined],
  ] as const)('of a group without a commit, %s', async (noCommit, lag, scaling) => {
    const { topic, group } = await trial.topic(1)
    await trial.produce(topic, 0, 50)
    await trial.retain(topic, 0, 20)
    const run = trial.run({ group, topics: [topic], noCommit })
    await run.until(() => run.value('kafka_group_partitions') === 1)
    expect(run.value('kafka_group_lag', 0)).toBe(lag)
    expect(run.value('kafka_group_scaling_lag')).toBe(scaling)
    expect(run.notes('kafka_group_lag')).toEqual([
      `1 of 1 partitions have no committed offset: noCommit ${noCommit}`,
    ])
  })

  test('read-committed ends before an open transaction', async () => {
    const { topic, group } = await trial.topic(1)
    await trial.produce(topic, 0, 10)
    await trial.commit(group, topic, { 0: 4 })
    const transaction = await trial.openTransaction(topic, 0, 7)
    const committed = trial.run({ group, topics: [topic], isolation: 'read-committed' })
    const all = trial.run({ group, topics: [topic] })
    await committed.until(() => committed.value('kafka_group_lag', 0) === 6)
    await all.until(() => all.value('kafka_group_lag', 0) === 13)
    await transaction.commit()
    // The mark of the commit is an offset too.
    await committed.until(() => committed.value('kafka_group_lag', 0) === 14)
  })

  test('two groups and two topics of one source do not mix', async () => {
    const one = await trial.topic(2)
    const other = await trial.topic(1)
    await trial.produce(one.topic, 1, 20)
    await trial.produce(other.topic, 0, 30)
    await trial.commit(one.group, one.topic, { 0: 0, 1: 5 })
    await trial.commit(one.group, other.topic, { 0: 6 })
    await trial.commit(other.group, one.topic, { 0: 0, 1: 20 })
    const run = trial.run(
      { group: one.group, topics: [one.topic, other.topic] },
      { group: other.group, topics: [one.topic, `${one.topic}-gone`] },
    )
    const scaling = (topic: string, group: string) =>
      run.value('kafka_group_scaling_lag', undefined, `${topic}@${group}`)
    await run.until(() => scaling(one.topic, one.group) === 15)
    await run.until(() => scaling(other.topic, one.group) === 24)
    await run.until(() => scaling(one.topic, other.group) === 0)
    await run.until(() => run.failure(`${one.topic}-gone@${other.group}`)?.code === 'not-found')
  })
})

describe('lag in seconds', () => {
  test.each(['fetch', 'interpolate'] as const)(
    '%s: since when the next message was there',
    async (lagSeconds) => {
      const { topic, group } = await trial.topic(2)
      const startMs = Date.now()
      // One message each 10 s, the last one a minute ago.
      await trial.produce(topic, 0, 100, (index) => startMs - 60_000 - (99 - index) * 10_000)
      await trial.commit(group, topic, { 0: 40, 1: 0 })
      const run = trial.run({ group, topics: [topic], lagSeconds })
      await run.until(() => run.value('kafka_group_lag_seconds', 0) !== undefined)
      const age = (Date.now() - startMs) / 1000
      const truth = 60 + 59 * 10
      const told = run.value('kafka_group_lag_seconds', 0)!
      // Interpolated between the steps that the broker was asked for, 5 and 15 minutes ago.
      const tolerance = lagSeconds === 'fetch' ? 0.1 : 15
      expect(told).toBeGreaterThan(truth - tolerance)
      expect(told).toBeLessThan(truth + age + tolerance)
      expect(run.value('kafka_group_lag_seconds', 1)).toBe(0)
      expect(run.notes('kafka_group_lag_seconds')[0]).toMatch(
        lagSeconds === 'fetch' ? /timestamps/ : /interpolated/,
      )
    },
  )

  test('follows the group', async () => {
    const { topic, group } = await trial.topic(1)
    const nowMs = Date.now()
    await trial.produce(topic, 0, 3, (index) => nowMs - [500, 300, 100][index]! * 1000)
    await trial.commit(group, topic, { 0: 0 })
    const run = trial.run({ group, topics: [topic] })
    const within = (from: number) => () => {
      const told = run.value('kafka_group_lag_seconds', 0) ?? -1
      return told >= from && told < from + 60
    }
    await run.until(within(500))
    await trial.commit(group, topic, { 0: 2 })
    await run.until(within(100))
    await trial.commit(group, topic, { 0: 3 })
    await run.until(() => run.value('kafka_group_lag_seconds', 0) === 0)
  })

  test('the mark of a transaction is no late message', async () => {
    const { topic, group } = await trial.topic(1)
    const transaction = await trial.openTransaction(topic, 0, 5)
    await transaction.commit()
    await trial.commit(group, topic, { 0: 5 })
    const run = trial.run({ group, topics: [topic] })
    await run.until(() => run.value('kafka_group_lag', 0) === 1)
    await run.until(() => run.value('kafka_group_lag_seconds', 0) === 0)
  })
})

describe('from poll to poll', () => {
  test('counts what is produced and consumed, and the time to drain', async () => {
    const { topic, group } = await trial.topic(2)
    await trial.produce(topic, 0, 500)
    await trial.commit(group, topic, { 0: 0, 1: 0 })
    const run = trial.run({ group, topics: [topic] })
    await run.until(() => run.value('kafka_group_lag', 0) === 500)
    for (const offset of [40, 80, 120, 160]) {
      await trial.produce(topic, 1, 5)
      await trial.commit(group, topic, { 0: offset })
      await run.next()
    }
    await run.until(() => run.value('kafka_group_consumed', 0) === 160)
    await run.until(() => run.value('kafka_topic_produced', 1) === 20)
    expect(run.value('kafka_topic_produced', 0)).toBe(0)
    const drain = run.value('kafka_group_drain_seconds')
    expect(drain).toBeGreaterThan(0)
    expect(drain).toBeLessThan(120)
  })

  test('a group that goes back counts nothing, and what it reads again it consumes', async () => {
    const { topic, group } = await trial.topic(1)
    await trial.produce(topic, 0, 100)
    await trial.commit(group, topic, { 0: 80 })
    const run = trial.run({ group, topics: [topic] })
    await run.until(() => run.value('kafka_group_lag', 0) === 20)
    await trial.commit(group, topic, { 0: 10 })
    await run.until(() => run.value('kafka_group_lag', 0) === 90)
    expect(run.value('kafka_group_consumed', 0)).toBe(0)
    await trial.commit(group, topic, { 0: 60 })
    await run.until(() => run.value('kafka_group_consumed', 0) === 50)
  })

  test('a topic that is deleted and made again begins anew', async () => {
    const { topic, group } = await trial.topic(1)
    await trial.produce(topic, 0, 1000)
    await trial.commit(group, topic, { 0: 900 })
    const run = trial.run({ group, topics: [topic], noCommit: 'earliest' })
    await run.until(() => run.value('kafka_group_lag', 0) === 100)
    await trial.admin.deleteTopics({ topics: [topic] })
    await run.until(() => run.failure(`${topic}@${group}`)?.code === 'not-found')
    await trial.remake(topic, 1)
    await trial.produce(topic, 0, 7)
    await run.until(() => run.value('kafka_topic_produced', 0) === 7)
    await run.until(() => run.value('kafka_group_lag', 0) === 7)
    expect(run.value('kafka_group_consumed', 0)).toBe(0)
  })

  test('partitions that are added are counted', async () => {
    const { topic, group } = await trial.topic(1)
    await trial.commit(group, topic, { 0: 0 })
    const run = trial.run({ group, topics: [topic], noCommit: 'earliest' })
    await run.until(() => run.value('kafka_group_partitions') === 1)
    await trial.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    await run.until(() => run.value('kafka_group_partitions') === 3)
    await trial.produce(topic, 2, 4)
    await run.until(() => run.value('kafka_group_lag', 2) === 4)
  })
})

test('a group of the new protocol has its lag; what its state would tell is not made up', async () => {
  const { topic, group } = await trial.topic(1)
  await trial.produce(topic, 0, 12)
  await trial.commit(group, topic, { 0: 5 })
  await joinByNewProtocol(trial.server.brokers[0]!, group, topic)
  const run = trial.run({ group, topics: [topic] })
  await run.until(() => run.value('kafka_group_lag', 0) === 7)
  expect(run.value('kafka_group_scaling_lag')).toBe(7)
  expect(run.value('kafka_group_members')).toBeUndefined()
  expect(run.value('kafka_group_rebalancing')).toBeUndefined()
  expect(run.notes('kafka_group_scaling_lag')).toEqual([
    'not damped: the group is of the new protocol, or there is none',
  ])
})

describe('with consumers', () => {
  test('a partition that one message blocks is stuck; the others are not', async () => {
    const { topic, group } = await trial.topic(2)
    await trial.commit(group, topic, { 0: 0, 1: 0 })
    const consumer = await trial.consume(group, topic, async ({ partition }) => {
      if (partition === 0) throw new Error('poison')
    })
    const run = trial.run({ group, topics: [topic], stuckAfter: 2, excludeStuck: true })
    await trial.produce(topic, 0, 9)
    await run.until(async () => {
      await trial.produce(topic, 1, 1)
      const settled = run.value('kafka_group_rebalancing') === 0
      return settled && run.value('kafka_group_stuck_partitions') === 1
    })
    expect(run.notes('kafka_group_stuck_partitions')).toEqual(['partitions 0'])
    expect(run.notes('kafka_group_scaling_lag')).toContain('stuck partitions are left out: 0')
    expect(run.value('kafka_group_lag', 0)).toBe(9)
    // The other may be behind too, as the consumer begins anew after each poison.
    const other = run.value('kafka_group_lag', 1) ?? NaN
    expect(run.value('kafka_group_scaling_lag')).toBe(Math.max(1, other))
    await consumer.stop()
  })

  test('while consumers join, the lag that scales does not fall', async () => {
    const { topic, group } = await trial.topic(2)
    await trial.produce(topic, 0, 50)
    await trial.commit(group, topic, { 0: 0, 1: 0 })
    const held = Promise.withResolvers<void>()
    // It holds its message, so that it comes late to the rebalance that the second one begins.
    const first = await trial.consume(group, topic, () => held.promise)
    const run = trial.run({ group, topics: [topic] })
    await run.until(() => run.value('kafka_group_members') === 1)
    await run.until(() => run.value('kafka_group_scaling_lag') === 50)
    const second = trial.consume(group, topic, () => Promise.resolve())
    await run.until(() => run.value('kafka_group_rebalancing') === 1)
    // What would make it fall: partition 0 has less retained.
    await trial.retain(topic, 0, 30)
    await run.until(() => run.value('kafka_group_lag', 0) === 20)
    expect(run.value('kafka_group_rebalancing')).toBe(1)
    expect(run.value('kafka_group_scaling_lag')).toBe(50)
    expect(run.notes('kafka_group_scaling_lag')).toEqual([
      'held while the group rebalances; it would be 20',
    ])
    held.resolve()
    await (await second).stop()
    await first.stop()
    await run.until(() => (run.value('kafka_group_scaling_lag') ?? 50) <= 20)
  })
})
