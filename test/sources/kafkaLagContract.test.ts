import { afterAll, beforeAll } from 'vitest'
import { kafkaLagSource } from '../../src/sources/kafka/lag/lag.ts'
import type { SourceType } from '../../src/ports.ts'
import { sourceContract } from '../kit/sourceContract.ts'
import type { Harness } from '../kit/sourceContract.ts'
import { KafkaDoor } from './kafkaContract.ts'

let door: KafkaDoor
beforeAll(async () => {
  door = await KafkaDoor.open('seventeen-grey-herons')
}, 120_000)
afterAll(() => door.close())

async function harness(): Promise<Harness> {
  const { trial } = door
  const { topic, group } = await trial.topic(1)
  let end = 0
  return {
    // The library holds two connections to a broker.
    ...(await door.harness(
      [
        ['topic', 'DESCRIBE', topic],
        ['group', 'DESCRIBE', group],
      ],
      2,
    )),
    type: kafkaLagSource as SourceType<unknown>,
    config: (overrides = {}) => ({
      ...door.connection(),
      interval: '1s',
      timeout: '1s',
      groups: [{ group, topics: [topic], noCommit: 'earliest', lagSeconds: 'off' }],
      ...overrides,
    }),
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
    skip: [{ clause: '6.1', reason: 'groups are configured: none of them goes away for good' }],
  }
}

sourceContract('kafkaLag', harness)
