import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { kubeClient } from '../../adapter/cluster/kubeClient.ts'
import type { KubeClient } from '../../adapter/cluster/kubeClient.ts'
import { watchCollection } from '../../adapter/cluster/watch.ts'
import type { KubeObject } from '../../adapter/cluster/watch.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { unhinderedMs } from '../kit/unhindered.ts'
import { until } from '../kit/until.ts'
import { event, fastClock, FakeApiServer, json, list, object } from './fakeApiServer.ts'

let server: FakeApiServer
let client: KubeClient
let stop: AbortController
let running: Promise<void>
let known: Map<string, KubeObject>
let troubles: (string | undefined)[]
/** The watch connections that are open, the newest last. */
let streams: ServerResponse[]
let items: unknown[]
let version: string

beforeEach(async () => {
  known = new Map()
  troubles = []
  streams = []
  items = [object('a', '5')]
  version = '10'
  server = new FakeApiServer((asked, answer) => {
    if (!asked.query.has('watch')) return json(answer, 200, list(version, items))
    streams.push(answer)
    answer.writeHead(200).flushHeaders()
  })
  await server.start()
  stop = new AbortController()
})

function start(factor = 100) {
  const clock = fastClock(factor)
  client = kubeClient(server.connection(), clock)
  running = watchCollection(
    { path: '/api/v1/things', query: { fieldSelector: 'metadata.name=a' } },
    {
      replace: (objects) => {
        known = new Map(objects.map((one) => [one.metadata.name, one]))
      },
      put: (one) => void known.set(one.metadata.name, one),
      remove: (one) => void known.delete(one.metadata.name),
      trouble: (message) => troubles.push(message),
    },
    { client, clock, log: new RecordingLogger() },
    stop.signal,
  )
}

afterEach(async () => {
  const ended = async () => {
    stop.abort()
    await running
    client.close()
    await until('no connection is left', () => server.openSockets === 0)
  }
  expect(await unhinderedMs(ended)).toBeLessThan(1_000)
  await server.stop()
})

const names = () => [...known.keys()].toSorted().join()
const stream = () => {
  const newest = streams.at(-1)
  if (newest === undefined) throw new Error('no watch is open')
  return newest
}
const connected = (count: number) => until(`${count} watches`, () => streams.length === count)

describe('watchCollection', () => {
  test('lists, then follows additions, changes and deletions', async () => {
    start()
    await connected(1)
    expect(names()).toBe('a')
    expect(server.asked.map(({ query }) => query.get('fieldSelector'))).toEqual(
      Array(2).fill('metadata.name=a'),
    )
    expect(server.watches[0]?.query.get('resourceVersion')).toBe('10')
    stream().write(
      event('ADDED', object('b', '11')) + event('MODIFIED', object('a', '12', { x: 1 })),
    )
    await until('b', () => names() === 'a,b')
    await until('a changed', () => known.get('a')?.['x'] === 1)
    stream().write(event('DELETED', object('a', '13')))
    await until('a gone', () => names() === 'b')
    await until('connected', () => troubles.length > 0)
    expect(troubles).toEqual([undefined])
  })

  test('a line that comes in pieces is one event', async () => {
    start()
    await connected(1)
    const bytes = Buffer.from(event('ADDED', object('ü', '11')))
    for (const byte of bytes) stream().write(Buffer.from([byte]))
    await until('ü', () => names() === 'a,ü')
  })

  test('a watch that ends is resumed where it was, bookmarks included; nothing is listed again', async () => {
    start()
    await connected(1)
    stream().write(event('ADDED', object('b', '11')))
    await until('b', () => names() === 'a,b')
    stream().end(event('BOOKMARK', { metadata: { resourceVersion: '40' } }))
    await connected(2)
    expect(server.watches[1]?.query.get('resourceVersion')).toBe('40')
    stream().socket?.destroy()
    await connected(3)
    expect(server.watches[2]?.query.get('resourceVersion')).toBe('40')
    expect(server.lists).toHaveLength(1)
    expect(names()).toBe('a,b')
  })

  test.each([
    ['as an event', 200],
    ['as a status', 410],
  ])('a forgotten version (410) %s leads to a new list', async (_, status) => {
    start()
    await connected(1)
    items = [object('c', '90')]
    version = '100'
    const gone = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }
    if (status === 200) stream().end(event('ERROR', gone))
    else {
      const usual = server.answer
      server.answer = (asked, answer) => {
        if (!asked.query.has('watch')) server.answer = usual
        if (asked.query.has('watch')) json(answer, 410, gone)
        else usual(asked, answer)
      }
      stream().end()
    }
    await until('the new list', () => names() === 'c')
    await connected(2)
    expect(server.watches.at(-1)?.query.get('resourceVersion')).toBe('100')
  })

  test.each([
    ['no JSON', '<html>busy</html>\n'],
    ['no event', '[1]\n'],
    ['an object without a name', event('ADDED', { metadata: {} })],
    ['an unknown type', event('HELLO', object('b', '11'))],
  ])('garbage (%s) is told and leads to a new list', async (_, line) => {
    start()
    await connected(1)
    items = [object('d', '1')]
    stream().write(line)
    await until('the new list', () => names() === 'd')
    await connected(2)
    expect(troubles.filter((message) => message !== undefined)).toHaveLength(1)
    await until('well again', () => troubles.at(-1) === undefined)
  })

  test('a connection that falls silent is replaced', async () => {
    // Not so fast that an answer comes too late on a busy machine.
    start(50)
    await connected(1)
    const startedMs = performance.now()
    await connected(2)
    expect(performance.now() - startedMs).toBeGreaterThan(1000)
    expect(troubles).toContain('/api/v1/things: the watch was silent too long')
    expect(server.lists).toHaveLength(1)
  })

  test('an API server that fails is asked again, ever more slowly, and what was known stays', async () => {
    start()
    await connected(1)
    const usual = server.answer
    server.answer = (_, answer) => json(answer, 503, { message: 'etcd has no leader' })
    stream().end(event('ERROR', { code: 500, message: 'internal' }))
    await until('several tries', () => server.lists.length >= 8)
    expect(names()).toBe('a')
    expect(troubles.at(-1)).toContain('etcd has no leader')
    server.answer = usual
    items = []
    await until('recovery', () => names() === '')
  })

  test('long lists come in pages', async () => {
    const usual = server.answer
    server.answer = (asked, answer) => {
      if (asked.query.has('watch')) return usual(asked, answer)
      if (asked.query.get('continue') === 'p2')
        return json(answer, 200, list('10', [object('z', '2')]))
      return json(answer, 200, list('10', [object('a', '1')], 'p2'))
    }
    start()
    await connected(1)
    expect(names()).toBe('a,z')
  })

  test('stops within 1 s while the server does not answer at all', async () => {
    server.answer = () => undefined
    start(1)
    await until('asked', () => server.asked.length === 1)
  })

  test('stops within 1 s while it waits to try again', async () => {
    server.answer = (_, answer) => json(answer, 503, {})
    start(1)
    await until('asked', () => troubles.length === 1)
  })
})
