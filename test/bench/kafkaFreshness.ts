/**
 * How long after an event is produced the metrics API tells it: real Kafka, the adapter as its own process with its
 * ticks of a second, and a client that asks all the time. Run alone: `node test/bench/kafkaFreshness.ts`.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { startAdapter } from '../setup/adapterProcess.ts'
import { kafkaPeer } from '../setup/kafkaPeer.ts'
import { startKafka } from '../setup/kafkaServer.ts'
import { temporaryFolder } from '../setup/running.ts'

const EVENTS = 100
const PARTITIONS = 6
const ASK_EVERY_MS = 10
const PATH = '/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/events'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function main(): Promise<void> {
  const folder = temporaryFolder()
  const kafka = await startKafka()
  const peer = await kafkaPeer(kafka.brokers)
  const topic = await peer.topic(PARTITIONS)
  writeFileSync(join(folder.path, 'config.yaml'), configOf(kafka.brokers, topic))
  const adapter = await startAdapter([
    ...['--config', folder.path, '--self-signed', 'localhost'],
    ...['--address', '127.0.0.1', '--port', '0'],
  ])
  const told = async () => {
    const { json } = await adapter.get(PATH)
    const [item] = (json as { items?: readonly { value: string }[] }).items ?? []
    return item === undefined ? undefined : Number(item.value)
  }
  try {
    while ((await told()) !== 0) await pause(100)
    const delays: number[] = []
    for (let event = 1; event <= EVENTS; event += 1) {
      // So that events fall on every moment between two ticks.
      await pause(100 + ((event * 37) % 100) * 10)
      const ts = Date.now()
      await peer.send(topic, event % PARTITIONS, [{ value: JSON.stringify({ ts }) }])
      while (((await told()) ?? 0) < event) await pause(ASK_EVERY_MS)
      delays.push(Date.now() - ts)
    }
    delays.sort((a, b) => a - b)
    const at = (quantile: number) => delays[Math.ceil(quantile * EVENTS) - 1] ?? NaN
    console.log(`produced → told: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`)
  } finally {
    await adapter.stop()
    await peer.stop()
    await kafka.stop()
    folder.remove()
  }
}

function configOf(brokers: readonly string[], topic: string): string {
  const apiVersion = 'tideline.dev/v1alpha1'
  const kafkaEvents = { brokers, topic, metric: 'events', time: { field: 'ts' }, expect: [{}] }
  const adapter = {
    apiVersion,
    kind: 'MetricsAdapter',
    metadata: { name: 'bench' },
    spec: {
      metricsApi: { auth: { mode: 'insecureOpen' } },
      sources: [{ name: 'kafka', kafkaEvents }],
    },
  }
  const signal = {
    apiVersion,
    kind: 'Signal',
    metadata: { name: 'events', namespace: 'vision' },
    spec: {
      source: 'kafka',
      select: { metric: 'events' },
      window: { function: 'increase', duration: '5m' },
      expose: { external: { name: 'events' } },
    },
  }
  return [adapter, signal].map((document) => stringify(document)).join('---\n')
}

await main()
