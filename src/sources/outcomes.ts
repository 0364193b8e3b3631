import { TidelineError } from '../errors.ts'
import type { Batch } from '../model.ts'
import type { SourceDeps } from '../ports.ts'

/** What one collect of one origin came to. */
export type Outcome = Pick<Batch, 'samples' | 'notes'> | TidelineError

/** Writes whole outcomes to the sink, and to the log where the failure's code is another than before. */
export function outcomes({ name, sink, log }: SourceDeps) {
  const codes = new Map<string, string>()
  return (origin: string, outcome: Outcome, atMs: number): void => {
    const before = codes.get(origin)
    if (outcome instanceof TidelineError) {
      const { code, message } = outcome
      sink.fail(name, origin, { code, message, atMs })
      if (before !== code) log.warn('origin-failing', { source: name, origin, code, message })
      codes.set(origin, code)
      return
    }
    const { samples, notes } = outcome
    const told = notes === undefined ? {} : { notes }
    sink.write({ source: name, origin, atMs, samples, complete: true, ...told })
    if (before !== undefined) log.info('origin-recovered', { source: name, origin })
    codes.delete(origin)
  }
}
