import { TidelineError } from '../errors.ts'
import type { Batch } from '../model.ts'
import type { SourceDeps } from '../ports.ts'

/** What one collect of one origin came to. */
export type Outcome = Pick<Batch, 'samples' | 'notes'> | TidelineError

/** Tells the sink of each failure of an origin, and the log where its code is another than before, and its end. */
export function failures({ name, sink, log }: Pick<SourceDeps, 'name' | 'sink' | 'log'>) {
  const codes = new Map<string, string>()
  return {
    failed(origin: string, { code, message }: TidelineError, atMs: number): void {
      sink.fail(name, origin, { code, message, atMs })
      if (codes.get(origin) !== code)
        log.warn('origin-failing', { source: name, origin, code, message })
      codes.set(origin, code)
    },
    recovered(origin: string): void {
      if (codes.delete(origin)) log.info('origin-recovered', { source: name, origin })
    },
  }
}

/** Writes whole outcomes to the sink. */
export function outcomes(deps: SourceDeps) {
  const { name, sink } = deps
  const told = failures(deps)
  return (origin: string, outcome: Outcome, atMs: number): void => {
    if (outcome instanceof TidelineError) return told.failed(origin, outcome, atMs)
    const { samples, notes } = outcome
    const more = notes === undefined ? {} : { notes }
    sink.write({ source: name, origin, atMs, samples, complete: true, ...more })
    told.recovered(origin)
  }
}
