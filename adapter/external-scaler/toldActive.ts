import type { ScaledObjectRef } from './wire.ts'

/** Twice the streams there may be; of the one that is forgotten a stream that opens in an outage says nothing. */
const TRIGGERS_MAX = 4000

/**
 * What each trigger was last told of being active, by a call or a stream. KEDA opens its streams anew, within the hour
 * and after each restart of the adapter, and may do so in an outage: a trigger that was active before is told so then,
 * as it would be on the stream that it had.
 */
export class ToldActive {
  readonly #told = new Map<string, boolean>()

  /** The last one is the one that was told last. */
  note(ref: ScaledObjectRef, isActive: boolean): void {
    const key = keyOf(ref)
    this.#told.delete(key)
    const [oldest] = this.#told.keys()
    if (this.#told.size >= TRIGGERS_MAX && oldest !== undefined) this.#told.delete(oldest)
    this.#told.set(key, isActive)
  }

  /** False where nothing was told. */
  of(ref: ScaledObjectRef): boolean {
    return this.#told.get(keyOf(ref)) === true
  }
}

/** A client may send the entries of one map in another order each time. */
function keyOf({ namespace, name, scalerMetadata }: ScaledObjectRef): string {
  const entries = Object.entries(scalerMetadata).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([namespace, name, entries])
}
