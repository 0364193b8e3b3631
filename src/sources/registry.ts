/** Every kind of source. One line each; schema, documentation and conformance test follow from it. */
import type { Component, SourceDeps } from '../ports.ts'
import type { ConfiguredSource } from './running.ts'
import { kafkaEventsSource } from './kafka/events/events.ts'
import { kafkaLagSource } from './kafka/lag/lag.ts'
import { prometheusSource } from './prometheus.ts'
import { pushSource } from './push/push.ts'
import { redisSource } from './redis/redis.ts'
import { scrapeSource } from './scrape.ts'

export const sourceTypes = {
  scrape: scrapeSource,
  redis: redisSource,
  prometheus: prometheusSource,
  kafkaLag: kafkaLagSource,
  kafkaEvents: kafkaEventsSource,
  push: pushSource,
} as const

/** A source of the configuration as something that can run. Exactly one kind is given; the schema sees to it. */
export function configuredSource(source: {
  readonly name: string
  readonly scrape?: Parameters<typeof scrapeSource.create>[0] | undefined
  readonly redis?: Parameters<typeof redisSource.create>[0] | undefined
  readonly prometheus?: Parameters<typeof prometheusSource.create>[0] | undefined
  readonly kafkaLag?: Parameters<typeof kafkaLagSource.create>[0] | undefined
  readonly kafkaEvents?: Parameters<typeof kafkaEventsSource.create>[0] | undefined
  readonly push?: Parameters<typeof pushSource.create>[0] | undefined
}): ConfiguredSource {
  const { name, ...kinds } = source
  const { scrape, redis, prometheus, kafkaLag, kafkaEvents, push } = kinds
  const create = (deps: SourceDeps): Component => {
    if (scrape !== undefined) return scrapeSource.create(scrape, deps)
    if (redis !== undefined) return redisSource.create(redis, deps)
    if (prometheus !== undefined) return prometheusSource.create(prometheus, deps)
    if (kafkaLag !== undefined) return kafkaLagSource.create(kafkaLag, deps)
    if (kafkaEvents !== undefined) return kafkaEventsSource.create(kafkaEvents, deps)
    if (push !== undefined) return pushSource.create(push, deps)
    throw new Error(`source ${name} has no kind`)
  }
  return { name, definition: JSON.stringify(kinds), create }
}
