/**
 * A bounded map whose entries live for a given time. The oldest entry makes room when it is full.
 * Times are monotonic ms, given by the caller.
 */
export class ExpiringMap<Value> {
  readonly #entriesMax: number
  readonly #entries = new Map<string, { readonly value: Value; readonly untilMs: number }>()

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string, nowMs: number): Value | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (nowMs < entry.untilMs) return entry.value
    this.#entries.delete(key)
    return undefined
  }

  set(key: string, value: Value, untilMs: number): void {
    this.#entries.delete(key)
    if (this.#entries.size >= this.#entriesMax) {
      const oldest = this.#entries.keys().next()
      if (oldest.done !== true) this.#entries.delete(oldest.value)
    }
    this.#entries.set(key, { value, untilMs })
  }
}
