import { TidelineError } from '../../errors.ts'
import type { Labels, Sample } from '../../model.ts'
import type { ExpositionFormat } from './format.ts'
import { familyOf, familyTypeOf, kindOf, sampleNameOf } from './kind.ts'
import type { FamilyType, SampleName } from './kind.ts'
import { tooLarge } from './limits.ts'
import type { ExpositionLimits } from './limits.ts'
import { isBlank, LineReader } from './lineReader.ts'
import { readNumber, readTimestampMs } from './number.ts'
import { endOfHead, Malformed, readFamilyName, readSeries } from './seriesText.ts'
import type { SeriesText } from './seriesText.ts'

export interface ExpositionOptions {
  readonly limits: ExpositionLimits
  /** Which metrics are kept; lines of others are skipped unread. */
  readonly wants: (metric: string) => boolean
  /** Makes a series' final labels; called once for each series, not for each scrape. */
  readonly labelsOf: (exposed: SeriesText['labels']) => Labels
  /** Take the samples' own timestamps, where they have one. */
  readonly honorTimestamps: boolean
}

export interface Exposition {
  readonly body: string
  readonly format: ExpositionFormat
  /** When it was asked for; the time of samples without a timestamp. */
  readonly atMs: number
  /** The transport shows that the body is whole. If not, a last line without its end may be cut off. */
  readonly framed: boolean
}

/** A series that an earlier scrape brought, by the text of its head. */
interface Known {
  readonly text: string
  readonly name: SampleName
  readonly labels: Labels
  /** Family and labels without `le` and `quantile`: what a `_created` sample shares with its series. */
  readonly group: string
  /** Where it stood in the last whole exposition. */
  position: number
}

type Draft = { -readonly [Key in keyof Sample]: Sample[Key] }

/**
 * Reads the expositions of one target. Expositions of a target are nearly the same time after time, so heads
 * (name and labels) are read once and then recognised by their text, first of all at the place where they stood
 * before; a series has the same `Labels` object from scrape to scrape.
 *
 * Text format: https://prometheus.io/docs/instrumenting/exposition_formats/ ; OpenMetrics 1.0:
 * https://prometheus.io/docs/specs/om/open_metrics_spec/ . Exemplars are read and dropped. `_created` samples of
 * OpenMetrics become the `startMs` of their series.
 */
export class ExpositionParser {
  readonly #options: ExpositionOptions
  #known = new Map<string, Known>()
  #order: readonly Known[] = []
  #format: ExpositionFormat | undefined

  constructor(options: ExpositionOptions) {
    this.#options = options
  }

  /** All samples, or `TidelineError`: `bad-response` that names the line, `too-large` that names the limit. */
  parse(exposition: Exposition): Sample[] {
    if (this.#format !== exposition.format) {
      this.#format = exposition.format
      this.#known = new Map()
      this.#order = []
    }
    if (this.#known.size > 2 * this.#order.length + 64)
      this.#known = new Map(this.#order.map((known) => [known.text, known]))
    const pass = new Pass(this.#options, exposition, { known: this.#known, order: this.#order })
    const samples = pass.run()
    this.#order = pass.order
    pass.order.forEach((known, position) => (known.position = position))
    return samples
  }
}

interface Memory {
  readonly known: Map<string, Known>
  readonly order: readonly Known[]
}

/** One reading of one body. */
class Pass {
  readonly #options: ExpositionOptions
  readonly #exposition: Exposition
  readonly #memory: Memory
  readonly #types = new Map<string, FamilyType>()
  readonly #samples: Draft[] = []
  /** Group of each sample, to find when it was created. */
  readonly #groups: string[] = []
  readonly #created = new Map<string, number>()
  readonly #line: LineReader
  readonly #openMetrics: boolean
  readonly order: Known[] = []
  /** Index in the remembered order of the series that is expected next. */
  #expected = 0
  #ended = false

  constructor(options: ExpositionOptions, exposition: Exposition, memory: Memory) {
    this.#options = options
    this.#exposition = exposition
    this.#memory = memory
    this.#line = new LineReader(exposition.body)
    this.#openMetrics = exposition.format === 'openmetrics'
  }

  run(): Sample[] {
    const line = this.#line
    try {
      while (line.next()) {
        if (line.number > this.#options.limits.lines)
          throw tooLarge('lines', this.#options.limits.lines)
        if (this.#ended) throw new Malformed('there is more after # EOF')
        if (!line.closed && !this.#exposition.framed && !this.#openMetrics)
          throw new Malformed('the last line has no end: the body may be cut off')
        if (line.code === 35) this.#comment()
        else if (!line.empty) this.#sample()
        else if (this.#openMetrics) throw new Malformed('an empty line')
      }
    } catch (thrown) {
      if (!(thrown instanceof Malformed)) throw thrown
      throw new TidelineError(
        'bad-response',
        `line ${line.number}: ${thrown.message}: ${line.excerpt()}`,
      )
    }
    if (this.#openMetrics && !this.#ended)
      throw new TidelineError(
        'bad-response',
        `no # EOF after ${line.number} lines: the body is cut off`,
      )
    if (this.#created.size > 0) this.#tellStarts()
    return this.#samples
  }

  #comment(): void {
    const line = this.#line
    // Most comments are HELP, which says nothing to us.
    if (line.body.startsWith('# HELP ', line.start)) return
    const words = COMMENT.exec(line.text())
    if (words === null) return
    if (words[1] === 'EOF') this.#ended = this.#openMetrics
    if (words[1] !== 'TYPE') return
    const name = readFamilyName(words[2] ?? '')
    const type = familyTypeOf(words[3] ?? '')
    if (type === undefined) throw new Malformed('an unknown metric type')
    const earlier = this.#types.get(name)
    if (earlier !== undefined && earlier !== type)
      throw new Malformed('a second TYPE for one metric')
    this.#types.set(name, type)
  }

  #sample(): void {
    const line = this.#line
    const series = this.#recognise() ?? this.#meet()
    if (series === undefined) return
    const value = line.value()
    const timestampMs = this.#timestamp()
    const family = familyOf(this.#types, series.name)
    if (this.#openMetrics && series.name.suffix === '_created' && isStartOf(family)) {
      this.#created.set(series.group, Math.round(value * 1000))
      this.order.push(series)
      return
    }
    if (!this.#options.wants(series.name.name)) return
    if (this.#samples.length >= this.#options.limits.series)
      throw tooLarge('series', this.#options.limits.series)
    this.order.push(series)
    this.#groups.push(series.group)
    this.#samples.push({
      metric: series.name.name,
      labels: series.labels,
      kind: kindOf(family, series.name),
      value,
      timestampMs,
    })
  }

  /** The series that stood here in the last scrape, if it does again; the line is then past the head. */
  #recognise(): Known | undefined {
    const line = this.#line
    const expected = this.#memory.order[this.#expected]
    if (expected === undefined || !line.body.startsWith(expected.text, line.start)) return undefined
    const end = line.start + expected.text.length
    if (!isBlank(line.body.charCodeAt(end)) || line.body.charCodeAt(line.skipBlanks(end)) === 123)
      return undefined
    this.#expected += 1
    line.at = end
    return expected
  }

  /** The line's series by its text; undefined where its metric is not wanted. */
  #meet(): Known | undefined {
    const line = this.#line
    const bare = line.name()
    if (
      bare !== '' &&
      !this.#options.wants(bare) &&
      !(this.#openMetrics && bare.endsWith('_created'))
    )
      return undefined
    const end = endOfHead(line.body, line.start, line.end)
    const head = line.body.slice(line.start, end)
    let known = this.#memory.known.get(head)
    if (known === undefined) {
      known = this.#learn(head)
      this.#memory.known.set(known.text, known)
    } else this.#expected = known.position + 1
    line.at = line.start + known.text.length
    return known
  }

  #learn(head: string): Known {
    // A copy: a slice would keep the whole body in memory for as long as the series lives.
    const copy = Buffer.from(head).toString()
    const read = readSeries(copy, 0, this.#options.limits.labels)
    const name = sampleNameOf(read.name)
    const group = this.#openMetrics ? groupOf(name, read.labels) : ''
    const text = copy.slice(0, read.end)
    return { text, name, labels: this.#options.labelsOf(read.labels), group, position: -1 }
  }

  #timestamp(): number {
    const line = this.#line
    let token = line.token()
    let timestampMs = this.#exposition.atMs
    if (token !== '' && token !== '#') {
      const own = readTimestampMs(token, this.#openMetrics)
      if (own === undefined) throw new Malformed('expected a timestamp or the end of the line')
      if (this.#options.honorTimestamps) timestampMs = own
      token = line.token()
    }
    if (token === '#' && this.#openMetrics) this.#exemplar()
    else if (token !== '') throw new Malformed('expected the end of the line')
    return timestampMs
  }

  #exemplar(): void {
    const line = this.#line
    const start = line.skipBlanks(line.at)
    if (line.body.charCodeAt(start) !== 123)
      throw new Malformed('expected the labels of an exemplar')
    line.at =
      readSeries(`_${line.body.slice(start, line.end)}`, 0, this.#options.limits.labels).end -
      1 +
      start
    const [value, timestamp, rest] = [line.token(), line.token(), line.token()]
    const right =
      readNumber(value) !== undefined &&
      (timestamp === '' || readTimestampMs(timestamp, true) !== undefined) &&
      rest === ''
    if (!right) throw new Malformed('expected the value of an exemplar')
  }

  #tellStarts(): void {
    this.#samples.forEach((sample, index) => {
      if (sample.kind !== 'cumulative') return
      const startMs = this.#created.get(this.#groups[index] ?? '')
      if (startMs !== undefined && startMs > 0 && startMs <= sample.timestampMs)
        sample.startMs = startMs
    })
  }
}

const COMMENT = /^#[ \t]*(TYPE|EOF)(?:[ \t]+("(?:[^"\\]|\\.)*"|\S+)[ \t]+(\S+))?[ \t]*$/

function isStartOf(family: FamilyType | undefined): boolean {
  return family === 'counter' || family === 'histogram' || family === 'summary'
}

function groupOf(name: SampleName, labels: SeriesText['labels']): string {
  const own = labels.filter(([key]) => key !== 'le' && key !== 'quantile')
  return JSON.stringify([name.base, ...own.toSorted(([a], [b]) => (a < b ? -1 : 1))])
}
