import { afterAll, beforeAll } from 'vitest'
import { kafkaLagSource } from '../../src/sources/kafka/lag/lag.ts'
import type { SourceType } from '../../src/ports.ts'
import { sourceContract } from '../kit/sourceContract.ts'
import type { Harness } from '../kit/sourceContract.ts'
import { openFrontDoor } from '../setup/frontDoor.ts'
import type { FrontDoor } from '../setup/frontDoor.ts'
import { KafkaTrial, plainUser } from './kafkaLagTrial.ts'

const PASSWORD = 'seventeen-grey-herons'

/** The answer to a client's first request, with an error that there is not. */
const GARBAGE = '\0\0\0\x08\0\0\0\0\x7f\x7f\x7f\x7f'

const behind = { port: 0 }
let door: FrontDoor
let trial: KafkaTrial
beforeAll(async () => {
  door = await openFrontDoor(behind)
  trial = await KafkaTrial.start({
    secured: { ...plainUser('tideline', PASSWORD), advertisedPort: door.port },
  })
  behind.port = Number(trial.server.secured[0]?.split(':')[1])
}, 120_000)
afterAll(async () => {
  await trial.stop()
  await door.close()
})

async function harness(): Promise<Harness> {
  const { topic, group } = await trial.topic(1)
  const rights = [
    ['topic', 'DESCRIBE', topic],
    ['group', 'DESCRIBE', group],
  ] as const
  await trial.allow('tideline', ...rights)
  Object.assign(door.counts, { writes: 0, connections: 0, maxOpen: 0 })
  let end = 0
  return {
    type: kafkaLagSource as SourceType<unknown>,
    config: (overrides = {}) => ({
      brokers: [`127.0.0.1:${door.port}`],
      sasl: { mechanism: 'plain', username: 'tideline', password: { env: 'KAFKA_PASSWORD' } },
      interval: '1s',
      timeout: '500ms',
      groups: [{ group, topics: [topic], noCommit: 'earliest', lagSeconds: 'off' }],
      ...overrides,
    }),
    secrets: { KAFKA_PASSWORD: PASSWORD },
    async show(value) {
      end += value
      await trial.produce(topic, 0, value)
      await trial.retain(topic, 0, end - value)
    },
    expected: (value) => ({
      metric: 'kafka_group_lag',
      labels: { topic, group, partition: '0' },
      kind: 'gauge',
      value,
    }),
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
    // The library holds two connections to a broker.
    requests: () => ({
      count: door.counts.writes,
      maxConcurrent: Math.ceil(door.counts.maxOpen / 2),
    }),
    close: () => door.forward(),
    skip: [{ clause: '6.1', reason: 'groups are configured: none of them goes away for good' }],
  }
}

sourceContract('kafkaLag', harness)
