/** Sentinel and Cluster, with real servers. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { slotOf } from '../../src/sources/redis/slot.ts'
import { baseline, noSurplus } from '../kit/trial.ts'
import { until } from '../kit/until.ts'
import { openFrontDoor } from '../setup/frontDoor.ts'
import type { FrontDoor } from '../setup/frontDoor.ts'
import { startRedisCluster, startRedisSentinels } from '../setup/redisServer.ts'
import type { RedisCluster, RedisSentinels, RedisServer } from '../setup/redisServer.ts'
import { collecting, failureOfKey, samplesOfKey } from './redisRun.ts'

const at = ({ port }: { port: number }) => `127.0.0.1:${port}`

describe('Sentinel', () => {
  let group: RedisSentinels
  let master: RedisServer
  let replica: RedisServer
  let sentinels: readonly RedisServer[]

  beforeEach(async () => {
    group = await startRedisSentinels('jobs')
    ;({ master, replica, sentinels } = group)
    await master.admin.rpush('l', 1, 2)
    await master.admin.wait(1, 2000)
  })
  afterEach(async () => {
    await group.stop()
  })

  const config = (nodes = sentinels.map(at)) => ({
    sentinel: { master: 'jobs', nodes },
    timeout: '100ms',
    keys: [{ key: 'l', as: 'list' }],
  })

  test('reads the master, and the new one after a failover', async () => {
    let killed = false
    const run = await collecting(
      config(),
      async ({ sink }) => {
        if (!killed && sink.latest()[0]?.value === 2) {
          killed = true
          await master.stop()
          await until('a failure', () => sink.failures.length > 0)
        }
        if (!killed) return false
        await replica.admin.rpush('l', 3).catch(() => undefined) // a replica refuses it
        return (sink.latest()[0]?.value ?? 0) >= 3
      },
      {},
      25_000,
    )
    expect(['refused', 'unavailable', 'timeout']).toContain(run.sink.failures[0]?.code)
    expect(run.sink.batches.every(({ samples }) => samples[0]?.value !== 0)).toBe(true)
  })

  test('a master that is demoted while it lives is left', async () => {
    let moved = false
    await collecting(
      config(),
      async ({ sink }) => {
        if (!moved && sink.batches.length > 0) {
          moved = true
          await sentinels[0]?.admin.call('SENTINEL', 'FAILOVER', 'jobs')
        }
        if (!moved) return false
        await replica.admin.rpush('l', 3).catch(() => undefined)
        return (sink.latest()[0]?.value ?? 0) >= 3
      },
      {},
      25_000,
    )
  })

  test('Sentinels that hang or are gone keep nobody waiting', async () => {
    const hanging = await openFrontDoor({ port: 1 })
    hanging.hang()
    const nodes = [at(hanging), '127.0.0.1:1', ...sentinels.map(at)]
    const run = await collecting(config(nodes), ({ sink }) => sink.batches[0])
    expect(run.sink.latest()).toMatchObject([{ value: 2 }])
    await hanging.close()
  })

  test('the stop leaves no handle', async () => {
    const before = await baseline()
    await collecting(config(), ({ sink }) => sink.batches.length >= 3)
    await noSurplus(before)
  })

  test('a master of another name is not found', async () => {
    const other = { ...config(), sentinel: { master: 'none', nodes: sentinels.map(at) } }
    const run = await collecting(other, ({ sink }) => sink.failures[0])
    expect(run.sink.failures[0]).toMatchObject({ code: 'not-found', origin: 'key:l' })
  })
})

describe('Cluster', () => {
  let cluster: RedisCluster
  let doors: FrontDoor[] = []
  beforeAll(async () => {
    cluster = await startRedisCluster()
  })
  afterAll(() => cluster.stop())
  beforeEach(async () => {
    await Promise.all(cluster.nodes.map(({ admin }) => admin.flushall()))
  })
  afterEach(async () => {
    await Promise.all(doors.map((door) => door.close()))
    doors = []
  })

  const ownerOf = (key: string): RedisServer => {
    const slot = slotOf(key)
    const node = cluster.nodes[slot <= 5460 ? 0 : slot <= 10922 ? 1 : 2]
    if (node === undefined) throw new Error('no node')
    return node
  }
  const push = async (key: string, count: number) => {
    for (let index = 0; index < count; index += 1) await ownerOf(key).admin.rpush(key, index)
  }
  const keys = Array.from({ length: 30 }, (_, index) => `queue-${index}`)
  const config = (names: readonly string[] = keys) => ({
    cluster: { nodes: cluster.nodes.map(at) },
    keys: names.map((key) => ({ key, as: 'list' })),
  })

  test('keys of all nodes, each from its master, one round trip a node', async () => {
    for (const [index, key] of keys.entries()) await push(key, index % 4)
    const calls = async () => {
      const info = await Promise.all(cluster.nodes.map(({ admin }) => admin.info('stats')))
      return info.map((text) => Number(/total_connections_received:(\d+)/.exec(text)?.[1]))
    }
    const before = await calls()
    const run = await collecting(config(), ({ sink }) => sink.batches.length >= 90)
    for (const [index, key] of keys.entries())
      expect(samplesOfKey(run, `key:${key}`)).toMatchObject([{ value: index % 4 }])
    expect(run.sink.failures).toEqual([])
    // A connection to each node, and those over which the table of slots is asked.
    for (const [index, count] of (await calls()).entries())
      expect(count - (before[index] ?? 0)).toBeLessThanOrEqual(2)
  })

  test('the stop leaves no handle', async () => {
    const before = await baseline()
    await collecting(config(), ({ sink }) => sink.batches.length >= 90)
    await noSurplus(before)
  })

  test('a slot that moved is followed at once', async () => {
    const key = 'moving'
    const from = ownerOf(key)
    const to = cluster.nodes.find((node) => node !== from)
    const slot = String(slotOf(key))
    const id = async (node?: RedisServer) => String(await node?.admin.call('CLUSTER', 'MYID'))
    const [fromId, toId] = [await id(from), await id(to)]
    const give = async (owner: string) => {
      for (const { admin } of cluster.nodes)
        await admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', owner)
    }
    try {
      let moved = false
      const run = await collecting(config([key, 'queue-1']), async ({ sink }) => {
        if (!moved && sink.batches.length >= 2) {
          moved = true
          await give(toId)
          await to?.admin.rpush(key, 1, 2, 3)
        }
        return moved && sink.batches.at(-2)?.samples[0]?.value === 3
      })
      expect(run.sink.failures).toEqual([])
    } finally {
      await to?.admin.del(key)
      await give(fromId)
    }
  })

  test('a slot that is being moved is asked where its key is already', async () => {
    const key = 'migrating'
    const from = ownerOf(key)
    const to = cluster.nodes.find((node) => node !== from)
    const slot = String(slotOf(key))
    const fromId = String(await from.admin.call('CLUSTER', 'MYID'))
    const toId = String(await to?.admin.call('CLUSTER', 'MYID'))
    const names = [1, 2, 3].map((index) => `{${key}}${index}`)
    for (const name of names) await from.admin.rpush(name, 1, 2)
    await to?.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
    await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
    // All but the last, which the old node still has.
    for (const name of names.slice(0, 2))
      await from.admin.call('MIGRATE', '127.0.0.1', String(to?.port), name, '0', '2000')
    try {
      const before = await baseline()
      const run = await collecting(config(names), ({ sink }) => sink.batches.length >= 6)
      for (const name of names)
        expect(samplesOfKey(run, `key:${name}`)).toMatchObject([{ value: 2 }])
      expect(run.sink.failures).toEqual([])
      await noSurplus(before)
    } finally {
      await from.admin.del(names.at(-1) ?? '')
      for (const { admin } of cluster.nodes)
        await admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId)
      for (const name of names) await to?.admin.del(name)
      for (const { admin } of cluster.nodes)
        await admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', fromId)
    }
  })

  test('seeds that hang or are gone keep nobody waiting', async () => {
    const hanging = await openFrontDoor({ port: 1 })
    doors.push(hanging)
    hanging.hang()
    const nodes = [at(hanging), '127.0.0.1:1', ...cluster.nodes.map(at)]
    const seeds = { ...config(['queue-1']), cluster: { nodes } }
    const run = await collecting(seeds, ({ sink }) => sink.batches[0])
    expect(run.sink.latest()).toMatchObject([{ value: 0 }])
  })

  test('a single server’s URL of a cluster node says what to write', async () => {
    const foreign = keys.find((key) => ownerOf(key) !== cluster.nodes[0]) ?? ''
    const run = await collecting(
      {
        url: `redis://${at(cluster.nodes[0] ?? { port: 0 })}`,
        keys: [{ key: foreign, as: 'list' }],
      },
      ({ sink }) => sink.failures[0],
    )
    expect(run.sink.failures[0]?.message).toContain('cluster.nodes')
  })

  test.each(['gone', 'hanging'])('a node that is %s fails its own keys alone', async (how) => {
    const own = await startRedisCluster()
    const [first, second, third] = own.nodes
    try {
      const ofNode = (low: number, high: number) =>
        keys.find((key) => slotOf(key) >= low && slotOf(key) <= high) ?? ''
      const [dead, alive] = [ofNode(0, 5460), ofNode(10_923, 16_383)]
      for (const { admin } of own.nodes)
        await admin.config('SET', 'cluster-require-full-coverage', 'no')
      await third?.admin.rpush(alive, 1)
      let broken = false
      const run = await collecting(
        {
          cluster: { nodes: [second, third].map((node) => at(node ?? { port: 0 })) },
          interval: '300ms',
          timeout: '250ms',
          keys: [dead, alive].map((key) => ({ key, as: 'list' })),
        },
        async ({ sink }) => {
          if (!broken && sink.batches.length >= 2) {
            broken = true
            if (how === 'gone') await first?.stop()
            // Suspended: the kernel still takes connections.
            else first?.suspend()
          }
          const failed = sink.failures.filter(({ origin }) => origin === `key:${dead}`)
          if (failed.length < 3) return false
          const since = failed[0]?.atMs ?? Infinity
          return sink.batches.some((b) => b.origin === `key:${alive}` && b.atMs > since)
        },
        {},
        15_000,
      )
      expect(failureOfKey(run, `key:${alive}`)).toBeUndefined()
      expect(['refused', 'timeout', 'unavailable']).toContain(
        failureOfKey(run, `key:${dead}`)?.code,
      )
    } finally {
      await own.stop()
    }
  })
})
