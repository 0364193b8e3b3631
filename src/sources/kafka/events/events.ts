import { createHash, randomBytes } from 'node:crypto'
import type { Component, SourceDeps, SourceType, WindowStore } from '../../../ports.ts'
import { failureOf } from '../../failure.ts'
import { failures } from '../../outcomes.ts'
import type { Consumption, KafkaClient } from '../client.ts'
import { kafkajsClient } from '../kafkajs/client.ts'
import { keyOf } from './cells.ts'
import type { CountedAs } from './clash.ts'
import type { KafkaEventsConfig } from './config.ts'
import { kafkaEventsConfigSchema } from './config.ts'
import { jsonDecode } from './decode.ts'
import { dropLog } from './dropLog.ts'
import { Publisher } from './publisher.ts'
import type { ReaderSettings } from './reader.ts'
import { TopicReader } from './reader.ts'
import type { TotalsSettings } from './totals.ts'
import { Totals } from './totals.ts'

/** Longest wait of a fetch: an idle partition is known to be idle that often. */
const FETCH_WAIT_MS = 50
/** A replica that dies gives its partitions to the others after so long; brokers take 6 s and more. */
const SESSION_MS = 6000
const AGAIN_MS = 500
const PUBLISH_MS = 50

/**
 * Counts the events of a topic in event time: `metric{labels}`, a `delta` for each bucket and set of label values,
 * and for each number in `values` `_sum`, `_count` and `_bucket{le}`. The topic is the origin. Its series reach as far
 * as all of its partitions are read, so that they end, and turn stale, where one is not.
 * Counters of the reading itself: `kafka_events_counted{topic}`, `kafka_events_dropped{topic,reason}`.
 */
export const kafkaEventsSource: SourceType<KafkaEventsConfig> = {
  type: 'kafkaEvents',
  summary: 'Counts the events of a Kafka topic, each once, in event time and by labels.',
  schema: kafkaEventsConfigSchema,
  create: (config, deps) => {
    const { windows } = deps
    if (windows === undefined) throw new Error('a source of Kafka events needs a window store')
    return countEvents(config, kafkajsClient(config, deps), { ...deps, windows })
  },
}

type EventsDeps = SourceDeps & { readonly windows: WindowStore }

/** The source over any client. */
export function countEvents(
  config: KafkaEventsConfig,
  client: KafkaClient,
  deps: EventsDeps,
): Component {
  const { name, clock, windows, sink } = deps
  const report = reporter(config, deps)

  /** Again and again, whatever becomes of it. */
  async function untilStopped(
    work: () => Promise<void>,
    pauseMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        await work()
      } catch (thrown) {
        if (!signal.aborted) report.failed(thrown)
      }
      await clock.sleep(pauseMs, signal)
    }
  }

  return {
    async run(signal) {
      const totals = new Totals(totalsSettings(config))
      const publisher = new Publisher(
        { ...countedAs(config, deps), windowMs: config.window, fingerprint: fingerprintOf(config) },
        { name, client, windows, clock, sink, totals, report },
      )
      const consume = () => client.consume(consumption(config, client, deps, report), signal)
      try {
        await Promise.all([
          untilStopped(consume, AGAIN_MS, signal),
          untilStopped(() => publisher.publish(signal), PUBLISH_MS, signal),
        ])
      } finally {
        await Promise.all([client.close(), windows.close()])
      }
    },
  }
}

function consumption(
  config: KafkaEventsConfig,
  client: KafkaClient,
  deps: EventsDeps,
  report: Report,
): Consumption {
  const { name, clock, windows, log } = deps
  const { topic, isolation } = config
  const storeFailed = (failure: unknown) => report.failed(failure)
  const reader = new TopicReader(readerSettings(config, deps), {
    client,
    windows,
    clock,
    storeFailed,
  })
  return {
    group: windows.shared ? config.group : `${config.group}-${randomBytes(6).toString('hex')}`,
    topics: [topic],
    isolation,
    maxWaitMs: FETCH_WAIT_MS,
    sessionTimeoutMs: SESSION_MS,
    // Of a group that ends with this process nothing should stay.
    commits: windows.shared,
    async assigned(partitions, signal) {
      const own = partitions.get(topic) ?? []
      log.info('partitions-assigned', { source: name, topic, partitions: own })
      return new Map([[topic, await reader.assigned(own, signal)]])
    },
    batch: (batch, signal) => reader.batch(batch, signal),
  }
}

function readerSettings(config: KafkaEventsConfig, deps: EventsDeps): ReaderSettings {
  return {
    ...countedAs(config, deps),
    fingerprint: fingerprintOf(config),
    decode: jsonDecode(config),
    bounds: config.values.map(({ buckets }) => buckets),
    bucketMs: config.bucket,
    windowMs: config.window,
    latenessMs: config.lateness,
    futureMs: config.future,
    maxSeries: config.maxSeries,
    dropped: dropLog(deps, config),
  }
}

function countedAs({ topic, group }: KafkaEventsConfig, { name }: EventsDeps): CountedAs {
  return { source: name, topic, group }
}

function totalsSettings(config: KafkaEventsConfig): TotalsSettings {
  const labelNames = Object.keys(config.labels)
  return {
    topic: config.topic,
    metric: config.metric,
    labelNames,
    expected: config.expect.map((of) => keyOf(labelNames.map((label) => of[label] ?? ''))),
    values: config.values.map(({ metric, buckets }) => ({ metric, bounds: buckets })),
    bucketMs: config.bucket,
    windowMs: config.window,
    forgetMs: config.forgetAfter,
  }
}

/** What the counts that are stored depend on. */
function fingerprintOf(config: KafkaEventsConfig): string {
  const { labels, time, where, values, window, bucket, lateness, future } = config
  const { isolation, maxSeries } = config
  const of = { labels, time, where, values, window, bucket, lateness, isolation, maxSeries, future }
  return createHash('sha256').update(JSON.stringify(of)).digest('base64url').slice(0, 12)
}

export interface Report {
  failed(thrown: unknown): void
  /** All is well again. */
  recovered(): void
}

function reporter({ topic }: KafkaEventsConfig, deps: EventsDeps): Report {
  const told = failures(deps)
  return {
    failed: (thrown) => told.failed(topic, failureOf(thrown), deps.clock.nowMs()),
    recovered: () => told.recovered(topic),
  }
}
