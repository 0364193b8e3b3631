import { afterAll, beforeAll } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { SourceDeps, SourceType } from '../../src/ports.ts'
import { kafkaEventsSource } from '../../src/sources/kafka/events/events.ts'
import { memoryWindows } from '../../src/store/memoryWindows.ts'
import { sourceContract } from '../kit/sourceContract.ts'
import type { Harness } from '../kit/sourceContract.ts'
import type { KafkaPeer } from '../setup/kafkaPeer.ts'
import { kafkaPeer } from '../setup/kafkaPeer.ts'
import { KafkaDoor } from './kafkaContract.ts'

const BUCKET_MS = 250

let door: KafkaDoor
let peer: KafkaPeer
beforeAll(async () => {
  door = await KafkaDoor.open('eleven-brown-otters')
  peer = await kafkaPeer(door.trial.server.brokers)
}, 120_000)
afterAll(async () => {
  await peer.stop()
  await door.close()
})

const source = {
  ...kafkaEventsSource,
  create: (config: Parameters<typeof kafkaEventsSource.create>[0], deps: SourceDeps) =>
    kafkaEventsSource.create(config, { windows: memoryWindows(), ...deps }),
}

async function harness(): Promise<Harness> {
  const { topic } = await door.trial.topic(1)
  let ts = 0
  return {
    // A client that asks, and one that fetches, with two connections each.
    ...(await door.harness(
      [
        ['topic', 'DESCRIBE', topic],
        ['topic', 'READ', topic],
        ['group', 'READ', '*'],
      ],
      4,
    )),
    type: source as SourceType<unknown>,
    config: (overrides = {}) => ({
      ...door.connection(),
      topic,
      metric: 'detections',
      time: { field: 'ts' },
      expect: [{}],
      window: '10s',
      ...overrides,
    }),
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
    skip: [{ clause: '6.1', reason: 'the topic is configured: it does not go away for good' }],
  }
}

sourceContract('kafkaEvents', harness)
