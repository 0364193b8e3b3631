/** The real KEDA scales by what the adapter tells it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KubeObject } from '../controlPlane/kubeApi.ts'
import type { KedaWorld } from './kedaWorld.ts'
import { startKedaWorld } from './kedaWorld.ts'
import { becomes, condition, hpaPath, replicas, stays } from './observe.ts'

const SERVICE = 'vision-service'
const WORKER = 'vision-worker'
const GATEWAY = 'vision-gateway'
const QUEUE = 'vision:frames'
/** Several looks of KEDA and of the HPA controller, which look every second. */
const SEVERAL_LOOKS_MS = 6000

let world: KedaWorld

beforeAll(async () => {
  world = await startKedaWorld()
})
afterAll(() => world?.stop())

const scaled = (...names: string[]) => replicas(world.plane, names)()

async function setQueue(length: number): Promise<void> {
  const { admin } = world.redis()
  if (length === 0) return void (await admin.del(QUEUE))
  const frames = Array.from({ length }, () => 'frame')
  await admin
    .multi()
    .del(QUEUE)
    .rpush(QUEUE, ...frames)
    .exec()
}

/** Each request detects three persons. */
function setPersons(perSecond: number): void {
  world.pods.setLoad(SERVICE, perSecond / 3)
}

function example(name: string): KubeObject {
  const found = world.examples.find((one) => one.kind === 'ScaledObject' && one.metadata.name === name) // prettier-ignore
  if (found === undefined) throw new Error(`no ScaledObject ${name} in the examples`)
  return found
}

type Spec = { readonly triggers: readonly { readonly metadata: object }[] }

/** The same with changes in its `spec`. */
function changed(object: KubeObject, changes: object): KubeObject {
  return { ...object, spec: { ...(object['spec'] as object), ...changes } }
}

/** The worker's example for another workload, and pulled where the worker's is pushed. */
function gateway(
  metadata: Readonly<Record<string, string>> = {},
  changes: object = {},
): KubeObject {
  const worker = example(WORKER)
  const triggers = (worker['spec'] as Spec).triggers.map((trigger) => ({
    ...trigger,
    type: 'external',
    metadata: { ...trigger.metadata, ...metadata },
  }))
  const own = { ...worker, metadata: { ...worker.metadata, name: GATEWAY } }
  return world.quick(changed(own, { scaleTargetRef: { name: GATEWAY }, triggers, ...changes }))
}

/**
 * With KEDA's own cooldown. KEDA 2.20 can take an error for inactivity, where a poll and a read of the HPA's meet, and
 * what then keeps it from going to zero is the cooldown alone (docs/keda.md).
 */
function lasting(scaledObject: KubeObject): KubeObject {
  return changed(scaledObject, { cooldownPeriod: 300 })
}

const hpaOf = (name: string) => hpaPath(`keda-hpa-${name}`)
const scaledObjectPath = (name: string) =>
  `/apis/keda.sh/v1alpha1/namespaces/vision/scaledobjects/${name}`

const conditionOf = async (name: string, type: string) =>
  (await condition(world.plane, scaledObjectPath(name), type))?.status

async function lastActive(name: string): Promise<number> {
  const { status } = await world.plane.api<{ status: { lastActiveTime: string } }>(
    'GET',
    scaledObjectPath(name),
  )
  return Date.parse(status.lastActiveTime)
}

async function hpaIds(...names: string[]): Promise<unknown> {
  const found = names.map((name) =>
    world.plane.api<{ metadata: { uid: string } }>('GET', hpaOf(name)),
  )
  return (await Promise.all(found)).map(({ metadata }) => metadata.uid)
}

const scalingActive = (...names: string[]) =>
  Promise.all(
    names.map(async (name) => (await condition(world.plane, hpaOf(name), 'ScalingActive'))?.status),
  )

/** Waits until a deployment is told to have replicas; gives the time that took. */
async function wakes(name: string): Promise<number> {
  const startMs = performance.now()
  const path = `/apis/apps/v1/namespaces/vision/deployments/${name}`
  for (;;) {
    const { spec } = await world.plane.api<{ spec: { replicas: number } }>('GET', path)
    const afterMs = Math.round(performance.now() - startMs)
    if (spec.replicas > 0) return afterMs
    if (afterMs > 30_000) throw new Error(`${name} sleeps on`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('the examples are taken by the API server as they are', async () => {
  await world.plane.apply(world.examples, true)
  await world.plane.apply(world.examples.filter(({ kind }) => kind !== 'ScaledObject'))
})

describe('external-push', () => {
  /** From none, with a poll that is far away: how long until a worker is asked for. */
  async function wakesByPush(): Promise<number> {
    await setQueue(0)
    const worker = world.quick(example(WORKER))
    await world.plane.apply([worker])
    await becomes(() => scaled(WORKER), [0])
    await world.plane.apply([changed(worker, { pollingInterval: 300 })])
    // Time for the first poll of the new interval.
    await stays(() => scaled(WORKER), [0], SEVERAL_LOOKS_MS / 2)
    await world.redis().admin.lpush(QUEUE, 'frame')
    return wakes(WORKER)
  }

  test('wakes the first worker within two seconds, long before the next poll', async ({
    annotate,
  }) => {
    // A machine that does other work may make one of them late; a poll would be late by minutes each time.
    const tries: number[] = []
    while (tries.length < 3 && !tries.some((ms) => ms < 2000)) tries.push(await wakesByPush())
    await annotate(`awake after ${tries.join(', ')} ms`)
    expect(Math.min(...tries)).toBeLessThan(2000)
  })
})

describe('a trigger with a slip of the pen', () => {
  test('is told of in the events and conditions that kubectl shows', async () => {
    await world.plane.apply([gateway({ signal: 'frames-waitng' })])
    const sentence =
      'trigger metadata signal is "frames-waitng": no such Signal in namespace vision; there are '
    const described = async () =>
      (await world.kubectl('-n', 'vision', 'describe', 'scaledobject', GATEWAY)).includes(sentence)
    await becomes(described, true)
    await becomes(() => conditionOf(GATEWAY, 'Ready'), 'False')
  })
})

describe('replicas follow', () => {
  test('a Redis list from none to many and back to none', async () => {
    const both = () => scaled(WORKER, GATEWAY)
    await setQueue(0)
    await world.plane.apply([world.quick(example(WORKER)), gateway()])
    await becomes(both, [0, 0])
    await setQueue(1)
    await becomes(both, [1, 1])
    await setQueue(45)
    await becomes(both, [5, 5])
    await setQueue(8)
    await becomes(both, [1, 1])
    await setQueue(0)
    await becomes(both, [0, 0])
  })

  test("detections of persons, within the ScaledObject's bounds", async () => {
    const service = () => scaled(SERVICE)
    setPersons(20)
    await world.plane.apply([world.quick(example(SERVICE))])
    await becomes(service, [2])
    setPersons(280)
    await becomes(service, [6])
    setPersons(2000)
    await becomes(service, [20])
    await stays(service, [20], SEVERAL_LOOKS_MS / 2)
    setPersons(0)
    await becomes(service, [2])
    await stays(service, [2], SEVERAL_LOOKS_MS / 2)
  })
})

const ALL = [WORKER, GATEWAY, SERVICE]

test('the adapter killed under load and started again: the same HPAs keep their replicas', async () => {
  const all = () => scaled(...ALL)
  await world.plane.apply([lasting(world.quick(example(WORKER))), lasting(gateway())])
  await setQueue(45)
  setPersons(280)
  await becomes(all, [5, 5, 6])
  await becomes(() => scalingActive(...ALL), ['True', 'True', 'True'])
  const before = await hpaIds(...ALL)
  await world.adapter().stop('SIGKILL')
  await becomes(() => scalingActive(...ALL), ['False', 'False', 'False'])
  await stays(all, [5, 5, 6], SEVERAL_LOOKS_MS)
  await world.restartAdapter()
  await Promise.all([
    stays(all, [5, 5, 6], SEVERAL_LOOKS_MS),
    becomes(() => scalingActive(...ALL), ['True', 'True', 'True']),
  ])
  expect(await hpaIds(...ALL)).toEqual(before)
})

test('what is pushed alone keeps KEDA from its cooldown, poll or not', async () => {
  // KEDA tries a stream that broke ever more seldom; where the object changed it begins anew.
  const worker = lasting(world.quick(example(WORKER)))
  await world.plane.apply([changed(worker, { pollingInterval: 300 })])
  // Two may come of the poll with which it begins and of what is told first; the third is told again.
  for (const time of ['first', 'second', 'third']) {
    const before = await lastActive(WORKER)
    await becomes(async () => (await lastActive(WORKER)) > before || `no ${time} time`, true)
  }
  await world.plane.apply([worker])
})

test("Redis killed: KEDA's fallback takes over where there is one, and goes when Redis is back", async () => {
  const both = () => scaled(WORKER, GATEWAY)
  const fallback = { failureThreshold: 2, replicas: 7 }
  await world.plane.apply([lasting(gateway({}, { fallback }))])
  await becomes(both, [5, 5])
  await world.redis().stop()
  await becomes(both, [5, 7])
  // KEDA's two ways to it (the poll and the HPA) count failures apart, so it may come and go.
  await becomes(() => conditionOf(GATEWAY, 'Fallback'), 'True')
  const why = await world.kubectl('-n', 'vision', 'describe', 'scaledobject', WORKER)
  expect(why).toMatch(/signal vision\/frames-waiting has no fresh value: .*ECONNREFUSED/)
  const before = await lastActive(WORKER)
  await Promise.all([
    stays(both, [5, 7], SEVERAL_LOOKS_MS / 2),
    // It is told by push that it was active, so KEDA's cooldown does not run out in an outage. After the adapter was
    // away KEDA waits for up to a minute before it listens again.
    becomes(async () => (await lastActive(WORKER)) > before, true, 120_000),
  ])
  await world.restartRedis()
  await setQueue(25)
  await becomes(both, [3, 3])
  await becomes(() => conditionOf(GATEWAY, 'Fallback'), 'False')
})

test('more than 50 persons a second among the detections on Kafka wake replicas, fewer let them sleep', async () => {
  const replicasOf = () => scaled(GATEWAY)
  await world.plane.apply([gateway({ signal: 'persons' })])
  world.setPersons(30)
  await becomes(replicasOf, [0])
  world.setPersons(120)
  await becomes(replicasOf, [3])
  await stays(replicasOf, [3], SEVERAL_LOOKS_MS / 2)
  world.setPersons(30)
  await becomes(replicasOf, [0])
})

test('told to stop while KEDA is connected, the adapter ends cleanly', async () => {
  expect(await world.adapter().stop('SIGTERM')).toBe(0)
})
