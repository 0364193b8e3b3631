import type { Clock, Component } from '../src/ports.ts'

/** A port that readers come to. */
export interface Edge {
  readonly components: readonly Component[]
  listen(): Promise<void>
  /** Takes no new caller, and ends the calls under way after `graceMs` at the latest. */
  close(graceMs: number): Promise<void>
}

/** What is not configured. */
export const NO_EDGE: Edge = {
  components: [],
  listen: () => Promise.resolve(),
  close: () => Promise.resolve(),
}

const IN_FLIGHT_GRACE_MS = 10_000

export interface Lifetime {
  readonly clock: Clock
  /** Aborts when the process is told to stop, the signal's name as the reason. */
  readonly stopping: AbortSignal
  /** The last one is the one that tells the world that the adapter is there. */
  readonly edges: readonly Edge[]
  readonly parts: readonly Component[]
  /** From readiness off to the last connection taken. */
  readonly drainMs: number
}

/** Serves until told to stop, or until a part fails; then ends edges first and what they read from after them. */
export async function live({ clock, stopping, edges, parts, drainMs }: Lifetime): Promise<void> {
  const life = new AbortController()
  let running: readonly Promise<void>[] = []
  try {
    // Ports first: one that is taken is told before any source is asked.
    for (const edge of edges) await edge.listen()
    // The first evaluation is done when this returns, hence before the first request is read.
    const all = [...parts, ...edges.flatMap((edge) => edge.components)]
    running = all.map((part) => part.run(life.signal))
    const failed = Promise.all(running)
    failed.catch(() => undefined)
    await Promise.race([aborted(stopping), failed])
    // Readiness is off now: who balances over several adapters stops sending before connections end.
    if (stopping.reason !== 'SIGINT') await clock.sleep(drainMs, life.signal)
  } finally {
    await Promise.all(edges.map((edge) => edge.close(IN_FLIGHT_GRACE_MS)))
    life.abort()
    await Promise.allSettled(running)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
