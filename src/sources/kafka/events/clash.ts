import { TidelineError } from '../../../errors.ts'

/** Under which names of the configuration a topic is counted: who has the same ones must count alike. */
export interface CountedAs {
  readonly source: string
  readonly topic: string
  readonly group: string
}

/**
 * Two configurations count one topic under one name: they take partitions from each other and begin them anew, and
 * neither has a whole window. Right while replicas are replaced by new ones, and wrong when it lasts.
 */
export function clash({ source, topic, group }: CountedAs, partition: number): TidelineError {
  const mend =
    'unless replicas are being replaced, give one of the two adapters another windowStore.redis.prefix and another kafkaEvents.group, or both the same kafkaEvents fields'
  return new TidelineError(
    'unavailable',
    `partition ${partition} of topic ${topic} is counted by another configuration under the same source name "${source}" and group "${group}": ${mend}`,
  )
}
