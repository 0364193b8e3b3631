import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseMilli } from '../metrics-api/parseQuantity.ts'
import { askDirectly } from './direct.ts'
import { apiServicePath, becomes, condition, hpaPath, replicas, stays } from './observe.ts'
import { setQueue } from './ways.ts'
import type { World } from './world.ts'
import { API_SERVICES, startWorld } from './world.ts'

const SERVICE = 'vision-service'
const WORKLOADS = [SERVICE, 'vision-worker', 'vision-gateway'] as const
/** Several looks of the HPA controller, which looks every second. */
const SEVERAL_LOOKS_MS = 6000

let world: World
let all: () => Promise<unknown>

beforeAll(async () => {
  world = await startWorld()
  all = replicas(world.plane, WORKLOADS)
})
afterAll(() => world?.stop())

/** 0.48 requests per second are 5 replicas at 0.1 each and 3 at 0.2; 55 frames are 6 at 10 each. */
async function high(): Promise<void> {
  world.pods.setLoad(SERVICE, 0.48)
  await setQueue(world, 55)
}

async function low(): Promise<void> {
  world.pods.setLoad(SERVICE, 0.1)
  await setQueue(world, 15)
}

async function scalingActive(): Promise<unknown> {
  const { plane } = world
  const found = WORKLOADS.map((name) => condition(plane, hpaPath(name), 'ScalingActive'))
  return (await Promise.all(found)).map((one) => `${one?.status} ${one?.reason}`)
}

const ACTIVE = WORKLOADS.map(() => 'True ValidMetricFound')

const CUSTOM = '/apis/custom.metrics.k8s.io/v1beta2/namespaces/vision'
const HIGH_LOAD = {
  [`${CUSTOM}/pods/*/http_requests_per_second`]: 0.48 / 5,
  [`${CUSTOM}/metrics/http_requests_per_second`]: 0.48,
  '/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/vision_frames_waiting': 55,
}

/**
 * Asks the adapter itself again and again, since the API server leaves it alone for a while after it was away:
 * it tells about the high load, or that it has no number yet, and in the end all of it.
 */
async function tellsTheTruth(forMs: number): Promise<void> {
  const subject = '/O=system:masters/CN=auditor'
  const client = world.plane.certs.cluster.sign({ name: 'auditor', subject, use: 'clientAuth' })
  const endMs = performance.now() + forMs
  let known: string[] = []
  while (performance.now() < endMs) {
    known = []
    for (const [path, truth] of Object.entries(HIGH_LOAD)) {
      const answer = await askDirectly(world, { path, client })
      if (answer.status !== 200) {
        expect([404, 503], answer.text).toContain(answer.status)
        continue
      }
      known.push(path)
      const { items } = JSON.parse(answer.text) as { items: { value: string }[] }
      for (const { value } of items) {
        const share = Number(parseMilli(value)) / 1000 / truth
        expect(share, `${path}: ${value}`).toBeGreaterThan(0.5)
        expect(share, `${path}: ${value}`).toBeLessThan(2)
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(known).toEqual(Object.keys(HIGH_LOAD))
}

/** What the HPA tells its owner about its metric. */
async function told(name: (typeof WORKLOADS)[number]): Promise<string> {
  return (await condition(world.plane, hpaPath(name), 'ScalingActive'))?.message ?? ''
}

test('the API server finds all three API services available', async () => {
  for (const name of API_SERVICES)
    await becomes(async () => {
      const available = await condition(world.plane, apiServicePath(name), 'Available')
      return available?.status === 'True' || available
    }, true)
})

/** Of its log; before, while the adapter did not run yet, it had reason to complain. */
let documentedAt = 0

test('the API server joins the OpenAPI documents of all three to its own', async () => {
  const wanted = API_SERVICES.map((name) => {
    const [version = '', ...group] = name.split('.')
    return `apis/${group.join('.')}/${version}`
  })
  const documented = async (version: string) => {
    type Document = { readonly paths: object }
    const answer = await world.plane.api<Document | string>('GET', `/openapi/${version}`)
    // The list of version 3 comes as text.
    const { paths: all } = typeof answer === 'string' ? (JSON.parse(answer) as Document) : answer
    const paths = Object.keys(all)
    return wanted.filter((prefix) =>
      paths.some((path) => path.replace(/^\//, '').startsWith(prefix)),
    )
  }
  await becomes(() => documented('v3'), wanted)
  await becomes(() => documented('v2'), wanted)
  documentedAt = world.plane.apiServerLog().length
})

test('HPAs on a Pods, an External and an Object metric scale up with the load', async () => {
  await low()
  await becomes(all, [2, 2, 2])
  await becomes(scalingActive, ACTIVE)
  await high()
  await becomes(all, [5, 6, 3])
})

test('and down again', async () => {
  await low()
  await becomes(all, [2, 2, 2])
})

test('while the sources are down nothing is scaled down, and the HPAs say why', async () => {
  await high()
  await settled()
  world.pods.hang(SERVICE)
  world.redisDoor.hang()
  await low()
  await becomes(scalingActive, [
    'False FailedGetPodsMetric',
    'False FailedGetExternalMetric',
    'False FailedGetObjectMetric',
  ])
  await stays(all, [5, 6, 3], SEVERAL_LOOKS_MS)
  for (const name of WORKLOADS) expect(await told(name), name).toMatch(/timeout/)
  expect(await told('vision-worker')).toMatch(/vision_frames_waiting has no fresh value/)

  await world.redisDoor.refuse()
  await becomes(async () => (await told('vision-worker')).includes('ECONNREFUSED'), true)
  await stays(all, [5, 6, 3], SEVERAL_LOOKS_MS / 2)

  world.pods.resume(SERVICE)
  await world.redisDoor.forward()
  await becomes(all, [2, 2, 2])
})

test('in all this time the API server finds nothing wrong with the OpenAPI documents', () => {
  const lines = world.plane.apiServerLog().slice(documentedAt).split('\n')
  const complaints = lines.filter((line) => /openapi/i.test(line) && !/starting/i.test(line))
  expect(complaints).toEqual([])
})

test('killing the adapter and starting it again changes no replica count', async () => {
  await high()
  await settled()
  await world.adapter().stop('SIGKILL')
  await world.restartAdapter()
  await Promise.all([tellsTheTruth(SEVERAL_LOOKS_MS), stays(all, [5, 6, 3], SEVERAL_LOOKS_MS)])

  await world.adapter().stop('SIGKILL')
  await stays(all, [5, 6, 3], SEVERAL_LOOKS_MS)
  await world.restartAdapter()
  await Promise.all([
    tellsTheTruth(SEVERAL_LOOKS_MS),
    stays(all, [5, 6, 3], 3 * SEVERAL_LOOKS_MS),
    becomes(scalingActive, ACTIVE),
  ])
})

test('told to stop, the adapter ends cleanly', async () => {
  expect(await world.adapter().stop('SIGTERM')).toBe(0)
})

/** Replicas for the high load, after the windows have forgotten how the load was shared before. */
async function settled(): Promise<void> {
  for (;;) {
    await becomes(all, [5, 6, 3])
    const still = await stays(all, [5, 6, 3], SEVERAL_LOOKS_MS).then(
      () => true,
      () => false,
    )
    if (still) return
  }
}
