/** Faults with the truth known: what the topic holds, partition by partition, is what must be counted. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import type { WindowStore } from '../../../src/ports.ts'
import { memoryWindows } from '../../../src/store/memoryWindows.ts'
import { redisWindows } from '../../../src/store/redisWindows.ts'
import { routeOf } from '../../../src/sources/redis/connection.ts'
import { secretsFrom } from '../../kit/trial.ts'
import type { KafkaPeer } from '../../setup/kafkaPeer.ts'
import { kafkaPeer } from '../../setup/kafkaPeer.ts'
import type { KafkaServer } from '../../setup/kafkaServer.ts'
import { startKafka } from '../../setup/kafkaServer.ts'
import type { RedisServer } from '../../setup/redisServer.ts'
import { startRedis, startRedisSentinels } from '../../setup/redisServer.ts'
import { eventually } from '../../setup/running.ts'
import { EventsRun } from './eventsRun.ts'

const RECOVERY_MS = 30_000

let server: KafkaServer
let peer: KafkaPeer
let redis: RedisServer
const runs: EventsRun[] = []
let ends: (() => Promise<void>)[] = []

beforeAll(async () => {
  server = await startKafka({ nodes: 3 })
  peer = await kafkaPeer(server.brokers)
  redis = await startRedis()
})
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
  for (const run of runs.splice(0)) await run.stop()
})
afterAll(async () => {
  await peer?.stop()
  await redis?.stop()
  await server?.stop()
})

function run(topic: string, windows: WindowStore = memoryWindows()): EventsRun {
  const made = new EventsRun({ brokers: [...server.brokers], topic, group: `g-${topic}` }, windows)
  runs.push(made)
  return made
}

function shared(prefix: string): WindowStore {
  const connection = { url: `redis://127.0.0.1:${redis.port}`, database: 0 }
  const route = routeOf(connection, secretsFrom({}))
  return redisWindows({ route, clock: systemClock, prefix, keepMs: 600_000 })
}

/** Writes to all partitions, each its own class, until told to stop; what fails is not written. */
function produce(topic: string, partitions: () => number): () => Promise<void> {
  let going = true
  const ended = (async () => {
    while (going) {
      const ts = systemClock.nowMs()
      for (let partition = 0; partition < partitions() && going; partition += 1) {
        const value = JSON.stringify({ ts, class: `p${partition}` })
        await peer.send(topic, partition, [{ value }, { value }, { value }]).catch(() => undefined)
      }
    }
  })()
  const stop = async () => {
    going = false
    await ended
  }
  ends.push(stop)
  return stop
}

/** How many events each partition holds, by its class. */
async function truth(topic: string): Promise<Record<string, number>> {
  const offsets = await peer.admin.fetchTopicOffsets(topic)
  const counts = offsets
    .map(({ partition, high }) => [`p${partition}`, Number(high)] as const)
    .filter(([, count]) => count > 0)
  return Object.fromEntries(counts.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

async function counted(topic: string, ...readings: EventsRun[]): Promise<void> {
  const wanted = await eventually('offsets', () => truth(topic), RECOVERY_MS)
  for (const reading of readings)
    await eventually(
      `${JSON.stringify(wanted)}, is ${JSON.stringify(seen(reading))}`,
      () => Promise.resolve(expect(seen(reading)).toEqual(wanted)),
      RECOVERY_MS,
    )
}

/** A class that was seen once is 0 ever after; a partition without events has none. */
function seen(reading: EventsRun): Record<string, number> {
  return Object.fromEntries(Object.entries(reading.counts()).filter(([, count]) => count !== 0))
}

function flows(reading: EventsRun): Promise<unknown> {
  return eventually('fresh counts', () =>
    Promise.resolve(expect(systemClock.nowMs() - reading.headMs()).toBeLessThan(1500)), RECOVERY_MS) // prettier-ignore
}

/** The broker that leads partition 0. */
async function leader(topic: string) {
  const { topics } = await peer.admin.fetchTopicMetadata({ topics: [topic] })
  const id = topics[0]?.partitions.find(({ partitionId }) => partitionId === 0)?.leader
  const node = server.nodes.find((one) => one.id === id)
  if (node === undefined) throw new Error(`no leader of ${topic}`)
  return node
}

describe('brokers', { timeout: 120_000 }, () => {
  test('a leader killed with -9: nothing is lost, nothing counted twice, and it is fresh again', async () => {
    const topic = await peer.topic(3)
    const reading = run(topic)
    const stop = produce(topic, () => 3)
    await flows(reading)
    const node = await leader(topic)
    await node.kill()
    await flows(reading)
    await stop()
    await counted(topic, reading)
    await node.restart()
  })

  test('a leader that hangs: while blind the counts stand and the cause is told, never a falling rate', async () => {
    const topic = await peer.topic(1)
    const reading = run(topic)
    const stop = produce(topic, () => 1)
    await flows(reading)
    const node = await leader(topic)
    node.suspend()
    ends.push(() => Promise.resolve(node.resume()))
    await eventually('told', () => Promise.resolve(expect(reading.failure()).not.toBe('')), RECOVERY_MS) // prettier-ignore
    const headMs = reading.headMs()
    expect(systemClock.nowMs() - headMs).toBeGreaterThan(1500)
    node.resume()
    await flows(reading)
    expect(reading.failure()).toBe('')
    await stop()
    await counted(topic, reading)
  })
})

describe('topics', { timeout: 120_000 }, () => {
  test('deleted and made again: only what the new one holds is counted', async () => {
    const topic = await peer.topic(2)
    const reading = run(topic)
    const stop = produce(topic, () => 2)
    await flows(reading)
    await stop()
    await counted(topic, reading)
    await peer.admin.deleteTopics({ topics: [topic] })
    await eventually('made again', () => peer.topic(2, topic), RECOVERY_MS)
    const again = produce(topic, () => 2)
    await flows(reading)
    await again()
    await counted(topic, reading)
  })

  test('partitions added while events come', async () => {
    const topic = await peer.topic(1)
    const reading = run(topic)
    let partitions = 1
    const stop = produce(topic, () => partitions)
    await flows(reading)
    await peer.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    partitions = 3
    await eventually('all', () => Promise.resolve(expect(Object.keys(reading.counts())).toHaveLength(3)), RECOVERY_MS) // prettier-ignore
    await stop()
    await counted(topic, reading)
  })
})

describe('replicas that share a store', { timeout: 120_000 }, () => {
  test('each tells the same totals; members come and go, and nothing is lost or counted twice', async () => {
    const topic = await peer.topic(4)
    const stop = produce(topic, () => 4)
    const first = run(topic, shared(`a-${topic}:`))
    await flows(first)
    const second = run(topic, shared(`a-${topic}:`))
    await flows(second)
    await first.stop()
    await flows(second)
    const third = run(topic, shared(`a-${topic}:`))
    await flows(third)
    await stop()
    await counted(topic, second, third)
  })

  test('a store that hangs and goes on: the cause is told, and the counts are right', async () => {
    const topic = await peer.topic(2)
    const reading = run(topic, shared(`b-${topic}:`))
    const stop = produce(topic, () => 2)
    await flows(reading)
    redis.suspend()
    await eventually('told', () => Promise.resolve(expect(reading.failure()).toMatch(/timeout/)), RECOVERY_MS) // prettier-ignore
    redis.resume()
    await flows(reading)
    await stop()
    await counted(topic, reading)
  })

  test('a store that goes back to an older state: what is lost is counted again', async () => {
    const topic = await peer.topic(1)
    const prefix = `c-${topic}:`
    const keys = ['position', 'buckets', 'changed', 'starts'].map((part) => `${prefix}{${topic}/0}:${part}`) // prettier-ignore
    const reading = run(topic, shared(prefix))
    const stop = produce(topic, () => 1)
    await flows(reading)
    // What a fail-over to a replica that lags does.
    const [script, ...old] = ['for i, key in ipairs(KEYS) do redis.call("RESTORE", key, 0, ARGV[i], "REPLACE") end', ...(await Promise.all(keys.map((key) => redis.admin.dumpBuffer(key))))] // prettier-ignore
    await systemClock.sleep(1000, new AbortController().signal)
    await redis.admin.eval(script, keys.length, ...keys, ...old)
    await flows(reading)
    await stop()
    await counted(topic, reading)
  })

  test('a store that drops keys of some partitions: they are counted again, and are never taken for empty', async () => {
    const topic = await peer.topic(3)
    const prefix = `e-${topic}:`
    const reading = run(topic, shared(prefix))
    const stop = produce(topic, () => 3)
    await flows(reading)
    await redis.admin.del(`${prefix}{${topic}/0}:buckets`, `${prefix}{${topic}/1}:position`)
    await eventually('told', () => Promise.resolve(expect(reading.failure()).not.toBe('')), RECOVERY_MS) // prettier-ignore
    await eventually('all well', () => Promise.resolve(expect(reading.failure()).toBe('')), RECOVERY_MS) // prettier-ignore
    await flows(reading)
    await stop()
    await counted(topic, reading)
  })

  test('a store whose master is killed: Sentinels name another, and the counts are right', async () => {
    const sentinels = await startRedisSentinels('windows')
    ends.push(() => sentinels.stop())
    const topic = await peer.topic(2)
    const nodes = sentinels.sentinels.map(({ port }) => ({ host: '127.0.0.1', port }))
    const connection = { sentinel: { master: 'windows', nodes }, database: 0 }
    const route = routeOf(connection, secretsFrom({}))
    const settings = { route, clock: systemClock, prefix: 'd:', keepMs: 600_000 }
    const reading = run(topic, redisWindows(settings))
    const stop = produce(topic, () => 2)
    await flows(reading)
    await sentinels.master.stop()
    await eventually('told', () => Promise.resolve(expect(reading.failure()).not.toBe('')), RECOVERY_MS) // prettier-ignore
    await eventually('all well', () => Promise.resolve(expect(reading.failure()).toBe('')), RECOVERY_MS) // prettier-ignore
    await flows(reading)
    await stop()
    await counted(topic, reading)
    await reading.stop()
  })
})
