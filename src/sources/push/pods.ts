import { TidelineError } from '../../errors.ts'
import type { Target } from '../../model.ts'
import type { SourceDeps } from '../../ports.ts'
import { failureOf } from '../failure.ts'
import type { PushConfig } from './config.ts'

const RETRY_MS = 5000
const ORIGIN = 'discovery'

/** Tells which pods are to report until `signal` aborts; while that cannot be known the origin `discovery` fails. */
export async function watchPods(
  pods: NonNullable<PushConfig['pods']>,
  { discovery, clock, name, sink }: SourceDeps,
  tell: (targets: readonly Target[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const failed = ({ code, message }: TidelineError) =>
    sink.fail(name, ORIGIN, { code, message, atMs: clock.nowMs() })
  if (discovery === undefined) {
    const message = 'pods are found through a cluster, and there is none: leave pods out'
    failed(new TidelineError('not-configured', message))
    return
  }
  const publish = (targets: readonly Target[]) => {
    if (signal.aborted) return
    sink.end(name, ORIGIN)
    tell(targets)
  }
  const query = { ...pods, port: 1, path: '/', scheme: 'http' } as const
  while (!signal.aborted) {
    try {
      await discovery.watch(query, publish, signal)
    } catch (thrown) {
      if (!signal.aborted) failed(failureOf(thrown))
    }
    await clock.sleep(RETRY_MS, signal)
  }
}
