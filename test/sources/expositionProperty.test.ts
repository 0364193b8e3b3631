import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Sample } from '../../src/model.ts'
import { TidelineError } from '../../src/errors.ts'
import { ExpositionParser } from '../../src/sources/exposition/parser.ts'

const AT_MS = 1_700_000_000_000
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** A name: mostly classic, now and then any text, which is then written in quotes. */
const name = (pattern: RegExp) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/) },
    {
      weight: 1,
      arbitrary: fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
        .filter((text) => !pattern.test(text)),
    },
  )

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('\\', '"', '\n', 'n', '}', '{', ',', '#', ' '), maxLength: 8 }),
)

const line = fc.record({
  metric: name(NAME),
  labels: fc.uniqueArray(
    fc.tuple(
      name(LABEL).filter((key) => key !== '__name__'),
      text,
    ),
    {
      selector: ([key]) => key,
      maxLength: 4,
    },
  ),
  value: fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0),
  ),
  timestampMs: fc.option(fc.integer({ min: 0, max: 4e12 }), { nil: undefined }),
  blank: fc.constantFrom(' ', '\t', '  '),
})
type Line = typeof line extends fc.Arbitrary<infer T> ? T : never

/** Written independently of the parser, by the grammar of the specification. */
function render({ metric, labels, value, timestampMs, blank }: Line): string {
  const quoted = (raw: string) =>
    `"${raw.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
  const parts = labels.map(([key, of]) => `${LABEL.test(key) ? key : quoted(key)}=${quoted(of)}`)
  const number = Number.isFinite(value)
    ? Object.is(value, -0)
      ? '-0'
      : String(value)
    : Number.isNaN(value)
      ? 'NaN'
      : value > 0
        ? '+Inf'
        : '-Inf'
  const head = NAME.test(metric)
    ? metric + (parts.length > 0 ? `{${parts.join(',')}}` : '')
    : `{${[quoted(metric), ...parts].join(',')}}`
  return head + blank + number + (timestampMs === undefined ? '' : blank + String(timestampMs))
}

function expected({ metric, labels, value, timestampMs = AT_MS }: Line): Omit<Sample, 'kind'> {
  const kept = labels.filter(([, of]) => of !== '')
  return { metric, labels: Object.fromEntries(kept), value, timestampMs }
}

const fresh = () =>
  new ExpositionParser({
    limits: { lines: 1000, series: 1000, labels: 10 },
    wants: () => true,
    labelsOf: (labels) => Object.fromEntries(labels),
    honorTimestamps: true,
  })

test('what is rendered is read, in any order of scrapes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(line, { maxLength: 8 }), { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      (scrapes, windows) => {
        const parser = fresh()
        // Twice, so that each is read with and without memory of the one before.
        for (const lines of [...scrapes, ...scrapes]) {
          const body = lines.map((each) => render(each) + (windows ? '\r\n' : '\n')).join('')
          const samples = parser.parse({ body, format: 'text', atMs: AT_MS, framed: true })
          expect(samples.map(({ kind: _, ...rest }) => rest)).toEqual(lines.map(expected))
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('whatever the body is, it is read or refused with a code', () => {
  const scraps = fc.array(
    fc.oneof(
      fc.constantFrom(
        'a',
        '{',
        '}',
        '"',
        '\\',
        '\n',
        ' ',
        '=',
        ',',
        '#',
        '# TYPE a counter\n',
        '1',
        'x="y"',
        '# EOF\n',
        'NaN',
      ),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 30 },
  )
  fc.assert(
    fc.property(
      scraps,
      fc.constantFrom('text', 'openmetrics'),
      fc.boolean(),
      (parts, format, framed) => {
        try {
          fresh().parse({ body: parts.join(''), format: format as 'text', atMs: AT_MS, framed })
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(TidelineError)
        }
      },
    ),
    { numRuns: 2000 },
  )
})

test('a cut body is never read as a whole one', () => {
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 5 }), fc.nat(), (lines, where) => {
      const body = lines.map((each) => `${render(each)}\n`).join('')
      const cut = body.slice(0, where % body.length)
      try {
        const samples = fresh().parse({ body: cut, format: 'text', atMs: AT_MS, framed: false })
        // Cut between two lines: then what is there is right.
        expect(samples.map(({ kind: _, ...rest }) => rest)).toEqual(
          lines.slice(0, samples.length).map(expected),
        )
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(TidelineError)
      }
    }),
    { numRuns: 500 },
  )
})
