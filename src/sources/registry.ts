/** Every kind of source. One line each; schema, documentation and conformance test follow from it. */
import { prometheusSource } from './prometheus.ts'
import { redisSource } from './redis/redis.ts'
import { scrapeSource } from './scrape.ts'

export const sourceTypes = {
  scrape: scrapeSource,
  redis: redisSource,
  prometheus: prometheusSource,
} as const
