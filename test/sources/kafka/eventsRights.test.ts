/** What counting needs to be allowed, on a real broker that denies all else. */
import kafkajs from 'kafkajs'
import type { AclEntry } from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { WindowStore } from '../../../src/ports.ts'
import { memoryWindows } from '../../../src/store/memoryWindows.ts'
import type { KafkaPeer } from '../../setup/kafkaPeer.ts'
import { kafkaPeer } from '../../setup/kafkaPeer.ts'
import type { KafkaServer } from '../../setup/kafkaServer.ts'
import { startKafka } from '../../setup/kafkaServer.ts'
import { eventually } from '../../setup/running.ts'
import { plainUser } from '../kafkaLagTrial.ts'
import { EventsRun, Truth } from './eventsRun.ts'

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
const PASSWORD = 'nine-patient-herons'

let server: KafkaServer
let peer: KafkaPeer
const runs: EventsRun[] = []

beforeAll(async () => {
  server = await startKafka({ secured: plainUser('tideline', PASSWORD) })
  peer = await kafkaPeer(server.brokers)
}, 120_000)
afterEach(async () => {
  for (const run of runs.splice(0)) await run.stop()
})
afterAll(async () => {
  await peer?.stop()
  await server?.stop()
})

async function allowRead(resourceType: AclEntry['resourceType'], name: string, prefixed = false) {
  const { LITERAL, PREFIXED } = ResourcePatternTypes
  await peer.admin.createAcls({
    acl: [
      {
        resourceType,
        resourceName: name,
        resourcePatternType: prefixed ? PREFIXED : LITERAL,
        principal: 'User:tideline',
        host: '*',
        operation: AclOperationTypes.READ,
        permissionType: AclPermissionTypes.ALLOW,
      },
    ],
  })
}

function run(topic: string, group: string, windows: WindowStore): EventsRun {
  const sasl = { mechanism: 'plain', username: 'tideline', password: { env: 'PASSWORD' } }
  const config = { brokers: [...server.secured], sasl, topic, group }
  const made = new EventsRun(config, windows, { PASSWORD })
  runs.push(made)
  return made
}

async function written(): Promise<{ readonly topic: string; readonly truth: Truth }> {
  const topic = await peer.topic(1)
  const truth = new Truth()
  await peer.send(topic, 0, truth.events(30))
  return { topic, truth }
}

function counts(reading: EventsRun, truth: Truth): Promise<unknown> {
  return eventually(`${JSON.stringify(truth.counts)}; ${reading.failure()}`, () =>
    Promise.resolve(expect(reading.counts()).toEqual(truth.counts)), 20_000) // prettier-ignore
}

function fails(reading: EventsRun, how: RegExp): Promise<unknown> {
  return eventually('told', () => Promise.resolve(expect(reading.failure()).toMatch(how)))
}

test('READ on the topic and on groups that begin with its name, where windows are in memory', async () => {
  const { topic, truth } = await written()
  const reading = run(topic, 'alone', memoryWindows())
  await fails(reading, /^unauthorized: /)
  expect(reading.counts()).toEqual({})
  await allowRead(AclResourceTypes.TOPIC, topic)
  await allowRead(AclResourceTypes.GROUP, 'alone-', true)
  await counts(reading, truth)
})

test('READ on the topic and on the group by its name, where windows are shared', async () => {
  const { topic, truth } = await written()
  await allowRead(AclResourceTypes.TOPIC, topic)
  const reading = run(topic, 'together', { ...memoryWindows(), shared: true })
  await fails(reading, /^unauthorized: .*together/)
  await allowRead(AclResourceTypes.GROUP, 'together')
  await counts(reading, truth)
  await eventually('a commit', async () => {
    const [offsets] = await peer.admin.fetchOffsets({ groupId: 'together', topics: [topic] })
    expect(offsets?.partitions).toMatchObject([{ partition: 0, offset: '30' }])
  })
})
