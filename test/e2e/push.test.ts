/** Services that report by themselves, proved by the tokens of their pods, to two adapters; the HPA follows. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PushClient } from '../push/pushClient.ts'
import { report } from '../push/pushClient.ts'
import { askDirectly } from './direct.ts'
import { kustomize } from './objects.ts'
import { becomes, condition, hpaPath, replicas, stays } from './observe.ts'
import { aDayOld, podToken } from './podTokens.ts'
import type { PushWorld } from './pushWorld.ts'
import { AUDIENCE, DETECTOR, startPushWorld } from './pushWorld.ts'

const EXTERNAL = '/apis/external.metrics.k8s.io/v1beta1/namespaces/vision'
const REQUESTS = `${EXTERNAL}/vision_detector_requests_per_second`
/** Calls per second that are six replicas, ten to each. */
const HIGH = 57
const LOW = 15
/** Several looks of the HPA controller, which looks every second. */
const SEVERAL_LOOKS_MS = 6000

let world: PushWorld
let count: () => Promise<unknown>

beforeAll(async () => {
  world = await startPushWorld()
  count = replicas(world.plane, [DETECTOR])
  await world.plane.apply([prober()])
})
afterAll(() => world?.stop())

/** A pod of another kind, with a token of its own. */
const prober = () => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'prober', namespace: 'vision' },
  spec: {
    nodeName: 'nowhere',
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'prober', image: 'registry.example/prober:1.0' }],
  },
})

async function scalingActive(): Promise<unknown> {
  const found = await condition(world.plane, hpaPath(DETECTOR), 'ScalingActive')
  return `${found?.status} ${found?.reason}`
}

test('the overlay and the example are taken by the API server as they are', async () => {
  const { plane } = world
  for (const folder of ['overlays/push', 'examples-push'])
    await plane.apply(kustomize(plane.binaries.kubectl, folder), true)
})

test('replicas follow the requests that the pods report, within the bounds', async () => {
  world.pods.setLoad(LOW)
  await becomes(scalingActive, 'True ValidMetricFound')
  await becomes(count, [2])
  world.pods.setLoad(HIGH)
  await becomes(count, [6])
  expect(world.pods.counters().map(({ lastFault }) => lastFault)).toEqual(Array(6).fill(undefined))
  world.pods.setLoad(LOW)
  await becomes(count, [2])
})

test('each pod has its share, for an HPA on a Pods metric', async () => {
  const path =
    '/apis/custom.metrics.k8s.io/v1beta2/namespaces/vision/pods/*/requests_per_second?labelSelector=app.kubernetes.io%2Fname%3Dvision-detector'
  interface Shares {
    readonly items: readonly { readonly describedObject: { readonly name: string } }[]
  }
  const { items } = await world.plane.api<Shares>('GET', path)
  const names = items.map(({ describedObject }) => describedObject.name)
  expect(names.toSorted()).toEqual(
    world.pods
      .counters()
      .map(({ pod }) => pod)
      .toSorted(),
  )
  expect(names).toHaveLength(2)
})

describe('a report', () => {
  let clients: readonly PushClient[]
  let token: string
  let sequence = 0

  beforeAll(async () => {
    clients = await Promise.all([0, 1].map(world.dial))
    token = await podToken(world.plane, await world.identityOf('prober'), [AUDIENCE])
  })

  /** The same to both adapters; what each says. */
  function send(overrides: Parameters<typeof report>[0] = {}, bearer = token): Promise<unknown> {
    sequence += 1
    const counts = [{ model: '', version: '', requests: 7, errors: 0, latency: null }]
    const one = report({ ...{ namespace: '', pod: '', service: 'prober' }, sequence, counts, ...overrides }) // prettier-ignore
    return Promise.all(clients.map((client) => client.report(one, bearer)))
  }
  const both = (text: unknown) => [text, text]

  test('is counted once, however often it is told', async () => {
    const accepted = { outcome: 'ACCEPTED' }
    for (const number of [1, 2, 3]) {
      const { startUnixMs, endUnixMs } = report()
      const same = { sequence: number, startUnixMs, endUnixMs }
      expect(await send(same)).toMatchObject(both(accepted))
      expect(await send(same)).toMatchObject(both({ outcome: 'DUPLICATE' }))
    }
    const told = async () => {
      const { items } = await world.plane.api<{ items: { value: string }[] }>(
        'GET',
        `${EXTERNAL}/vision_probes`,
      )
      return items.map(({ value }) => value)
    }
    await becomes(told, ['21'])
  })

  test('is answered with what the pod is to take', async () => {
    const idle = [{ model: 'yolo', version: '8', requests: 0, errors: 0, latency: null }]
    expect(await send({ service: 'detector', counts: idle })).toMatchObject(
      both({ outcome: 'ACCEPTED', admissibleRate: 20 }),
    )
  })

  test('of another pod is refused, and of another namespace', async () => {
    const who = 'system:serviceaccount:vision:default may report for vision/prober'
    expect(await send({ pod: 'vision-detector-1' })).toEqual(
      both(`PERMISSION_DENIED: the report is for vision/vision-detector-1, and ${who}`),
    )
    expect(await send({ namespace: 'monitoring' })).toEqual(
      both(`PERMISSION_DENIED: the report is for monitoring/prober, and ${who}`),
    )
  })

  test('with a token that is bound to no pod, for others, too old or forged is refused, and why', async () => {
    const account = { namespace: 'vision', account: 'default' }
    expect(await send({}, await podToken(world.plane, account, [AUDIENCE]))).toEqual(
      both(
        'PERMISSION_DENIED: system:serviceaccount:vision:default is no ServiceAccount with a token bound to a pod: use the one that is mounted in the pod',
      ),
    )
    const refused = async (bearer: string, why: RegExp) =>
      expect(await send({}, bearer)).toEqual(both(expect.stringMatching(why)))
    const identity = await world.identityOf('prober')
    for (const audiences of [['vault'], undefined])
      await refused(
        await podToken(world.plane, identity, audiences),
        /^UNAUTHENTICATED: .*audience/,
      )
    await refused(aDayOld(world.plane, token), /^UNAUTHENTICATED: .*expired/)
    await refused(`${token.slice(0, -8)}AAAAAAAA`, /^UNAUTHENTICATED: /)
  })

  test('of a pod that was deleted is refused', async () => {
    await world.plane.api('DELETE', '/api/v1/namespaces/vision/pods/prober')
    const refused = async () => {
      const answers = (await send()) as readonly unknown[]
      return answers.every((one) => typeof one === 'string' && one.startsWith('UNAUTHENTICATED: '))
    }
    await becomes(refused, true)
  })
})

/**
 * Asks each adapter itself again and again: it tells about the load, or that it does not know. In the end all of
 * those that are there know it.
 */
async function tellsTheTruth(truth: number, forMs: number): Promise<void> {
  const subject = '/O=system:masters/CN=auditor'
  const client = world.plane.certs.cluster.sign({ name: 'auditor', subject, use: 'clientAuth' })
  const endMs = performance.now() + forMs
  let known: number[] = []
  while (performance.now() < endMs) {
    known = []
    for (const [index, adapterPort] of world.ports.entries()) {
      const asked = askDirectly({ plane: world.plane, adapterPort }, { path: REQUESTS, client })
      const answer = await asked.catch(() => undefined)
      if (answer === undefined) continue
      if (answer.status !== 200) {
        expect([404, 503], answer.text).toContain(answer.status)
        continue
      }
      const { items } = JSON.parse(answer.text) as { items: { value: string }[] }
      const [, digits, milli] = /^(\d+)(m?)$/.exec(items[0]?.value ?? '') ?? []
      const share = Number(digits) / (milli === 'm' ? 1000 : 1) / truth
      expect(share, `adapter ${index}: ${answer.text}`).toBeGreaterThan(0.8)
      expect(share, `adapter ${index}: ${answer.text}`).toBeLessThan(1.2)
      known.push(index)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(known).toEqual([0, 1])
}

/** So long after the load was uneven its rate is. */
const FORGOTTEN_MS = 10_000

/**
 * What must hold under an even load. Where the machine stood still so did the load, and replicas had reason to follow
 * it: then that says nothing, and is seen again.
 */
async function underEvenLoad(holds: () => Promise<unknown>): Promise<void> {
  for (;;) {
    await becomes(count, [6])
    const fromMs = performance.now()
    try {
      await holds()
      return
    } catch (thrown) {
      if (world.pods.unevenMs() < fromMs - FORGOTTEN_MS) throw thrown
    }
  }
}

test('an adapter that is killed under load, and both, change no replica count, nor does their return', async () => {
  world.pods.setLoad(HIGH)
  await underEvenLoad(() => stays(count, [6], SEVERAL_LOOKS_MS))
  for (const killed of [[0], [0, 1]])
    await underEvenLoad(async () => {
      for (const index of killed) await world.adapters[index]?.stop('SIGKILL')
      try {
        await stays(count, [6], SEVERAL_LOOKS_MS)
      } finally {
        for (const index of killed) await world.start(index)
      }
      await Promise.all([
        tellsTheTruth(HIGH, 3 * SEVERAL_LOOKS_MS),
        stays(count, [6], 3 * SEVERAL_LOOKS_MS),
        becomes(scalingActive, 'True ValidMetricFound'),
      ])
    })
}, 600_000)

test('told to stop, the adapters end cleanly while pods report', async () => {
  const codes = await Promise.all(world.adapters.map((adapter) => adapter.stop('SIGTERM')))
  expect(codes).toEqual([0, 0])
})
