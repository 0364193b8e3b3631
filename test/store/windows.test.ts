import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { WindowStore } from '../../src/ports.ts'
import type { RedisConnection } from '../../src/sources/redis/connection.ts'
import { redisConnectionShape, routeOf } from '../../src/sources/redis/connection.ts'
import { memoryWindows } from '../../src/store/memoryWindows.ts'
import { redisWindows } from '../../src/store/redisWindows.ts'
import { z } from 'zod'
import { secretsFrom } from '../kit/trial.ts'
import type { WindowStoreHarness } from '../kit/windowStoreContract.ts'
import { windowStoreContract } from '../kit/windowStoreContract.ts'
import type { RedisCluster, RedisServer } from '../setup/redisServer.ts'
import { startRedis, startRedisCluster } from '../setup/redisServer.ts'

const KEEP_MS = 3_600_000
const never = new AbortController().signal

function connectionOf(connection: unknown): RedisConnection {
  return z.strictObject(redisConnectionShape).parse(connection)
}

function opened(connection: unknown, prefix = 'tideline:'): WindowStore {
  const route = routeOf(connectionOf(connection), secretsFrom({}))
  return redisWindows({ route, clock: systemClock, prefix, keepMs: KEEP_MS })
}

windowStoreContract('memory', () => {
  const store = memoryWindows()
  return Promise.resolve({ store, other: store, close: () => store.close() })
})

let server: RedisServer
let cluster: RedisCluster
let harnesses = 0
beforeAll(async () => {
  server = await startRedis()
  cluster = await startRedisCluster()
})
afterAll(async () => {
  await cluster?.stop()
  await server?.stop()
})

/** Two processes' stores; each harness has keys of its own. */
function pair(connection: unknown): Promise<WindowStoreHarness> {
  const prefix = `h${(harnesses += 1)}:`
  const [store, other] = [opened(connection, prefix), opened(connection, prefix)]
  const close = async () => void (await Promise.all([store.close(), other.close()]))
  return Promise.resolve({ store, other, close })
}

windowStoreContract('redis', () => pair({ url: `redis://127.0.0.1:${server.port}` }))

windowStoreContract('redis cluster', () =>
  pair({ cluster: { nodes: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`) } }),
)

const change = {
  expected: undefined,
  next: { lineage: 'a', offset: 1, throughMs: 0, memo: '' },
  buckets: new Map(),
  keepFromMs: 0,
}

test('keys carry the prefix, share a slot, and are forgotten after a time', async () => {
  await server.admin.flushall()
  const store = opened({ url: `redis://127.0.0.1:${server.port}` }, 'other:events:')
  await store.commit('t/0', { ...change, buckets: new Map([[1000, 'x']]) }, never)
  const keys = await server.admin.keys('*')
  expect(keys.toSorted()).toEqual(
    ['buckets', 'changed', 'position', 'starts'].map((part) => `other:events:{t/0}:${part}`),
  )
  for (const key of keys) {
    const leftMs = await server.admin.pttl(key)
    expect(leftMs).toBeGreaterThan(KEEP_MS - 60_000)
    expect(leftMs).toBeLessThanOrEqual(KEEP_MS)
  }
  await store.close()
})

test('what another wrote there, a server that is away or hangs: told for what it is', async () => {
  const own = await startRedis()
  const store = opened({ url: `redis://127.0.0.1:${own.port}` })
  await own.admin.set('tideline:{t/0}:position', 'mine')
  await expect(store.commit('t/0', change, never)).rejects.toMatchObject({ code: 'wrong-type' })
  await own.admin.hset('tideline:{t/1}:position', { lineage: 'a', offset: 'many' })
  await expect(store.load('t/1', never)).rejects.toThrow(/t\/1 in Redis was not written by this/)
  own.suspend()
  await expect(store.load('t/2', never)).rejects.toMatchObject({ code: 'timeout' })
  await own.stop()
  await expect(store.load('t/2', never)).rejects.toMatchObject({ code: 'refused' })
  await store.close()
})

describe('a Redis whose memory is full', () => {
  test.each(['position', 'buckets', 'changed', 'starts'])(
    'has dropped %s: all is lost, and nothing of it is taken for a part that is whole',
    async (part) => {
      await server.admin.flushall()
      const store = opened({ url: `redis://127.0.0.1:${server.port}` })
      const first = { ...change, buckets: new Map([1000, 2000].map((start) => [start, 'x'])) }
      await store.commit('t/0', first, never)
      expect((await store.load('t/0', never))?.buckets.size).toBe(2)
      await server.admin.del(`tideline:{t/0}:${part}`)
      expect(await store.load('t/0', never)).toBeUndefined()
      expect(await store.changes(new Map([['t/0', first.next]]), never)).toEqual(new Map())
      const on = { ...first, expected: first.next, next: { ...first.next, offset: 2 } }
      expect(await store.commit('t/0', on, never)).toEqual({ conflict: undefined })
      const anew = { ...change, next: { ...change.next, lineage: 'b' } }
      expect(await store.commit('t/0', { ...anew, buckets: new Map([[3000, 'y']]) }, never)).toBe(
        'done',
      )
      expect((await store.load('t/0', never))?.buckets).toEqual(new Map([[3000, 'y']]))
      await store.close()
    },
  )

  test('many partitions in less memory than they need: each is there whole, or not at all', async () => {
    const config = ['maxmemory 5mb', 'maxmemory-policy allkeys-random']
    const own = await startRedis({ config })
    const store = opened({ url: `redis://127.0.0.1:${own.port}` })
    const buckets = new Map(Array.from({ length: 20 }, (_, index) => [index, 'x'.repeat(500)]))
    const names = Array.from({ length: 400 }, (_, index) => `t/${index}`)
    for (const name of names) await store.commit(name, { ...change, buckets }, never)
    const found = await store.changes(new Map(names.map((name) => [name, undefined])), never)
    expect(found.size).toBeGreaterThan(0)
    expect(found.size).toBeLessThan(names.length)
    for (const state of found.values()) expect(state.buckets).toEqual(buckets)
    await store.close()
    await own.stop()
  })

  test('that refuses what needs memory: nothing has changed, and the failure says what to do', async () => {
    const own = await startRedis()
    const store = opened({ url: `redis://127.0.0.1:${own.port}` })
    const buckets = new Map([1000, 2000].map((start) => [start, 'x']))
    await store.commit('t/0', { ...change, buckets }, never)
    await own.admin.config('SET', 'maxmemory', '1')
    const refused = [
      { ...change, next: { ...change.next, offset: 2 }, buckets: new Map([[3000, 'y']]) },
      // These would drop buckets, which needs none.
      { ...change, next: { ...change.next, throughMs: 9000 }, keepFromMs: 1500 },
      { ...change, next: { ...change.next, lineage: 'b' } },
    ]
    for (const one of refused)
      await expect(store.commit('t/0', { ...one, expected: change.next }, never)).rejects.toThrow(
        expect.objectContaining({
          code: 'unavailable',
          message: expect.stringMatching(/memory.*maxmemory/),
        }),
      )
    expect(await store.load('t/0', never)).toMatchObject({ position: change.next, buckets })
    await store.close()
    await own.stop()
  })

  test.each([
    [['maxmemory 100mb', 'maxmemory-policy allkeys-lru'], ['allkeys-lru']],
    [['maxmemory 100mb', 'maxmemory-policy volatile-ttl'], ['volatile-ttl']],
    [['maxmemory 100mb', 'maxmemory-policy noeviction'], [undefined]],
    [['maxmemory 0', 'maxmemory-policy allkeys-lru'], [undefined]],
    [['maxmemory 100mb', 'maxmemory-policy allkeys-lru', 'user default on nopass ~* +@all -info'], []], // prettier-ignore
  ])('may drop keys: %j', async (config, wanted) => {
    const own = await startRedis({ config })
    const told: (string | undefined)[] = []
    const route = routeOf(connectionOf({ url: `redis://127.0.0.1:${own.port}` }), secretsFrom({}))
    const store = redisWindows({
      ...{ route, clock: systemClock, prefix: 'tideline:', keepMs: KEEP_MS },
      evicts: (policy) => told.push(policy),
    })
    expect(await store.load('t/0', never)).toBeUndefined()
    // In one round trip with what was loaded.
    expect(told).toEqual(wanted)
    await store.close()
    await own.stop()
  })
})

test('what is left of a position that was lost is not taken over', async () => {
  await server.admin.flushall()
  const store = opened({ url: `redis://127.0.0.1:${server.port}` })
  await store.commit('t/0', { ...change, buckets: new Map([[1000, 'x']]) }, never)
  await server.admin.del('tideline:{t/0}:position')
  await store.commit('t/0', { ...change, next: { ...change.next, lineage: 'b' } }, never)
  expect((await store.load('t/0', never))?.buckets).toEqual(new Map())
  await store.close()
})
