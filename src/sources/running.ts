import type { Component, Logger, SampleSink, SeriesView, SourceDeps } from '../ports.ts'
import { messageOf } from '../errors.ts'

/** A source as configured: its name and a way to make it. `definition` tells whether it changed. */
export interface ConfiguredSource {
  readonly name: string
  readonly definition: string
  create(deps: SourceDeps): Component
}

export interface RunningSources extends Component {
  /** Starts what is new, stops what is gone, restarts what changed; leaves the rest alone. */
  apply(sources: readonly ConfiguredSource[]): void
}

export interface RunningSourcesDeps {
  readonly store: SampleSink & SeriesView
  readonly log: Logger
  depsOf(name: string): SourceDeps
}

interface Running {
  readonly definition: string
  readonly stop: AbortController
  readonly done: Promise<void>
}

/** How long a changed source has to collect anew what its earlier life knew. */
const RESTART_GRACE_MS = 60_000

/** Notes which origins a source speaks of. */
function listening(sink: SampleSink, heard: Set<string>): SampleSink {
  return {
    write(batch) {
      heard.add(batch.origin)
      return sink.write(batch)
    },
    fail(source, origin, failure) {
      heard.add(origin)
      sink.fail(source, origin, failure)
    },
    end: (source, origin) => sink.end(source, origin),
  }
}

/** Runs the configured sources. A source that fails for good takes down nothing but its own signals. */
export function createRunningSources(deps: RunningSourcesDeps): RunningSources {
  const { store, log } = deps
  const running = new Map<string, Running>()
  let wanted: readonly ConfiguredSource[] = []
  let life: AbortSignal | undefined

  function start(source: ConfiguredSource, after: Promise<void>): void {
    const stop = new AbortController()
    const done = after.then(() => live(source, stop.signal))
    running.set(source.name, { definition: source.definition, stop, done })
  }

  async function live(source: ConfiguredSource, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const before = [...store.origins(source.name).keys()]
    const heard = new Set<string>()
    const sourceDeps = { ...deps.depsOf(source.name), sink: listening(store, heard) }
    const forgotten = sourceDeps.clock.sleep(RESTART_GRACE_MS, signal).then(() => {
      if (signal.aborted) return
      for (const origin of before) if (!heard.has(origin)) store.end(source.name, origin)
    })
    log.info('source-started', { source: source.name })
    try {
      await source.create(sourceDeps).run(signal)
    } catch (thrown) {
      const message = `the source ended for good: ${messageOf(thrown)}`
      log.error('source-ended', { source: source.name, error: message })
      const atMs = sourceDeps.clock.nowMs()
      store.fail(source.name, 'source', { code: 'not-configured', message, atMs })
      return
    }
    await forgotten
    log.info('source-stopped', { source: source.name })
    // A source that was only changed keeps its series: its next life goes on with them.
    if (wanted.some((one) => one.name === source.name)) return
    for (const origin of store.origins(source.name).keys()) store.end(source.name, origin)
  }

  function reconcile(): void {
    if (life === undefined || life.aborted) return
    const names = new Set(wanted.map((source) => source.name))
    for (const [name, { stop }] of running) {
      if (names.has(name)) continue
      stop.abort()
      running.delete(name)
    }
    for (const source of wanted) {
      const before = running.get(source.name)
      if (before?.definition === source.definition) continue
      before?.stop.abort()
      start(source, before?.done ?? Promise.resolve())
    }
  }

  return {
    apply(sources) {
      wanted = sources
      reconcile()
    },
    async run(signal) {
      life = signal
      reconcile()
      await new Promise<void>((resolve) => {
        if (signal.aborted) return resolve()
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      const ending = [...running.values()]
      running.clear()
      for (const { stop } of ending) stop.abort()
      await Promise.all(ending.map(({ done }) => done))
      life = undefined
    },
  }
}
