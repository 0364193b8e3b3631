import { afterAll, beforeAll } from 'vitest'
import { redisSource } from '../../src/sources/redis/redis.ts'
import type { SourceType } from '../../src/ports.ts'
import { sourceContract } from '../kit/sourceContract.ts'
import type { Harness } from '../kit/sourceContract.ts'
import { openFrontDoor } from '../setup/frontDoor.ts'
import { startRedis } from '../setup/redisServer.ts'
import type { RedisServer } from '../setup/redisServer.ts'

const PASSWORD = 'correct-horse-battery'
const ADMIN = 'administrators-own'
const KEY = 'jobs'

let server: RedisServer
beforeAll(async () => {
  server = await startRedis({ password: ADMIN })
})
afterAll(() => server.stop())

const grant = () =>
  server.admin.call('ACL', 'SETUSER', 'tideline', 'reset', 'on', `>${PASSWORD}`, '~*', '+llen')

async function harness(): Promise<Harness> {
  const door = await openFrontDoor(server)
  await server.admin.flushall()
  await grant()
  return {
    type: redisSource as SourceType<unknown>,
    config: (overrides = {}) => ({
      url: `redis://127.0.0.1:${door.port}`,
      username: 'tideline',
      password: { env: 'REDIS_PASSWORD' },
      interval: '100ms',
      timeout: '80ms',
      keys: [{ key: KEY, as: 'list' }],
      ...overrides,
    }),
    secrets: { REDIS_PASSWORD: PASSWORD },
    async show(value) {
      const pipeline = server.admin.multi().del(KEY)
      for (let index = 0; index < value; index += 1) pipeline.rpush(KEY, 'job')
      await pipeline.exec()
    },
    expected: (value) => ({
      metric: 'redis_list_length',
      labels: { key: KEY },
      kind: 'gauge',
      value,
    }),
    async misbehave(how) {
      if (how === 'refuse') await door.refuse()
      else if (how === 'hang') door.hang()
      else if (how === 'garbage') door.answer('HTTP/1.1 400 Bad Request\r\n\r\n')
      else await server.admin.call('ACL', 'DELUSER', 'tideline')
    },
    async behave() {
      await grant()
      await door.forward()
    },
    requests: () => ({ count: door.counts.writes, maxConcurrent: door.counts.maxOpen }),
    close: () => door.close(),
    skip: [{ clause: '6.1', reason: 'keys are configured: none of them goes away for good' }],
  }
}

sourceContract('redis', harness)
