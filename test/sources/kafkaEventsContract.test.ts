import { afterAll, beforeAll } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { SourceDeps, SourceType } from '../../src/ports.ts'
import { kafkaEventsSource } from '../../src/sources/kafka/events/events.ts'
import { memoryWindows } from '../../src/store/memoryWindows.ts'
import { sourceContract } from '../kit/sourceContract.ts'
import type { Harness } from '../kit/sourceContract.ts'
import { openFrontDoor } from '../setup/frontDoor.ts'
import type { FrontDoor } from '../setup/frontDoor.ts'
import type { KafkaPeer } from '../setup/kafkaPeer.ts'
import { kafkaPeer } from '../setup/kafkaPeer.ts'
import { KafkaTrial, plainUser } from './kafkaLagTrial.ts'

const PASSWORD = 'eleven-brown-otters'

const BUCKET_MS = 250

/** The answer to a client's first request, with an error that there is not. */
const GARBAGE = '\0\0\0\x08\0\0\0\0\x7f\x7f\x7f\x7f'

const behind = { port: 0 }
let door: FrontDoor
let trial: KafkaTrial
let peer: KafkaPeer
beforeAll(async () => {
  door = await openFrontDoor(behind)
  trial = await KafkaTrial.start({
    secured: { ...plainUser('tideline', PASSWORD), advertisedPort: door.port },
  })
  peer = await kafkaPeer(trial.server.brokers)
  behind.port = Number(trial.server.secured[0]?.split(':')[1])
}, 120_000)
afterAll(async () => {
  await peer.stop()
  await trial.stop()
  await door.close()
})

const source = {
  ...kafkaEventsSource,
  create: (config: Parameters<typeof kafkaEventsSource.create>[0], deps: SourceDeps) =>
    kafkaEventsSource.create(config, { windows: memoryWindows(), ...deps }),
}

async function harness(): Promise<Harness> {
  const { topic } = await trial.topic(1)
  const rights = [
    ['topic', 'DESCRIBE', topic],
    ['topic', 'READ', topic],
    ['group', 'READ', '*'],
  ] as const
  await trial.allow('tideline', ...rights)
  let ts = 0
  Object.assign(door.counts, { writes: 0, connections: 0, maxOpen: 0 })
  return {
    type: source as SourceType<unknown>,
    config: (overrides = {}) => ({
      brokers: [`127.0.0.1:${door.port}`],
      sasl: { mechanism: 'plain', username: 'tideline', password: { env: 'KAFKA_PASSWORD' } },
      topic,
      metric: 'detections',
      time: { field: 'ts' },
      expect: [{}],
      window: '10s',
      ...overrides,
    }),
    secrets: { KAFKA_PASSWORD: PASSWORD },
    async show(value) {
      // Each value has a bucket of its own, or they would be added up.
      ts = Math.max(systemClock.nowMs(), ts + BUCKET_MS)
      await peer.send(
        topic,
        0,
        Array.from({ length: value }, () => ({ value: JSON.stringify({ ts }) })),
      )
    },
    expected: (value) => ({ metric: 'detections', labels: {}, kind: 'delta', value }),
    async misbehave(how) {
      if (how === 'refuse') await door.refuse()
      else if (how === 'hang') door.hang()
      else if (how === 'garbage') door.answer(GARBAGE)
      else await trial.deny('tideline', ...rights)
    },
    async behave() {
      await trial.allow('tideline', ...rights)
      await door.forward()
    },
    // A client that asks, and one that fetches, with two connections each.
    requests: () => ({
      count: door.counts.writes,
      maxConcurrent: Math.ceil(door.counts.maxOpen / 4),
    }),
    close: () => door.forward(),
    skip: [{ clause: '6.1', reason: 'the topic is configured: it does not go away for good' }],
  }
}

sourceContract('kafkaEvents', harness)
