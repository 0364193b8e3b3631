import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Labels, Target } from '../../src/model.ts'
import type { PodQuery, PodSelection } from '../../src/ports.ts'
import { kubeClient } from '../../adapter/cluster/kubeClient.ts'
import type { KubeClient } from '../../adapter/cluster/kubeClient.ts'
import { PodWatch } from '../../adapter/cluster/pods.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { until } from '../kit/until.ts'
import { event, fastClock, FakeApiServer, json, list } from './fakeApiServer.ts'

interface PodOptions {
  readonly namespace?: string
  readonly app?: string
  readonly ready?: boolean
  readonly deleting?: boolean
  readonly phase?: string
  readonly ip?: string
  readonly uid?: string
}

let serial = 100
function pod(name: string, options: PodOptions = {}) {
  const { namespace = 'default', app = 'vision', ready = true, phase = 'Running' } = options
  serial += 1
  return {
    metadata: {
      name,
      namespace,
      uid: options.uid ?? `uid-${name}`,
      resourceVersion: String(serial),
      labels: { app },
      ...(options.deleting === true ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: {
      containers: [
        { name: 'c', ports: [{ name: 'dns', containerPort: 53, protocol: 'UDP' }] },
        { name: 'd', ports: [{ name: 'metrics', containerPort: 9100, protocol: 'TCP' }] },
      ],
    },
    status: {
      phase,
      podIP: options.ip ?? '10.0.0.1',
      conditions: [
        { type: 'PodScheduled', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' },
        {
          type: 'Ready',
          status: ready ? 'True' : 'False',
          lastTransitionTime: '2026-01-01T00:01:00Z',
        },
      ],
    },
  }
}

/** The one grammar these tests need: `key=value`, or nothing. */
function compileSelector(text: string): (labels: Labels) => boolean {
  const [key = '', value, more] = text.split('=')
  if (more !== undefined) throw new Error('unexpected =')
  return (labels) => text === '' || labels[key] === value
}
const selector = (text: string) => ({ text, matches: compileSelector(text) })

const query: PodQuery = {
  namespace: 'default',
  labelSelector: 'app=vision',
  port: 'metrics',
  path: '/metrics',
  scheme: 'http',
}

let server: FakeApiServer
let client: KubeClient
let stop: AbortController
let running: Promise<unknown>[]
let streams: Map<string, ServerResponse>
let listed: Map<string, unknown[]>
let published: (readonly Target[])[]

beforeEach(async () => {
  streams = new Map()
  listed = new Map()
  published = []
  running = []
  stop = new AbortController()
  server = new FakeApiServer((asked, answer) => {
    if (!asked.query.has('watch')) return json(answer, 200, list('1', listed.get(asked.path) ?? []))
    streams.set(asked.path, answer)
    answer.writeHead(200).flushHeaders()
  })
  await server.start()
})
afterEach(async () => {
  stop.abort()
  await Promise.all(running)
  client.close()
  await server.stop()
})

function start(namespaces: readonly string[] = [], factor = 10): PodWatch {
  const clock = fastClock(factor)
  client = kubeClient(server.connection(), clock)
  const log = new RecordingLogger()
  const pods = new PodWatch({ client, clock, log, namespaces, compileSelector })
  running.push(pods.run(stop.signal))
  return pods
}

function follow(pods: PodWatch, asked: PodQuery = query) {
  running.push(pods.watch(asked, (targets) => published.push(targets), stop.signal))
}

const tell = async (type: string, changed: unknown, path = '/api/v1/pods') =>
  (await until('watch', () => streams.get(path))).write(event(type, changed))
const ids = () =>
  published
    .at(-1)
    ?.map(({ id }) => id)
    .join()

describe('PodWatch as discovery', () => {
  test('finds ready pods that stay, by selector, namespace and named port', async () => {
    listed.set('/api/v1/pods', [
      pod('b', { ip: 'fd00::1' }),
      pod('a'),
      pod('other-app', { app: 'x' }),
      pod('elsewhere', { namespace: 'ns2' }),
      pod('not-ready', { ready: false }),
      pod('leaving', { deleting: true }),
      pod('done', { phase: 'Succeeded' }),
      pod('no-address', { ip: '' }),
    ])
    follow(start())
    await until('targets', () => published.length > 0)
    expect(published).toEqual([
      [
        {
          id: 'default/a',
          url: 'http://10.0.0.1:9100/metrics',
          labels: { namespace: 'default', pod: 'a' },
        },
        {
          id: 'default/b',
          url: 'http://[fd00::1]:9100/metrics',
          labels: { namespace: 'default', pod: 'b' },
        },
      ],
    ])
  })

  test('all namespaces, a number for a port, a port that is not there, UDP', async () => {
    listed.set('/api/v1/pods', [pod('a'), pod('z', { namespace: 'ns2' })])
    const pods = start()
    follow(pods, { labelSelector: 'app=vision', port: 8080, path: 'm', scheme: 'https' })
    await until('targets', () => ids() === 'default/a,ns2/z')
    expect(published.at(-1)?.[0]?.url).toBe('https://10.0.0.1:8080/m')
    for (const port of ['dns', 'nothing']) {
      published = []
      follow(pods, { ...query, port })
      await until('answer', () => published.length > 0)
      expect(published).toEqual([[]])
    }
  })

  test('publishes an empty set, then each change of the set and nothing else', async () => {
    follow(start())
    await until('nothing', () => published.length === 1)
    expect(published).toEqual([[]])
    await tell('ADDED', pod('a', { ready: false }))
    await tell('ADDED', pod('x', { app: 'x' }))
    await tell('MODIFIED', pod('a'))
    await until('a', () => ids() === 'default/a')
    await tell('MODIFIED', pod('a'))
    await tell('ADDED', pod('b'))
    await until('both', () => ids() === 'default/a,default/b')
    await tell('MODIFIED', pod('a', { deleting: true }))
    await until('b alone', () => ids() === 'default/b')
    await tell('DELETED', pod('b'))
    await until('none', () => ids() === '')
    expect(published).toHaveLength(5)
  })

  test('a new list takes away what is no longer there', async () => {
    listed.set('/api/v1/pods', [pod('a'), pod('b')])
    follow(start())
    await until('both', () => ids() === 'default/a,default/b')
    listed.set('/api/v1/pods', [pod('b')])
    await tell('ERROR', { code: 410, message: 'too old' })
    await until('b alone', () => ids() === 'default/b')
    expect(published).toHaveLength(2)
  })

  test('a selector that does not parse is refused by name', async () => {
    await expect(
      start().watch({ ...query, labelSelector: 'a=b=c' }, () => {}, stop.signal),
    ).rejects.toMatchObject({ code: 'not-configured', message: expect.stringContaining('a=b=c') })
  })
})

describe('PodWatch as witness of start-ups', () => {
  let told: string[]
  const listen = (pods: PodWatch, asked: PodSelection) => {
    told = []
    const tell = (one: { pod: string; ms: number; witnessed: boolean }) =>
      void told.push(`${one.pod} ${one.ms / 1000} ${one.witnessed ? 'witnessed' : 'found'}`)
    running.push(pods.watchStartUps(asked, tell, stop.signal))
  }

  test('tells of those that are listed, and of those that it saw before they were ready', async () => {
    listed.set('/api/v1/pods', [
      pod('a'),
      pod('other-app', { app: 'x' }),
      pod('elsewhere', { namespace: 'ns2' }),
    ])
    listen(start(), { namespace: 'default', labelSelector: 'app=vision' })
    await until('the one that is there', () => told.length === 1)
    for (const name of ['b', 'c']) await tell('ADDED', starting(name))
    await tell('MODIFIED', pod('b'))
    await tell('MODIFIED', pod('b'))
    await until('the one that came', () => told.length === 2)
    listed.set('/api/v1/pods', [pod('a'), pod('b'), pod('c')])
    await tell('ERROR', { code: 410, message: 'too old' })
    await until('the one that came meanwhile', () => told.length === 3)
    expect(told).toEqual(['uid-a 60 found', 'uid-b 60 witnessed', 'uid-c 60 found'])
  })

  test('all namespaces; who begins later hears of them too', async () => {
    listed.set('/api/v1/pods', [pod('a'), pod('z', { namespace: 'ns2' })])
    const pods = start()
    await until('synced', () => pods.notSynced() === undefined)
    listen(pods, { labelSelector: '' })
    expect(told).toEqual(['uid-a 60 found', 'uid-z 60 found'])
  })

  test('a selector that does not parse is refused by name; one who is gone hears nothing', async () => {
    const pods = start()
    const asked = { labelSelector: 'a=b=c' }
    await expect(pods.watchStartUps(asked, () => {}, stop.signal)).rejects.toMatchObject({
      code: 'not-configured',
      message: expect.stringContaining('a=b=c'),
    })
    await pods.watchStartUps({ labelSelector: '' }, () => {}, AbortSignal.abort())
  })
})

/** A pod that has a node and was never ready. */
function starting(name: string) {
  const whole = pod(name, { ready: false })
  const conditions = whole.status.conditions.filter(({ type }) => type === 'PodScheduled')
  return { ...whole, status: { ...whole.status, conditions } }
}

describe('PodWatch as directory', () => {
  test('matches by labels, sees changes, keeps namespaces apart', async () => {
    listed.set('/api/v1/pods', [pod('a'), pod('b', { app: 'x' }), pod('c', { namespace: 'ns2' })])
    const pods = start()
    expect(pods.notSynced()).toContain('not known yet')
    await until('synced', () => pods.notSynced() === undefined)
    const matching = (namespace: string, text: string) =>
      pods
        .matching(namespace, selector(text))
        .map(({ name }) => name)
        .toSorted()
        .join()
    expect(matching('default', 'app=vision')).toBe('a')
    expect(matching('default', '')).toBe('a,b')
    expect(matching('ns2', 'app=vision')).toBe('c')
    expect(matching('ns3', '')).toBe('')
    await tell('MODIFIED', pod('b'))
    await until('b', () => matching('default', 'app=vision') === 'a,b')
    await tell('MODIFIED', pod('a', { uid: 'new' }))
    await until('a replaced', () => pods.get('default', 'a')?.uid === 'new')
    expect(pods.matching('default', selector('app=vision')).map(({ uid }) => uid)).toContain('new')
    await tell('DELETED', pod('a'))
    await until('a gone', () => matching('default', '') === 'b')
    expect(pods.get('default', 'a')).toBeUndefined()
  })

  test('a list of namespaces is one watch each, and none is asked for the whole cluster', async () => {
    listed.set('/api/v1/namespaces/ns1/pods', [pod('a', { namespace: 'ns1' })])
    listed.set('/api/v1/namespaces/ns2/pods', [pod('b', { namespace: 'ns2' })])
    const pods = start(['ns1', 'ns2'])
    follow(pods, { ...query, namespace: 'ns2' })
    await until('synced', () => pods.notSynced() === undefined)
    await until('target', () => ids() === 'ns2/b')
    listed.set('/api/v1/namespaces/ns2/pods', [])
    await tell('ERROR', { code: 410 }, '/api/v1/namespaces/ns2/pods')
    await until('b gone', () => pods.get('ns2', 'b') === undefined)
    expect(pods.get('ns1', 'a')).toBeDefined()
    expect(server.asked.map(({ path }) => path)).not.toContain('/api/v1/pods')
  })

  test('a watch that fails for minutes no longer counts as knowing the pods', async () => {
    listed.set('/api/v1/pods', [pod('a')])
    const pods = start([], 1_000)
    await until('synced', () => pods.notSynced() === undefined)
    // The list is there before the watch is: refused already, it could not be told anything.
    await until('watch', () => streams.get('/api/v1/pods'))
    const usual = server.answer
    server.answer = (_, answer) => json(answer, 403, { message: 'forbidden' })
    await tell('ERROR', { code: 500, message: 'internal' })
    await until('doubt', () => pods.notSynced()?.includes('forbidden'), 12_000)
    expect(pods.get('default', 'a')).toBeDefined()
    server.answer = usual
    await until('synced again', () => pods.notSynced() === undefined, 12_000)
  })
})
