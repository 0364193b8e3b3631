import type { Clock } from '../src/ports.ts'

/** A source that has nothing to collect, such as one whose pods do not run, must not keep the adapter back. */
const LONGEST_WAIT_MS = 5000

/** Names of the sources that ask somebody; one that is only told, by whom it does not know, cannot wait for it. */
export function awaited(
  sources: readonly {
    readonly name: string
    readonly push?: { readonly pods?: unknown } | undefined
  }[],
): readonly string[] {
  return sources
    .filter(({ push }) => push === undefined || push.pods !== undefined)
    .map(({ name }) => name)
}

/**
 * Whether every source has been asked once, well or badly, or has had long enough. Until then an answer would be
 * "no series" of a signal that a replica which runs already can tell, so a fresh replica takes no traffic yet.
 */
export function firstData(sources: {
  readonly clock: Clock
  names(): readonly string[]
  heardOf(source: string): boolean
}): () => boolean {
  const { clock } = sources
  const startMs = clock.monotonicMs()
  let known = false
  return () => {
    known ||=
      clock.monotonicMs() - startMs >= LONGEST_WAIT_MS ||
      sources.names().every((name) => sources.heardOf(name))
    return known
  }
}
