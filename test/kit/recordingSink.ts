import type { Batch, FailureCode, Sample, WriteResult } from '../../src/model.ts'
import type { SampleSink } from '../../src/ports.ts'

export interface RecordedFailure {
  readonly source: string
  readonly origin: string
  readonly code: FailureCode
  readonly message: string
  readonly atMs: number
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

  fail(
    source: string,
    origin: string,
    failure: { code: FailureCode; message: string; atMs: number },
  ): void {
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
