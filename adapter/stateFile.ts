import type { AdapterSpec } from '../src/config/adapterSchema.ts'
import type { Clock, Component, Logger } from '../src/ports.ts'
import type { Evaluator } from '../src/signal/evaluator.ts'
import { createStateFile, readStateFile } from '../src/store/stateFile.ts'

/** Gives the evaluator what the file remembers, and the part that writes it from then on; none without a file. */
export async function openState(
  spec: AdapterSpec['state'],
  evaluator: Evaluator,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<readonly Component[]> {
  if (spec === undefined) return []
  evaluator.recall(await readStateFile(spec.file, log))
  const entries = () => evaluator.remember()
  return [createStateFile({ path: spec.file, everyMs: spec.every, clock, log, entries })]
}
