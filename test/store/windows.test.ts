import { afterAll, beforeAll, expect, test } from 'vitest'
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

function opened(connection: unknown, prefix = 'tideline:'): WindowStore {
  const config: RedisConnection = z.strictObject(redisConnectionShape).parse(connection)
  const route = routeOf(config, secretsFrom({}))
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

test('what is left of a position that was lost is not taken over', async () => {
  await server.admin.flushall()
  const store = opened({ url: `redis://127.0.0.1:${server.port}` })
  await store.commit('t/0', { ...change, buckets: new Map([[1000, 'x']]) }, never)
  await server.admin.del('tideline:{t/0}:position')
  await store.commit('t/0', { ...change, next: { ...change.next, lineage: 'b' } }, never)
  expect((await store.load('t/0', never))?.buckets).toEqual(new Map())
  await store.close()
})
