import { afterAll, beforeAll, expect, test } from 'vitest'
import { unpacked } from '../../../src/sources/kafka/kafkajs/codecs.ts'
import type { KafkaPeer } from '../../setup/kafkaPeer.ts'
import { kafkaPeer } from '../../setup/kafkaPeer.ts'
import type { KafkaServer } from '../../setup/kafkaServer.ts'
import { startKafka } from '../../setup/kafkaServer.ts'
import { eventually } from '../../setup/running.ts'
import { EventsRun, Truth } from './eventsRun.ts'

let server: KafkaServer
let peer: KafkaPeer
beforeAll(async () => {
  server = await startKafka()
  peer = await kafkaPeer(server.brokers)
})
afterAll(async () => {
  await peer?.stop()
  await server?.stop()
})

// The broker compresses, with the codecs that producers in Java use.
test.each(['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'])('%s', async (codec) => {
  const topic = `with-${codec}`
  const configEntries = [{ name: 'compression.type', value: codec }]
  const created = { topic, numPartitions: 1, configEntries }
  await peer.admin.createTopics({ topics: [created], waitForLeaders: true })
  const truth = new Truth()
  await peer.send(topic, 0, truth.events(1))
  await peer.send(topic, 0, truth.events(5000))
  const run = new EventsRun({ brokers: [...server.brokers], topic })
  await eventually('all', () => Promise.resolve(expect(run.counts()).toEqual(truth.counts)))
  await run.stop()
})

test('an unknown codec, and what cannot be unpacked, are named', async () => {
  await expect(unpacked(5, Buffer.alloc(10))).rejects.toThrow(/compression codec 5 is unknown/)
  for (const [codec, name] of ['', 'gzip', 'snappy', 'lz4', 'zstd'].entries())
    if (codec > 0)
      await expect(unpacked(codec, Buffer.from('gibberish'))).rejects.toMatchObject({
        code: 'bad-response',
        message: expect.stringContaining(name) as string,
      })
})
