/** What the source needs to be allowed, on a real broker that denies all else. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { KafkaTrial, plainUser } from './kafkaLagTrial.ts'

const PASSWORD = 'eleven-quiet-otters'

let trial: KafkaTrial
beforeAll(async () => {
  trial = await KafkaTrial.start({ secured: plainUser('tideline', PASSWORD) })
}, 120_000)
afterAll(() => trial.stop())
afterEach(() => trial.endRuns())

const allow = (
  ...rights: Parameters<KafkaTrial['allow']> extends [string, ...infer R] ? R : never
) => trial.allow('tideline', ...rights)

const run = (group: string, topics: readonly string[], password = PASSWORD) =>
  trial.runAs('tideline', password, { group, topics })

async function behind(): Promise<{ readonly topic: string; readonly group: string }> {
  const named = await trial.topic(1)
  await trial.produce(named.topic, 0, 10, () => Date.now() - 120_000)
  await trial.commit(named.group, named.topic, { 0: 4 })
  return named
}

test('DESCRIBE on topic and group is enough for the lag; its seconds are interpolated then', async () => {
  const { topic, group } = await behind()
  await allow(['topic', 'DESCRIBE', topic], ['group', 'DESCRIBE', group])
  const lag = run(group, [topic])
  await lag.until(() => lag.value('kafka_group_lag', 0) === 6)
  const note = `interpolated from the offsets of the end: READ on topic ${topic} is not allowed`
  // A fetch that is slow to be refused is told as slow.
  await lag.until(() => lag.notes('kafka_group_lag_seconds').join() === note)
  expect(lag.value('kafka_group_lag_seconds', 0)).toBeGreaterThan(110)
  expect(lag.value('kafka_group_lag_seconds', 0)).toBeLessThan(180)
})

test('with READ on the topic they are those of the message', async () => {
  const { topic, group } = await behind()
  await allow(['topic', 'DESCRIBE', topic], ['topic', 'READ', topic], ['group', 'DESCRIBE', group])
  const lag = run(group, [topic])
  const fetched = () => lag.notes('kafka_group_lag_seconds').join()
  await lag.until(() => fetched() === "from the messages' timestamps")
  expect(lag.value('kafka_group_lag_seconds', 0)).toBeGreaterThanOrEqual(120)
})

test('a group that may not be described is named; its right gives its lag', async () => {
  const { topic, group } = await behind()
  await allow(['topic', 'DESCRIBE', topic])
  const lag = run(group, [topic])
  await lag.until(() => lag.failure()?.code === 'unauthorized')
  expect(lag.failure()?.message).toContain(`DESCRIBE on group ${group}`)
  await allow(['group', 'DESCRIBE', group])
  await lag.until(() => lag.value('kafka_group_lag', 0) === 6)
})

test('a topic that may not be described is named, and leaves the others alone', async () => {
  const { topic, group } = await behind()
  const secret = await trial.topic(1)
  await allow(['topic', 'DESCRIBE', topic], ['group', 'DESCRIBE', group])
  const lag = run(group, [topic, secret.topic])
  await lag.until(() => lag.value('kafka_group_lag', 0) === 6)
  const origin = `${secret.topic}@${group}`
  await lag.until(() => lag.failure(origin)?.code === 'unauthorized')
  expect(lag.failure(origin)?.message).toContain(`DESCRIBE on topic ${secret.topic}`)
  expect(lag.failure()?.code).not.toBe('unauthorized')
})

test('a wrong password is told, and is told nowhere', async () => {
  const { topic, group } = await behind()
  const wrong = 'twelve-loud-badgers'
  const lag = run(group, [topic], wrong)
  await lag.until(() => lag.failure()?.code === 'unauthorized')
  expect(JSON.stringify([lag.sink.failures, lag.log.entries])).not.toContain(wrong)
})
