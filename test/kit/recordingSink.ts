import type { Batch, Sample, WriteResult } from '../../src/model.ts'
import type { OriginFailure, SampleSink } from '../../src/ports.ts'

export interface RecordedFailure extends OriginFailure {
  readonly source: string
  readonly origin: string
}

/** A sink that keeps everything it is told, in order. Takes every sample. */
export class RecordingSink implements SampleSink {
  readonly batches: Batch[] = []
  readonly failures: RecordedFailure[] = []
  readonly ends: { readonly source: string; readonly origin: string }[] = []

  write(batch: Batch): WriteResult {
    this.batches.push(batch)
    return { taken: batch.samples.length, refused: new Map() }
  }

  fail(source: string, origin: string, failure: OriginFailure): void {
    this.failures.push({ source, origin, ...failure })
  }

  end(source: string, origin: string): void {
    this.ends.push({ source, origin })
  }

  /** Samples of the last batch; none before the first. */
  latest(): readonly Sample[] {
    return this.batches.at(-1)?.samples ?? []
  }
}
