/** Windows as the configuration asks for them: what they say of themselves. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { systemClock } from '../../src/clock.ts'
import { redisConnectionShape } from '../../src/sources/redis/connection.ts'
import { configuredWindows } from '../../src/store/configured.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { secretsFrom } from '../kit/trial.ts'
import { windowStoreContract } from '../kit/windowStoreContract.ts'
import type { RedisServer } from '../setup/redisServer.ts'
import { startRedis } from '../setup/redisServer.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedis({ config: ['maxmemory 100mb', 'maxmemory-policy allkeys-lru'] })
})
afterAll(() => server?.stop())

const never = new AbortController().signal
let prefixes = 0

function configured(url = `redis://127.0.0.1:${server.port}`) {
  const log = new RecordingLogger()
  const connection = z.strictObject(redisConnectionShape).parse({ url })
  const redis = { ...connection, prefix: `p${(prefixes += 1)}:`, keep: 3_600_000 }
  const deps = { clock: systemClock, secrets: secretsFrom({}), log }
  return { log, windows: configuredWindows({ redis }, deps) }
}

windowStoreContract('redis, as configured', () => {
  const { windows } = configured()
  const [store, other] = [windows.of('events'), windows.of('events')]
  const close = async () => void (await Promise.all([store.close(), other.close()]))
  return Promise.resolve({ store, other, close })
})

const first = {
  expected: undefined,
  next: { lineage: 'a', offset: 1, throughMs: 0, memo: '' },
  buckets: new Map([[1000, 'three']]),
  keepFromMs: 0,
}

test('what is asked of it is counted by source: done, conflicts, failures, bytes read', async () => {
  const { windows } = configured()
  const store = windows.of('events')
  const other = windows.of('other')
  await store.commit('t/0', first, never)
  await store.commit('t/0', first, never)
  await store.load('t/0', never)
  await store.changes(new Map([['t/0', undefined]]), never)
  await store.changes(new Map([['t/0', first.next]]), never)
  const stop = new AbortController()
  stop.abort()
  await expect(store.load('t/0', stop.signal)).rejects.toThrow()
  const count = windows.account().get('events')
  expect(count).toMatchObject({
    commit: { done: 1, conflicts: 1, failed: 0, readBytes: 0 },
    load: { done: 1, conflicts: 0, failed: 0, readBytes: 5 },
    changes: { done: 2, conflicts: 0, failed: 0, readBytes: 5 },
  })
  expect(count?.commit.seconds).toBeGreaterThan(0)
  expect(windows.account().get('other')).toMatchObject({ load: { done: 0 }, commit: { done: 0 } })
  await Promise.all([store.close(), other.close()])

  const { windows: gone } = configured('redis://127.0.0.1:1')
  const away = gone.of('events')
  await expect(away.load('t/0', never)).rejects.toThrow()
  expect(gone.account().get('events')).toMatchObject({ load: { done: 0, failed: 1 } })
  await away.close()
})

test('a Redis that may drop keys is warned of once, with what to do', async () => {
  const { windows, log } = configured()
  const store = windows.of('events')
  await store.load('t/0', never)
  await store.load('t/1', never)
  await server.admin.config('SET', 'maxmemory-policy', 'noeviction')
  await store.load('t/2', never)
  expect(log.entries).toEqual([
    expect.objectContaining({
      level: 'warn',
      event: 'window-store-evicts',
      fields: {
        source: 'events',
        message: expect.stringMatching(/allkeys-lru.*set maxmemory-policy noeviction/),
      },
    }),
  ])
  await store.close()
})

test('without a configuration each source has windows in memory, and nothing is counted', async () => {
  const deps = { clock: systemClock, secrets: secretsFrom({}), log: new RecordingLogger() }
  const windows = configuredWindows(undefined, deps)
  const store = windows.of('events')
  await store.commit('t/0', first, never)
  expect(store.shared).toBe(false)
  expect(await windows.of('other').load('t/0', never)).toBeUndefined()
  expect(windows.account()).toEqual(new Map())
})
