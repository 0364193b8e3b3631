import type { Batch } from '../model.ts'

type Notes = NonNullable<Batch['notes']>

/** Of one origin on one metric; a source that has more to say has too much to say. */
const NOTES_MAX = 10

/** The newest notes of each origin of one source, by metric. Costs nothing where no batch has any. */
export class OriginNotes {
  readonly #byMetric = new Map<string, Map<string, readonly string[]>>()
  readonly #noted = new Map<string, ReadonlySet<string>>()

  /** Puts these notes in the place of the origin's former ones. */
  replace(origin: string, notes: Notes = []): void {
    this.drop(origin)
    if (notes.length === 0) return
    const texts = new Map<string, string[]>()
    for (const { metric, text } of notes) {
      const ofMetric = texts.get(metric)
      if (ofMetric === undefined) texts.set(metric, [text])
      else if (ofMetric.length < NOTES_MAX) ofMetric.push(text)
    }
    for (const [metric, list] of texts) {
      const byOrigin = this.#byMetric.get(metric)
      if (byOrigin === undefined) this.#byMetric.set(metric, new Map([[origin, list]]))
      else byOrigin.set(origin, list)
    }
    this.#noted.set(origin, new Set(texts.keys()))
  }

  drop(origin: string): void {
    for (const metric of this.#noted.get(origin) ?? []) {
      const byOrigin = this.#byMetric.get(metric)
      byOrigin?.delete(origin)
      if (byOrigin?.size === 0) this.#byMetric.delete(metric)
    }
    this.#noted.delete(origin)
  }

  /** By origin; undefined where nobody has anything to say of the metric. */
  of(metric: string): ReadonlyMap<string, readonly string[]> | undefined {
    return this.#byMetric.get(metric)
  }
}
