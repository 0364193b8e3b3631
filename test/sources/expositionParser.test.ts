import { describe, expect, test } from 'vitest'
import { TidelineError } from '../../src/errors.ts'
import type { Sample } from '../../src/model.ts'
import { formatOf } from '../../src/sources/exposition/format.ts'
import type { ExpositionFormat } from '../../src/sources/exposition/format.ts'
import { ExpositionParser } from '../../src/sources/exposition/parser.ts'
import type { ExpositionLimits } from '../../src/sources/exposition/limits.ts'

const AT_MS = 1_700_000_000_000
const LIMITS: ExpositionLimits = { lines: 1000, series: 100, labels: 4 }

function parser(
  over: { wants?: (metric: string) => boolean; limits?: ExpositionLimits } = {},
): ExpositionParser {
  return new ExpositionParser({
    limits: LIMITS,
    wants: () => true,
    labelsOf: (labels) => Object.freeze(Object.fromEntries(labels)),
    honorTimestamps: true,
    ...over,
  })
}

function read(body: string, format: ExpositionFormat = 'text', framed = true): Sample[] {
  return parser().parse({ body, format, atMs: AT_MS, framed })
}

const om = (body: string): Sample[] => read(`${body}# EOF\n`, 'openmetrics')

function failure(work: () => unknown): TidelineError {
  try {
    work()
  } catch (thrown) {
    if (thrown instanceof TidelineError) return thrown
    throw thrown
  }
  throw new Error('nothing was thrown')
}

function gauge(metric: string, value: number, labels: Record<string, string> = {}): Sample {
  return { metric, labels, kind: 'gauge', value, timestampMs: AT_MS }
}

describe('text format: sample lines', () => {
  test.each<[string, Sample]>([
    ['up 1', gauge('up', 1)],
    ['up\t1', gauge('up', 1)],
    ['  up   1  ', gauge('up', 1)],
    ['up{} 1', gauge('up', 1)],
    ['up {a="b"} 1', gauge('up', 1, { a: 'b' })],
    ['up{a="b"}1', gauge('up', 1, { a: 'b' })],
    ['up{ a = "b" , c="d" , } 1', gauge('up', 1, { a: 'b', c: 'd' })],
    ['up{a="b",} 1', gauge('up', 1, { a: 'b' })],
    ['up{a=""} 1', gauge('up', 1)],
    ['up{a="}"} 1', gauge('up', 1, { a: '}' })],
    ['up{a="x y, z"} 1', gauge('up', 1, { a: 'x y, z' })],
    [String.raw`up{a="q\"q"} 1`, gauge('up', 1, { a: 'q"q' })],
    [String.raw`up{a="\\"} 1`, gauge('up', 1, { a: '\\' })],
    [String.raw`up{a="\\\""} 1`, gauge('up', 1, { a: '\\"' })],
    [String.raw`up{a="l\nl"} 1`, gauge('up', 1, { a: 'l\nl' })],
    [String.raw`up{a="\\n"} 1`, gauge('up', 1, { a: '\\n' })],
    [String.raw`up{a="\t"} 1`, gauge('up', 1, { a: '\\t' })],
    ['up{a="é→𝄞"} 1', gauge('up', 1, { a: 'é→𝄞' })],
    ['up{__proto__="x"} 1', gauge('up', 1, Object.fromEntries([['__proto__', 'x']]))],
    ['vllm:num_requests_waiting 3', gauge('vllm:num_requests_waiting', 3)],
    ['{"name.with.dots"} 1', gauge('name.with.dots', 1)],
    ['{"name.with.dots",a="b"} 1', gauge('name.with.dots', 1, { a: 'b' })],
    [String.raw`{"a\"b","l.x"="y"} 1`, gauge('a"b', 1, { 'l.x': 'y' })],
    ['up{"l.x"="y"} 1', gauge('up', 1, { 'l.x': 'y' })],
    ['up 1 1600000000123', { ...gauge('up', 1), timestampMs: 1_600_000_000_123 }],
    ['up 1 -5', { ...gauge('up', 1), timestampMs: -5 }],
    ['up 1\r', gauge('up', 1)],
  ])('%s', (line, sample) => {
    expect(read(`${line}\n`)).toEqual([sample])
  })

  test.each<[string, number]>([
    ['0', 0],
    ['-0', -0],
    ['12', 12],
    ['+12', 12],
    ['999999999999999', 999_999_999_999_999],
    ['9007199254740993', 9_007_199_254_740_992],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['5.', 5],
    ['1e3', 1000],
    ['1.5E-3', 0.0015],
    ['NaN', Number.NaN],
    ['nan', Number.NaN],
    ['+Inf', Number.POSITIVE_INFINITY],
    ['Inf', Number.POSITIVE_INFINITY],
    ['-Inf', Number.NEGATIVE_INFINITY],
    ['-infinity', Number.NEGATIVE_INFINITY],
  ])('the value %s', (text, value) => {
    expect(read(`up ${text}\n`)[0]?.value).toBe(value)
  })

  test.each(['', '0x10', '1_000', '1,5', '--1', '1e', 'null', 'e5', '0b1', '.', 'Infinit'])(
    'no value: %j',
    (text) => {
      expect(failure(() => read(`up ${text}\n`)).code).toBe('bad-response')
    },
  )

  test.each<[string, RegExp]>([
    ['up{a="b} 1', /no end/],
    ['up{a=b} 1', /quoted label value/],
    ['up{a} 1', /expected =/],
    ['up{="b"} 1', /label name/],
    ['up{1a="b"} 1', /label name/],
    ['up{a="1" b="2"} 1', /, or }/],
    ['up{a="1",a="2"} 1', /twice/],
    ['up{__name__="x"} 1', /__name__/],
    ['up{a="1"', /, or }/],
    ['{a="1"} 1', /metric name/],
    ['1up 1', /metric name/],
    ['up 1 12.5', /timestamp/],
    ['up 1 12 13', /end of the line/],
    ['up 1 # {a="b"} 1', /end of the line/],
    ['<html>', /metric name/],
  ])('malformed: %s', (line, reason) => {
    const { code, message } = failure(() => read(`fine 1\n${line}\nfine 2\n`))
    expect(code).toBe('bad-response')
    expect(message).toMatch(/^line 2: /)
    expect(message).toMatch(reason)
    expect(message).toContain(JSON.stringify(line))
  })

  test('a long line is told in part', () => {
    const { message } = failure(() => read(`up ${'x'.repeat(10_000)}\n`))
    expect(message.length).toBeLessThan(200)
  })

  test('comments, HELP and empty lines say nothing', () => {
    const body = '\n# a comment\n#\n# HELP up whatever \\n 1\n  \nup 1\n'
    expect(read(body)).toEqual([gauge('up', 1)])
    expect(read('')).toEqual([])
    expect(read('\r\nup 1\r\n')).toEqual([gauge('up', 1)])
  })

  test('a last line without an end counts only where the transport shows that it is whole', () => {
    expect(read('up 12', 'text', true)).toEqual([gauge('up', 12)])
    expect(failure(() => read('up 12', 'text', false)).message).toMatch(/cut off/)
  })
})

describe('kinds', () => {
  test.each<[string, string, Sample['kind']]>([
    ['# TYPE a counter', 'a', 'cumulative'],
    ['# TYPE a_total counter', 'a_total', 'cumulative'],
    ['# TYPE a gauge', 'a', 'gauge'],
    ['# TYPE a_total gauge', 'a_total', 'gauge'],
    ['# TYPE a_count gauge', 'a_count', 'gauge'],
    ['# TYPE a histogram', 'a_bucket{le="1"}', 'cumulative'],
    ['# TYPE a histogram', 'a_sum', 'cumulative'],
    ['# TYPE a histogram', 'a_count', 'cumulative'],
    ['# TYPE a summary', 'a{quantile="0.5"}', 'gauge'],
    ['# TYPE a summary', 'a_sum', 'cumulative'],
    ['# TYPE a summary', 'a_count', 'cumulative'],
    ['# TYPE a gaugehistogram', 'a_bucket{le="1"}', 'gauge'],
    ['# TYPE a gaugehistogram', 'a_gcount', 'gauge'],
    ['# TYPE a gaugehistogram', 'a_gsum', 'gauge'],
    ['# TYPE a untyped', 'a', 'gauge'],
    ['# TYPE a_total untyped', 'a_total', 'cumulative'],
    ['# TYPE "a.b" counter', '{"a.b"}', 'cumulative'],
    ['#   TYPE\ta   counter', 'a', 'cumulative'],
    ['# TYPE other counter', 'a', 'gauge'],
    ['', 'a_total', 'cumulative'],
    ['', 'a_count', 'cumulative'],
    ['', 'a_sum', 'cumulative'],
    ['', 'a_bucket{le="+Inf"}', 'cumulative'],
    ['', 'a_created', 'gauge'],
    ['# TYPE a_created gauge', 'a_created', 'gauge'],
  ])('%s / %s: %s', (type, series, kind) => {
    expect(read(`${type}\n${series} 1\n`)[0]?.kind).toBe(kind)
  })

  test('a kind follows the TYPE of each scrape', () => {
    const one = parser()
    const kind = (body: string) =>
      one.parse({ body, format: 'text', atMs: AT_MS, framed: true })[0]?.kind
    expect(kind('# TYPE a counter\na 1\n')).toBe('cumulative')
    expect(kind('# TYPE a gauge\na 1\n')).toBe('gauge')
    expect(kind('a 1\n')).toBe('gauge')
    expect(kind('# TYPE a counter\na 1\n')).toBe('cumulative')
  })

  test('an unknown or a contradicting TYPE is refused', () => {
    expect(failure(() => read('# TYPE a meter\n')).message).toMatch(
      /line 1: an unknown metric type/,
    )
    expect(failure(() => read('# TYPE a gauge\n# TYPE a counter\n')).message).toMatch(/second TYPE/)
  })
})

describe('OpenMetrics', () => {
  test('a counter keeps its sample name, timestamps are seconds', () => {
    expect(om('# TYPE a counter\n# UNIT a seconds\na_total{x="y"} 2 1600000000.25\n')).toEqual([
      {
        metric: 'a_total',
        labels: { x: 'y' },
        kind: 'cumulative',
        value: 2,
        timestampMs: 1_600_000_000_250,
      },
    ])
  })

  test('exemplars are read and dropped', () => {
    const body =
      '# TYPE a histogram\n' +
      'a_bucket{le="1"} 8 # {trace_id="a}b # c"} 0.67\n' +
      'a_bucket{le="+Inf"} 9 1600000000 # {} 3 1600000000.1\n'
    expect(om(body).map(({ value, timestampMs }) => [value, timestampMs])).toEqual([
      [8, AT_MS],
      [9, 1_600_000_000_000],
    ])
  })

  test.each([
    'a 1 # trace',
    'a 1 # {x="y"}',
    'a 1 # {x="y"} z',
    'a 1 # {x="y} 1',
    'a 1 # {} 1 2 3',
    '',
  ])('malformed: %j', (line) => {
    expect(failure(() => om(`${line}\n`)).message).toMatch(/^line 1: /)
  })

  test('_created tells when counters, histograms and summaries began', () => {
    const samples = om(
      [
        '# TYPE a counter',
        'a_total{x="1"} 5',
        'a_created{x="1"} 1600000000.5',
        'a_total{x="2"} 6',
        '# TYPE h histogram',
        'h_bucket{le="+Inf",x="1"} 1',
        'h_count{x="1"} 1',
        'h_sum{x="1"} 1',
        'h_created{x="1"} 1600000001',
        '# TYPE s summary',
        's{quantile="0.5"} 1',
        's_count 1',
        's_created 1600000002',
        '# TYPE g gauge',
        'g_created 3',
        '',
      ].join('\n'),
    )
    expect(samples.map(({ metric, startMs }) => [metric, startMs])).toEqual([
      ['a_total', 1_600_000_000_500],
      ['a_total', undefined],
      ['h_bucket', 1_600_000_001_000],
      ['h_count', 1_600_000_001_000],
      ['h_sum', 1_600_000_001_000],
      ['s', undefined],
      ['s_count', 1_600_000_002_000],
      ['g_created', undefined],
    ])
  })

  test('_created is heard where the list of metrics names the counter alone', () => {
    const one = parser({ wants: (metric) => metric === 'a_total' })
    const body =
      '# TYPE a counter\na_total 5\na_created 1600000000\nb_total 1\nb_created 1\n# EOF\n'
    const exposition = { body, format: 'openmetrics', atMs: AT_MS, framed: true } as const
    for (const samples of [one.parse(exposition), one.parse(exposition)])
      expect(samples.map(({ metric, startMs }) => [metric, startMs])).toEqual([
        ['a_total', 1_600_000_000_000],
      ])
  })

  test('# EOF is demanded, and nothing comes after it', () => {
    expect(failure(() => read('a 1\n', 'openmetrics')).message).toMatch(/no # EOF.*cut off/)
    expect(failure(() => read('a 1\n# EOF\na 2\n', 'openmetrics')).message).toMatch(/line 3: .*EOF/)
    expect(read('a 1\r\n# EOF\r\n', 'openmetrics')).toHaveLength(1)
    expect(read('a 1\n# EOF', 'openmetrics', false)).toHaveLength(1)
    expect(read('# EOF\na 1\n', 'text')).toHaveLength(1)
  })
})

describe('from scrape to scrape', () => {
  const parse = (one: ExpositionParser, body: string) =>
    one.parse({ body, format: 'text', atMs: AT_MS, framed: true })

  test('a series keeps its Labels object, wherever it stands', () => {
    const one = parser()
    const first = parse(one, 'a{x="1"} 1\nb{x="2"} 2\nc{x="3"} 3\n')
    const second = parse(one, 'a{x="1"} 9\nnew{x="0"} 0\nc{x="3"} 7\nb{x="2"} 8\n')
    expect(second.map(({ metric, value }) => [metric, value])).toEqual([
      ['a', 9],
      ['new', 0],
      ['c', 7],
      ['b', 8],
    ])
    expect(second[0]?.labels).toBe(first[0]?.labels)
    expect(second[2]?.labels).toBe(first[2]?.labels)
    expect(second[3]?.labels).toBe(first[1]?.labels)
  })

  test('a series whose head begins like the expected one is another', () => {
    const one = parser()
    parse(one, 'a 1\nab{x="1"} 2\n')
    expect(parse(one, 'a{x="1"} 3\nab{x="12"} 4\nab 5\na {x="1"} 6\n')).toEqual([
      gauge('a', 3, { x: '1' }),
      gauge('ab', 4, { x: '12' }),
      gauge('ab', 5),
      gauge('a', 6, { x: '1' }),
    ])
  })

  test('series that come and go are forgotten', () => {
    const one = parser()
    for (let round = 0; round < 200; round += 1) {
      const body = Array.from({ length: 50 }, (_, i) => `a{id="${round}-${i}"} 1\n`).join('')
      expect(parse(one, body)).toHaveLength(50)
    }
    expect(parse(one, 'a{id="0-0"} 1\n')).toHaveLength(1)
  })

  test('the same head in the other format is read anew', () => {
    const one = parser()
    parse(one, 'a_total 1\n')
    const body = '# TYPE a counter\na_total 1\na_created 1600000000\nb_total 2\n# EOF\n'
    const samples = one.parse({ body, format: 'openmetrics', atMs: AT_MS, framed: true })
    expect(samples.map(({ startMs }) => startMs)).toEqual([1_600_000_000_000, undefined])
  })

  test('metrics that are not wanted are skipped unread', () => {
    const one = parser({ wants: (metric) => metric.startsWith('a') })
    const body = 'a 1\nb{broken 2\n{"a.x"} 3\n{"b.x"} 4\n'
    expect(parse(one, body).map(({ metric }) => metric)).toEqual(['a', 'a.x'])
    expect(parse(one, body).map(({ metric }) => metric)).toEqual(['a', 'a.x'])
  })

  test('timestamps of the samples are left aside where that is asked', () => {
    const one = new ExpositionParser({
      limits: LIMITS,
      wants: () => true,
      labelsOf: () => ({}),
      honorTimestamps: false,
    })
    expect(parse(one, 'a 1 5\n')[0]?.timestampMs).toBe(AT_MS)
  })
})

describe('limits', () => {
  test.each<[string, string, string]>([
    ['lines', 'a 1\n# x\na 1\na 1\n', 'more than 3 lines'],
    ['series', 'a 1\nb 1\nc 1\n', 'more than 2 series'],
    ['labels', 'a{x="1",y="2"} 1\n', 'more than 1 labels'],
  ])('%s', (_, body, message) => {
    const one = parser({ limits: { lines: 3, series: 2, labels: 1 } })
    const thrown = failure(() => one.parse({ body, format: 'text', atMs: AT_MS, framed: true }))
    expect(thrown.code).toBe('too-large')
    expect(thrown.message).toContain(message)
  })
})

describe('format', () => {
  test.each<[string, string, ExpositionFormat]>([
    ['application/openmetrics-text; version=1.0.0; charset=utf-8', '', 'openmetrics'],
    ['Application/OpenMetrics-Text', '', 'openmetrics'],
    ['text/plain; version=0.0.4', '', 'text'],
    ['text/plain', '', 'text'],
    ['', 'up 1\n', 'text'],
  ])('%s', (type, body, format) => {
    expect(formatOf(type, body)).toBe(format)
  })
  test.each<[string, string, RegExp]>([
    ['text/html; charset=utf-8', 'up 1', /HTML page.*port and the path/],
    ['text/plain', '  <!DOCTYPE html><html>', /HTML page/],
    ['', '<html lang="en">', /HTML page/],
    ['application/json', '{}', /"application\/json" is not a metrics format/],
  ])('%s %s is refused', (type, body, message) => {
    const thrown = failure(() => formatOf(type, body))
    expect(thrown.code).toBe('bad-response')
    expect(thrown.message).toMatch(message)
  })
})
