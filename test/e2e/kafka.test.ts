/** Kafka to HPA: two replicas of the adapter that share the partitions of a topic and a Redis. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import type { ControlPlane } from '../controlPlane/controlPlane.ts'
import { startControlPlane } from '../controlPlane/controlPlane.ts'
import type { KubeObject } from '../controlPlane/kubeApi.ts'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { openBalancer } from '../setup/balancer.ts'
import type { KafkaPeer } from '../setup/kafkaPeer.ts'
import { kafkaPeer } from '../setup/kafkaPeer.ts'
import { startKafka } from '../setup/kafkaServer.ts'
import { startRedis } from '../setup/redisServer.ts'
import { freePort } from '../setup/running.ts'
import { adapterStarter, mountSecret, runScript, writeFiles } from './install.ts'
import { kustomize, onLoopback, withoutMachines } from './objects.ts'
import { becomes, condition, hpaPath, replicas, stays } from './observe.ts'
import { createPace } from './pace.ts'
import { createPodServers } from './podServers.ts'

const TOPIC = 'vision.detections'
const GROUP = 'vision-tracker'
const PARTITIONS = 6
const EVERY_MS = 50
/** Persons a second that are six replicas, 50 to each, and stay so if it is a seventh more or less. */
const HIGH = 290

const ends: (() => Promise<unknown>)[] = []
let plane: ControlPlane
let peer: KafkaPeer
let adapters: AdapterProcess[]
let start: (index: number) => Promise<AdapterProcess>
let count: () => Promise<unknown>
/** Persons that the cameras see. */
const persons = createPace()
let sent = 0

beforeAll(async () => {
  const [kafka, redis] = await Promise.all([startKafka(), startRedis()])
  ends.push(() => kafka.stop())
  ends.push(() => redis.stop())
  peer = await kafkaPeer(kafka.brokers)
  ends.push(() => peer.stop())
  await peer.topic(PARTITIONS, TOPIC)
  await peer.topic(1, 'frames')

  const podPort = await freePort()
  plane = await startControlPlane({ pods: createPodServers(podPort), hpaSyncPeriod: '1s' })
  ends.push(() => plane.stop())
  const ports = [await freePort(), await freePort()]
  const service = await openBalancer(ports)
  ends.push(() => service.close())
  const { kubectl } = plane.binaries
  await plane.apply(onLoopback(kustomize(kubectl, 'base'), service.port))
  const example = kustomize(kubectl, 'examples-kafka')
  const config = quickFiles(example, kafka.brokers[0] ?? '', redis.port)
  const tls = join(plane.folder, 'tls')
  runScript(plane, 'make-certificate.sh')
  await mountSecret(plane, 'custom-metrics-adapter-tls', tls)
  const starters = await Promise.all(
    ports.map((port) => adapterStarter(plane, { config, tls, port })),
  )
  start = (index) => starters[index]?.() ?? Promise.reject(new Error(`no adapter ${index}`))
  adapters = await Promise.all(ports.map((_, index) => start(index)))
  ends.push(() => Promise.all(adapters.map((adapter) => adapter.stop('SIGKILL'))))
  await plane.apply(trusting(example, podPort))
  count = replicas(plane, ['vision-tracker'])
  const producing = setInterval(produce, EVERY_MS)
  ends.push(() => Promise.resolve(clearInterval(producing)))
})
afterAll(async () => {
  for (const end of ends.toReversed()) await end()
})

/** The example's configuration with these servers, and shorter times, so that a test takes seconds. */
function quickFiles(example: readonly KubeObject[], broker: string, redisPort: number): string {
  const map = example.find(({ kind }) => kind === 'ConfigMap')
  const data = map?.['data'] as Readonly<Record<string, string>>
  const adapter = parseAllDocuments(data['adapter.yaml'] ?? '')[0]
  const set = (path: readonly (string | number)[], value: unknown) =>
    adapter?.setIn(['spec', ...path], value)
  set(['metricsApi'], { drain: '0s' })
  set(['windowStore', 'redis', 'url'], `redis://127.0.0.1:${redisPort}`)
  set(['sources', 0, 'kafkaEvents', 'brokers'], [broker])
  set(['sources', 1, 'kafkaLag', 'brokers'], [broker])
  set(['sources', 1, 'kafkaLag', 'interval'], '1s')
  set(['sources', 1, 'kafkaLag', 'groups', 0, 'topics'], ['frames'])
  set(['sources', 1, 'kafkaLag', 'groups', 0, 'noCommit'], 'earliest')
  const signals = parseAllDocuments(data['signals.yaml'] ?? '').map((document) => {
    if (document.hasIn(['spec', 'window', 'duration']))
      document.setIn(['spec', 'window', 'duration'], '4s')
    return String(document)
  })
  return writeFiles(join(plane.folder, 'config'), {
    'adapter.yaml': String(adapter),
    'signals.yaml': signals.join('---\n'),
  })
}

/** Without what is for the adapter, whose processes run here and have their configuration as files. */
function trusting(example: readonly KubeObject[], podPort: number): KubeObject[] {
  return withoutMachines(
    example.filter(({ kind }) => kind !== 'ConfigMap' && kind !== 'NetworkPolicy'),
    podPort,
  )
}

function produce(): void {
  const of = (name: string, time: number) => ({
    value: JSON.stringify({ time, class: name, confidence: 0.8, camera: 'dock-4' }),
    partition: (sent += 1) % PARTITIONS,
  })
  const messages = persons.due().map((time) => of('person', time))
  peer.producer
    .send({ topic: TOPIC, acks: 1, messages: [...messages, of('car', Date.now())] })
    .catch(() => undefined)
}

/** What one of the adapters reads. */
function partitionsOf(index: number): readonly unknown[] {
  const told = adapters[index]?.log.findLast(({ event }) => event === 'partitions-assigned')
  return (told?.['partitions'] ?? []) as readonly unknown[]
}

const shares = async () => [0, 1].map((one) => partitionsOf(one).length)

async function metrics(): Promise<unknown> {
  const found = await condition(plane, hpaPath('vision-tracker'), 'ScalingActive')
  return `${found?.status} ${found?.reason}`
}

test('replicas follow the persons on Kafka, within the bounds', async () => {
  persons.setRate(40)
  await becomes(metrics, 'True ValidMetricFound')
  await becomes(count, [2])
  persons.setRate(HIGH)
  await becomes(count, [6])
  persons.setRate(2000)
  await becomes(count, [20])
  persons.setRate(HIGH)
  await becomes(count, [6])
})

test('both replicas of the adapter tell the same, and the mean of the confidence', async () => {
  const path = '/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/'
  interface Values {
    readonly items: readonly { readonly value: string }[]
  }
  const told = await plane.api<Values>('GET', `${path}vision_avg_confidence`)
  expect(told.items.map(({ value }) => value)).toEqual(['800m'])
  await becomes(shares, [PARTITIONS / 2, PARTITIONS / 2])
})

test('a replica of the adapter that is killed changes no replica count', async () => {
  await adapters[0]?.stop('SIGKILL')
  await stays(count, [6], 20_000)
  await becomes(metrics, 'True ValidMetricFound')
  await becomes(async () => partitionsOf(1).length, PARTITIONS)
})

test('nor does its return', async () => {
  adapters[0] = await start(0)
  await stays(count, [6], 10_000)
  await becomes(metrics, 'True ValidMetricFound')
  await becomes(shares, [PARTITIONS / 2, PARTITIONS / 2])
})

test('lag in seconds is a second metric of the same HPA', async () => {
  persons.setRate(40)
  await becomes(count, [2])
  const timestamp = String(Date.now() - 40_000)
  await peer.send('frames', 0, [{ value: 'frame', timestamp }])
  await becomes(async () => Number(String(await count())) > 5 || (await count()), true)
  await peer.admin.setOffsets({
    groupId: GROUP,
    topic: 'frames',
    partitions: [{ partition: 0, offset: '1' }],
  })
  await becomes(count, [2])
})
