import { systemClock } from '../../src/clock.ts'
import type { Sample } from '../../src/model.ts'
import { redisSource } from '../../src/sources/redis/redis.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { RecordingSink } from '../kit/recordingSink.ts'
import type { RecordedFailure } from '../kit/recordingSink.ts'
import { secretsFrom } from '../kit/trial.ts'

export interface Run {
  readonly sink: RecordingSink
  readonly log: RecordingLogger
}

/** Runs a Redis source over real servers until `done` gives a truthy value, and stops it. */
export async function collecting(
  config: Readonly<Record<string, unknown>>,
  done: (run: Run) => unknown,
  secrets: Readonly<Record<string, string>> = {},
  deadlineMs = 10_000,
): Promise<Run> {
  const run = { sink: new RecordingSink(), log: new RecordingLogger() }
  const stop = new AbortController()
  const running = redisSource
    .create(redisSource.schema.parse({ interval: '500ms', ...config }), {
      name: 'r',
      clock: systemClock,
      secrets: secretsFrom(secrets),
      ...run,
    })
    .run(stop.signal)
  const endMs = performance.now() + deadlineMs
  try {
    while (!(await done(run))) {
      if (performance.now() > endMs)
        throw new Error(`not within ${deadlineMs} ms; ${JSON.stringify(run).slice(-3000)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  } finally {
    stop.abort()
    await running
  }
  return run
}

/** Samples of the last batch of an origin; none where there was no batch. */
export function samplesOfKey({ sink }: Run, origin: string): readonly Sample[] {
  return sink.batches.findLast((batch) => batch.origin === origin)?.samples ?? []
}

/** The last failure of an origin. */
export function failureOfKey({ sink }: Run, origin: string): RecordedFailure | undefined {
  return sink.failures.findLast((failure) => failure.origin === origin)
}
