import type { Clock, WindowState, WindowStore } from '../ports.ts'

/** Calls of one kind since the start. */
interface WindowCalls {
  done: number
  /** Commits that found another position than they expected. */
  conflicts: number
  /** Those that were broken off since somebody stopped are not counted at all. */
  failed: number
  /** What all of them took. */
  seconds: number
  /** Contents of buckets that were read. */
  readBytes: number
}

export type WindowAccount = Readonly<Record<'load' | 'commit' | 'changes', WindowCalls>>

export function emptyAccount(): WindowAccount {
  const none = () => ({ done: 0, conflicts: 0, failed: 0, seconds: 0, readBytes: 0 })
  return { load: none(), commit: none(), changes: none() }
}

/** The same store; what is asked of it is counted. */
export function measuredWindows(
  store: WindowStore,
  account: WindowAccount,
  clock: Clock,
): WindowStore {
  async function measured<T>(
    calls: WindowCalls,
    signal: AbortSignal,
    call: () => Promise<T>,
  ): Promise<T> {
    const startMs = clock.monotonicMs()
    let result: 'done' | 'failed' | undefined
    try {
      const answer = await call()
      result = 'done'
      return answer
    } catch (thrown) {
      if (!signal.aborted) result = 'failed'
      throw thrown
    } finally {
      if (result !== undefined) {
        calls[result] += 1
        calls.seconds += (clock.monotonicMs() - startMs) / 1000
      }
    }
  }
  return {
    shared: store.shared,
    async load(partition, signal) {
      const found = await measured(account.load, signal, () => store.load(partition, signal))
      if (found !== undefined) account.load.readBytes += bytesOf(found)
      return found
    },
    async commit(partition, change, signal) {
      const calls = account.commit
      const answer = await measured(calls, signal, () => store.commit(partition, change, signal))
      if (answer === 'done') return answer
      calls.done -= 1
      calls.conflicts += 1
      return answer
    },
    async changes(partitions, signal) {
      const calls = account.changes
      const found = await measured(calls, signal, () => store.changes(partitions, signal))
      for (const state of found.values()) calls.readBytes += bytesOf(state)
      return found
    },
    close: () => store.close(),
  }
}

function bytesOf({ buckets }: WindowState): number {
  let bytes = 0
  for (const content of buckets.values()) bytes += Buffer.byteLength(content)
  return bytes
}
