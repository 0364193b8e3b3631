/** What a call was for. Either may be empty. */
export interface Kind {
  readonly model: string
  readonly version: string
}

/** As `Counts` of push.proto. */
export interface Counts extends Kind {
  readonly requests: number
  readonly errors: number
  readonly latency: {
    readonly bounds: readonly number[]
    readonly counts: readonly number[]
    readonly sumSeconds: number
  }
}

interface Line {
  readonly kind: Kind
  requests: number
  errors: number
  buckets: number[]
  sumSeconds: number
}

/** The adapter takes so many in a report. */
const KINDS_MAX = 100
const NO_KIND: Kind = { model: '', version: '' }

/**
 * Counts of the interval that is open. A kind that was once seen stays, with zeros: silence is not zero. Kinds
 * beyond a hundred count as the one without a name.
 */
export class Tally {
  readonly #bounds: readonly number[]
  readonly #lines = new Map<string, Line>()
  /** The same object as before needs no name to be made of it: this is done twice a call. */
  readonly #byKind = new WeakMap<Kind, Line>()
  #begun = 0

  constructor(bounds: readonly number[], kinds: readonly Kind[]) {
    this.#bounds = bounds
    for (const kind of kinds) this.#lineOf(kind)
  }

  /** Calls that began in the interval. */
  get begun(): number {
    return this.#begun
  }

  begin(kind: Kind): void {
    this.#begun += 1
    this.#lineOf(kind).requests += 1
  }

  end(kind: Kind, failed: boolean, seconds: number): void {
    const line = this.#lineOf(kind)
    if (failed) line.errors += 1
    const found = this.#bounds.findIndex((bound) => seconds <= bound)
    const index = found === -1 ? this.#bounds.length : found
    line.buckets[index] = (line.buckets[index] ?? 0) + 1
    line.sumSeconds += seconds
  }

  /** What there is, and begins the next interval. Empty where no kind is known yet. */
  close(): readonly Counts[] {
    this.#begun = 0
    return [...this.#lines.values()].map((line) => {
      const { kind, requests, errors, buckets, sumSeconds } = line
      Object.assign(line, this.#zeros())
      return {
        ...kind,
        requests,
        errors,
        latency: { bounds: this.#bounds, counts: buckets, sumSeconds },
      }
    })
  }

  #lineOf(kind: Kind): Line {
    const before = this.#byKind.get(kind)
    if (before !== undefined) return before
    const line = this.#lineNamed(kind)
    this.#byKind.set(kind, line)
    return line
  }

  #lineNamed(kind: Kind): Line {
    const key = JSON.stringify([kind.model, kind.version])
    const known = this.#lines.get(key)
    if (known !== undefined) return known
    if (this.#lines.size >= KINDS_MAX - 1 && (kind.model !== '' || kind.version !== ''))
      return this.#lineNamed(NO_KIND)
    const line = { kind, ...this.#zeros() }
    this.#lines.set(key, line)
    return line
  }

  #zeros() {
    const buckets = Array.from({ length: this.#bounds.length + 1 }, () => 0)
    return { requests: 0, errors: 0, buckets, sumSeconds: 0 }
  }
}
