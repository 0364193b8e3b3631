/** What is read of each kind of key, with real servers. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { redisSource } from '../../src/sources/redis/redis.ts'
import { slotOf } from '../../src/sources/redis/slot.ts'
import { makeCertificates } from '../setup/certificates.ts'
import { openFrontDoor } from '../setup/frontDoor.ts'
import { startRedis } from '../setup/redisServer.ts'
import type { RedisServer } from '../setup/redisServer.ts'
import { temporaryFolder } from '../setup/running.ts'
import { collecting, failureOfKey, samplesOfKey } from './redisRun.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())
beforeEach(() => server.admin.flushall())

const reading = (...keys: Record<string, unknown>[]) => ({
  url: `redis://127.0.0.1:${server.port}`,
  keys,
})

describe('values', () => {
  test('each kind by its own metric and labels', async () => {
    const { admin } = server
    await admin.rpush('l', 1, 2, 3)
    await admin.sadd('s', 1, 2)
    await admin.zadd('z', 1, 'a', 2, 'b', 3, 'c')
    await admin.xadd('x', '*', 'f', 'v')
    await admin.set('c', '41.5')
    const run = await collecting(
      reading(
        { key: 'l', as: 'list', labels: { team: 'vision' } },
        { key: 's', as: 'set' },
        { key: 'z', as: 'sortedSet' },
        { key: 'z', as: 'sortedSet', metric: 'due', minScore: '-inf', maxScore: 2 },
        { key: 'x', as: 'stream' },
        { key: 'c', as: 'counter', metric: 'done_total' },
      ),
      ({ sink }) => sink.batches.length >= 6,
    )
    const samples = run.sink.batches.slice(0, 6).flatMap((batch) => batch.samples)
    expect(samples.map(({ metric, labels, kind, value }) => [metric, labels, kind, value])).toEqual(
      [
        ['redis_list_length', { key: 'l', team: 'vision' }, 'gauge', 3],
        ['redis_set_size', { key: 's' }, 'gauge', 2],
        ['redis_sorted_set_size', { key: 'z' }, 'gauge', 3],
        ['due', { key: 'z' }, 'gauge', 2],
        ['redis_stream_length', { key: 'x' }, 'gauge', 1],
        ['done_total', { key: 'c' }, 'cumulative', 41.5],
      ],
    )
    expect(new Set(run.sink.batches.map(({ origin }) => origin)).size).toBe(6)
    expect(run.sink.batches.every(({ complete }) => complete)).toBe(true)
  })

  test('jobs that are due: scores up to now, in ms and in seconds', async () => {
    const nowMs = Date.now()
    await server.admin.zadd('ms', nowMs - 1000, 'a', nowMs + 3_600_000, 'b')
    await server.admin.zadd('s', nowMs / 1000 - 1, 'a', nowMs / 1000 + 3600, 'b')
    const run = await collecting(
      reading(
        { key: 'ms', as: 'sortedSet', maxScore: 'nowMs' },
        { key: 's', as: 'sortedSet', minScore: 0, maxScore: 'nowSeconds' },
      ),
      ({ sink }) => sink.batches.length >= 2,
    )
    expect(run.sink.batches.slice(0, 2).map((batch) => batch.samples[0]?.value)).toEqual([1, 1])
  })

  test.each(['list', 'set', 'sortedSet'])('a %s that is not there is empty: 0', async (as) => {
    const run = await collecting(reading({ key: 'k', as }), ({ sink }) => sink.batches[0])
    expect(samplesOfKey(run, 'key:k')).toMatchObject([{ value: 0 }])
    expect(run.sink.failures).toEqual([])
  })

  test.each([
    [{ key: 'k', as: 'stream' }, 'not-found'],
    [{ key: 'k', as: 'stream', group: 'g' }, 'not-found'],
    [{ key: 'k', as: 'counter' }, 'not-found'],
  ])('%j that is not there is not zero', async (entry, code) => {
    const run = await collecting(reading(entry), ({ sink }) => sink.failures[0])
    expect(run.sink.failures[0]).toMatchObject({ code })
    expect(run.sink.batches).toEqual([])
  })

  test('an empty stream that is there is zero', async () => {
    await server.admin.xgroup('CREATE', 'x', 'g', '$', 'MKSTREAM')
    const run = await collecting(
      reading({ key: 'x', as: 'stream' }, { key: 'x', as: 'stream', group: 'g' }),
      ({ sink }) => sink.batches.length >= 2,
    )
    expect(samplesOfKey(run, 'key:x')).toMatchObject([{ value: 0 }])
    expect(samplesOfKey(run, 'key:x group:g')).toMatchObject([
      { metric: 'redis_stream_group_lag', value: 0 },
      { metric: 'redis_stream_group_pending', value: 0 },
      { metric: 'redis_stream_group_lag_estimated', value: 0 },
    ])
  })

  test.each(['list', 'set', 'sortedSet', 'stream', 'counter'])(
    'a %s key of another type fails, and alone',
    async (as) => {
      await server.admin.hset('wrong', 'f', 'v')
      await server.admin.rpush('right', 1)
      const run = await collecting(
        reading({ key: 'wrong', as }, { key: 'right', as: 'list' }),
        ({ sink }) => sink.failures.length > 0 && sink.batches.length > 0,
      )
      expect(failureOfKey(run, 'key:wrong')).toMatchObject({ code: 'wrong-type' })
      expect(samplesOfKey(run, 'key:wrong')).toEqual([])
      expect(samplesOfKey(run, 'key:right')).toMatchObject([{ value: 1 }])
      expect(failureOfKey(run, 'key:right')).toBeUndefined()
    },
  )

  test.each(['', 'many', '1 ', '0x10', 'NaN', 'inf', '1'.repeat(100)])(
    'the counter %j is no number',
    async (text) => {
      await server.admin.set('c', text)
      const run = await collecting(
        reading({ key: 'c', as: 'counter' }),
        ({ sink }) => sink.failures[0],
      )
      expect(run.sink.failures[0]).toMatchObject({ code: 'wrong-type' })
      expect(run.sink.batches).toEqual([])
    },
  )
})

describe('lag of a stream group', () => {
  const group = (onNilLag?: string) => ({
    key: 'x',
    as: 'stream',
    group: 'g',
    ...(onNilLag === undefined ? {} : { onNilLag }),
  })
  const values = (run: Awaited<ReturnType<typeof collecting>>) =>
    samplesOfKey(run, 'key:x group:g').map(({ value }) => value)

  async function tenEntriesOfThemReadThree(): Promise<string[]> {
    const ids: string[] = []
    await server.admin.xgroup('CREATE', 'x', 'g', '0', 'MKSTREAM')
    for (let index = 0; index < 10; index += 1)
      ids.push(String(await server.admin.xadd('x', '*', 'f', 'v')))
    await server.admin.xreadgroup('GROUP', 'g', 'me', 'COUNT', 3, 'STREAMS', 'x', '>')
    return ids
  }

  test('is the server’s where it knows it', async () => {
    await tenEntriesOfThemReadThree()
    const run = await collecting(reading(group('length')), ({ sink }) => sink.batches[0])
    expect(values(run)).toEqual([7, 3, 0])
  })

  describe.each([
    [
      'after an XDEL beyond the read position',
      async () => {
        const ids = await tenEntriesOfThemReadThree()
        await server.admin.xdel('x', ids[6] ?? '')
      },
      [9, 3],
    ],
    [
      'of a group made in mid-stream',
      async () => {
        const ids = await tenEntriesOfThemReadThree()
        await server.admin.xgroup('DESTROY', 'x', 'g')
        await server.admin.xgroup('CREATE', 'x', 'g', ids[4] ?? '')
      },
      [10, 0],
    ],
  ] as const)('%s it is nil', (_, arrange, [length, pending]) => {
    test('which fails where nothing is declared, and is never 0', async () => {
      await arrange()
      const run = await collecting(reading(group()), ({ sink }) => sink.failures[0])
      expect(run.sink.failures[0]).toMatchObject({ code: 'unavailable' })
      expect(run.sink.failures[0]?.message).toContain('onNilLag')
      expect(run.sink.batches).toEqual([])
    })

    test('and the declared fallback stands for it, told as estimated', async () => {
      await arrange()
      const byLength = await collecting(reading(group('length')), ({ sink }) => sink.batches[0])
      expect(values(byLength)).toEqual([length, pending, 1])
      const byPending = await collecting(reading(group('pending')), ({ sink }) => sink.batches[0])
      expect(values(byPending)).toEqual([pending, pending, 1])
    })
  })

  test('another group does not stand for the one asked for', async () => {
    await server.admin.xgroup('CREATE', 'x', 'other', '0', 'MKSTREAM')
    const run = await collecting(reading(group('length')), ({ sink }) => sink.failures[0])
    expect(run.sink.failures[0]).toMatchObject({ code: 'not-found' })
  })
})

describe('connection', () => {
  test('many keys are one write for each collect, over one connection', async () => {
    const door = await openFrontDoor(server)
    const keys = Array.from({ length: 200 }, (_, index) => ({ key: `k${index}`, as: 'list' }))
    const run = await collecting(
      { url: `redis://127.0.0.1:${door.port}`, keys },
      ({ sink }) => sink.batches.length >= 600,
    )
    const collects = run.sink.batches.length / 200
    expect(door.counts.writes).toBeLessThanOrEqual(Math.ceil(collects) + 1)
    expect(door.counts.connections).toBe(1)
    await door.close()
  })

  test('a database by its number', async () => {
    await server.admin.pipeline().select(3).rpush('l', 1, 2).select(0).exec()
    const config = { ...reading({ key: 'l', as: 'list' }), database: 3 }
    const run = await collecting(config, ({ sink }) => sink.batches[0])
    expect(run.sink.latest()).toMatchObject([{ value: 2 }])
    const none = await collecting({ ...config, database: 99 }, ({ sink }) => sink.failures[0])
    expect(none.sink.failures[0]?.message).toContain('database 99')
  })

  test('a user may be let to some keys and not to others', async () => {
    await server.admin.call('ACL', 'SETUSER', 'partly', 'reset', 'on', '>pass-of-partly', '~a*', '+llen') // prettier-ignore
    const config = {
      ...reading({ key: 'a', as: 'list' }, { key: 'b', as: 'list' }),
      username: 'partly',
      password: { env: 'P' },
    }
    const secrets = { P: 'pass-of-partly' }
    const both = await collecting(
      config,
      ({ sink }) => sink.batches.length > 0 && sink.failures.length > 0,
      secrets,
    )
    expect(samplesOfKey(both, 'key:a')).toMatchObject([{ value: 0 }])
    expect(failureOfKey(both, 'key:b')).toMatchObject({ code: 'unauthorized' })
  })

  test('a password that changed is read again, without a restart', async () => {
    const allow = (password: string) =>
      server.admin.call('ACL', 'SETUSER', 'rotating', 'reset', 'on', `>${password}`, '~*', '+llen')
    await allow('first-password')
    const secrets = { P: 'first-password' }
    const config = {
      ...reading({ key: 'a', as: 'list' }),
      username: 'rotating',
      password: { env: 'P' },
    }
    let step = 0
    const run = await collecting(
      config,
      async ({ sink }) => {
        if (step === 0 && sink.batches.length > 0) {
          step = 1
          await allow('second-password')
          await server.admin.call('CLIENT', 'KILL', 'USER', 'rotating')
        }
        if (step === 1 && sink.failures.some(({ code }) => code === 'unauthorized')) {
          step = 2
          secrets.P = 'second-password'
          return false
        }
        const last = sink.failures.at(-1)?.atMs ?? Infinity
        return step === 2 && (sink.batches.at(-1)?.atMs ?? 0) > last
      },
      secrets,
    )
    expect(JSON.stringify([run.log, run.sink])).not.toMatch(/(first|second)-password/)
  })

  test('TLS with a client certificate; a server that is not trusted is unauthorized', async () => {
    const folder = temporaryFolder()
    const { files, ca, cert, key } = makeCertificates(folder.path)
    const secure = await startRedis({
      tls: { ca, cert, key },
      config: [`tls-ca-cert-file ${files.ca}`, `tls-cert-file ${files.cert}`, `tls-key-file ${files.key}`], // prettier-ignore
    })
    try {
      await secure.admin.rpush('l', 1)
      const config = {
        url: `rediss://127.0.0.1:${secure.port}`,
        tls: { ca: { file: 'ca' }, cert: { file: 'cert' }, key: { file: 'key' } },
        keys: [{ key: 'l', as: 'list' }],
      }
      const run = await collecting(config, ({ sink }) => sink.batches[0], { ca, cert, key })
      expect(run.sink.latest()).toMatchObject([{ value: 1 }])
      const none = await collecting(
        { url: config.url, keys: config.keys },
        ({ sink }) => sink.failures[0],
      )
      expect(none.sink.failures[0]).toMatchObject({ code: 'unauthorized' })
      const odd = await collecting(config, ({ sink }) => sink.failures[0], { ca, cert, key: 'odd' })
      expect(odd.sink.failures[0]).toMatchObject({ code: 'not-configured' })
    } finally {
      await secure.stop()
      folder.remove()
    }
  })

  test.each([
    ['-LOADING Redis is loading the dataset in memory\r\n', 'unavailable'],
    ['-MASTERDOWN Link with MASTER is down\r\n', 'unavailable'],
    ['-NOAUTH Authentication required.\r\n', 'unauthorized'],
    ['-ERR unknown command\r\n', 'bad-response'],
    ['-MOVED 1 127.0.0.1:1\r\n', 'unavailable'],
    ['+OK\r\n', 'bad-response'],
    [':-1\r\n', 'bad-response'],
    ['$-1\r\n', 'bad-response'],
    ['*0\r\n', 'bad-response'],
    [':1\r\n:2\r\n:3\r\n', 'bad-response'],
    ['$5\r\nhel', 'timeout'],
  ])('a server that answers %j', async (bytes, code) => {
    const door = await openFrontDoor(server)
    door.answer(bytes)
    const url = `redis://127.0.0.1:${door.port}`
    const run = await collecting({ url, keys: [{ key: 'l', as: 'list' }] }, ({ sink }) =>
      sink.failures.some((failure) => failure.code === code),
    )
    if (!bytes.startsWith(':1')) expect(run.sink.batches).toEqual([])
    await door.close()
  })
})

test('the slot of a key is the one that the server computes', async () => {
  const [node] = [await startRedis({ mode: 'cluster' })]
  try {
    const key = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1 }),
      fc.stringMatching(/^[ab{}]{1,8}$/),
    )
    await fc.assert(
      fc.asyncProperty(key, async (text) => {
        expect(slotOf(text)).toBe(await node.admin.call('CLUSTER', 'KEYSLOT', text))
      }),
      { numRuns: 200 },
    )
  } finally {
    await node.stop()
  }
})

describe('configuration', () => {
  const good = { url: 'redis://redis:6379', keys: [{ key: 'k', as: 'list' }] }
  test('defaults', () => {
    expect(redisSource.schema.parse(good)).toMatchObject({ interval: 2000, database: 0 })
  })
  test.each([
    ['a password in the URL', { url: 'redis://:secret@redis' }, 'password: {file'],
    ['two ways', { cluster: { nodes: ['a:1'] } }, 'exactly one'],
    ['no way', { url: undefined }, 'exactly one'],
    ['a database in the URL', { url: 'redis://redis/3' }, 'database'],
    ['a password itself', { password: 'secret' }, 'reference'],
    ['a node without a port', { cluster: { nodes: ['redis'] } }, 'host:port'],
    ['a group of a list', { keys: [{ key: 'k', as: 'list', group: 'g' }] }, 'as: stream'],
    ['scores of a set', { keys: [{ key: 'k', as: 'set', minScore: 1 }] }, 'as: sortedSet'],
    ['a key twice', { keys: [good.keys[0], good.keys[0]] }, 'twice'],
    ['a label of ours', { keys: [{ key: 'k', as: 'set', labels: { key: 'x' } }] }, 'own'],
    ['a user without password', { username: 'me' }, 'needs a password'],
    ['tls without rediss', { tls: {} }, 'rediss'],
    ['a timeout above the interval', { timeout: '3s' }, 'interval'],
  ])('%s is refused with the mend', (_, change, words) => {
    const { url, ...rest } = { ...good, ...change }
    const parsed = redisSource.schema.safeParse(url === undefined ? rest : { url, ...rest })
    expect(parsed.success).toBe(false)
    expect(JSON.stringify(parsed.error?.issues)).toContain(words)
  })
})
