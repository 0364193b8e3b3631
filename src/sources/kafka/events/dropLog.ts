import type { SourceDeps } from '../../../ports.ts'
import type { KafkaMessage } from '../client.ts'
import type { KafkaEventsConfig } from './config.ts'
import type { Drop } from './counts.ts'

const EVERY_MS = 60_000
const PAYLOAD_MAX = 500

/** Logs one event a minute of those dropped for one reason; all are counted elsewhere. */
export function dropLog(
  { name, log, clock }: SourceDeps,
  { topic, logPayload }: KafkaEventsConfig,
): (drop: Drop, why: string, message: KafkaMessage) => void {
  const toldMs = new Map<Drop, number>()
  return (drop, why, { offset, value }) => {
    const nowMs = clock.monotonicMs()
    if (nowMs - (toldMs.get(drop) ?? -Infinity) < EVERY_MS) return
    toldMs.set(drop, nowMs)
    log.warn('event-dropped', {
      source: name,
      topic,
      reason: drop,
      why,
      offset,
      ...(logPayload ? { payload: value?.toString('utf8', 0, PAYLOAD_MAX) ?? null } : {}),
    })
  }
}
