import { createHash, randomBytes } from 'node:crypto'
import { messageOf } from '../../../errors.ts'
import type { Component, SourceDeps, SourceType, WindowStore } from '../../../ports.ts'
import { failureOf } from '../../failure.ts'
import type { KafkaClient } from '../client.ts'
import { kafkajsClient } from '../kafkajs/client.ts'
import { keyOf } from './cells.ts'
import type { KafkaEventsConfig } from './config.ts'
import { kafkaEventsConfigSchema } from './config.ts'
import { jsonDecode } from './decode.ts'
import { dropLog } from './dropLog.ts'
import { Publisher } from './publisher.ts'
import { TopicReader } from './reader.ts'
import { Totals } from './totals.ts'

/** Longest wait of a fetch: an idle partition is known to be idle that often. */
const FETCH_WAIT_MS = 100
/** A replica that dies gives its partitions to the others after so long; brokers take 6 s and more. */
const SESSION_MS = 6000
const AGAIN_MS = 500
const PUBLISH_MS = 100

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
  const { name, clock, windows, log, sink } = deps
  const { topic } = config
  const bounds = config.values.map(({ buckets }) => buckets)
  const labelNames = Object.keys(config.labels)
  const report = reporter(config, deps)

  async function consume(signal: AbortSignal): Promise<void> {
    const reader = new TopicReader(
      {
        topic,
        isolation: config.isolation,
        fingerprint: fingerprintOf(config),
        decode: jsonDecode(config),
        bounds,
        bucketMs: config.bucket,
        windowMs: config.window,
        latenessMs: config.lateness,
        futureMs: config.future,
        maxSeries: config.maxSeries,
        dropped: dropLog(deps, config),
      },
      { client, windows, clock, storeFailed: (failure) => report.failed(failure) },
    )
    await client.consume(
      {
        group: windows.shared ? config.group : `${config.group}-${randomBytes(6).toString('hex')}`,
        topics: [topic],
        isolation: config.isolation,
        maxWaitMs: FETCH_WAIT_MS,
        sessionTimeoutMs: SESSION_MS,
        // Of a group that ends with this process nothing should stay.
        commits: windows.shared,
        async assigned(partitions, inner) {
          const own = partitions.get(topic) ?? []
          log.info('partitions-assigned', { source: name, topic, partitions: own })
          return new Map([[topic, await reader.assigned(own, inner)]])
        },
        async batch(batch, inner) {
          return await reader.batch(batch, inner)
        },
      },
      signal,
    )
  }

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
      const totals = new Totals({
        topic,
        metric: config.metric,
        labelNames,
        expected: config.expect.map((of) => keyOf(labelNames.map((label) => of[label] ?? ''))),
        values: config.values.map(({ metric, buckets }) => ({ metric, bounds: buckets })),
        bucketMs: config.bucket,
        windowMs: config.window,
        forgetMs: config.forgetAfter,
      })
      const publisher = new Publisher(
        { topic, windowMs: config.window, bucketMs: config.bucket },
        {
          name,
          client,
          windows,
          clock,
          sink,
          totals,
          report,
        },
      )
      try {
        await Promise.all([
          untilStopped(() => consume(signal), AGAIN_MS, signal),
          untilStopped(() => publisher.publish(signal), PUBLISH_MS, signal),
        ])
      } finally {
        await Promise.all([client.close(), windows.close()])
      }
    },
  }
}

/** What the counts that are stored depend on. */
function fingerprintOf(config: KafkaEventsConfig): string {
  const { labels, time, where, values, window, bucket, lateness, isolation, maxSeries } = config
  const of = { labels, time, where, values, window, bucket, lateness, isolation, maxSeries }
  return createHash('sha256').update(JSON.stringify(of)).digest('base64url').slice(0, 12)
}

export interface Report {
  failed(thrown: unknown): void
  /** All is well again. */
  recovered(): void
}

/** Tells the sink of each failure, and the log where it is another one. */
function reporter({ topic }: KafkaEventsConfig, { name, sink, log, clock }: EventsDeps): Report {
  let told: string | undefined
  return {
    failed(thrown) {
      const { code, message } = failureOf(thrown)
      sink.fail(name, topic, { code, message, atMs: clock.nowMs() })
      if (told !== code)
        log.warn('origin-failing', {
          source: name,
          origin: topic,
          code,
          message: messageOf(thrown),
        })
      told = code
    },
    recovered() {
      if (told !== undefined) log.info('origin-recovered', { source: name, origin: topic })
      told = undefined
    },
  }
}
