import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { csvOf, parseTrace } from '../../src/replay/traceText.ts'

test('rows are taken by their columns names', () => {
  const text = 'value, t_seconds,note\n5,15,a\r\n\n6,30,b\n'
  expect([...parseTrace(text)]).toEqual([
    { seconds: 15, value: 5 },
    { seconds: 30, value: 6 },
  ])
})

describe('what writers of CSV make of it', () => {
  const rows = [
    { seconds: 15, value: 5 },
    { seconds: 30, value: 0.006 },
  ]
  test.each([
    ['a byte order mark', '\uFEFFt_seconds,value\n15,5\n30,0.006\n'],
    ['line ends of Windows', 't_seconds,value\r\n15,5\r\n30,0.006\r\n'],
    ['line ends of old', 't_seconds,value\r15,5\r30,0.006'],
    ['comments', '# made by hand\nt_seconds,value\n15,5\n# later\n30,0.006\n'],
    ['quotes', '"t_seconds","value"\n"15","5"\n"30","0.006"'],
    ['quoted marks', 'name,t_seconds,value\n"a, b",15,5\n"c ""d""",30,0.006'],
    ['semicolons', 't_seconds;value\n15;5\n30;0.006'],
    ['tabs', 't_seconds\tvalue\n15\t5\n30\t0.006'],
    ['capitals', 'T_Seconds,Value\n15,5\n30,0.006'],
    ['exponents', 't_seconds,value\n1.5e1,5E0\n3e+1,6e-3'],
  ])('%s', (_name, text) => {
    expect(parseTrace(text)).toEqual(rows)
  })

  test.each(['', 'NaN', 'nan', 'NA', 'null'])('a value of %j is a gap, and told of', (cell) => {
    const told: string[] = []
    const text = `t_seconds,value\n15,5\n20,${cell}\n30,0.006\n`
    expect(parseTrace(text, (what) => told.push(what))).toEqual(rows)
    expect(told).toEqual(['1 of 3 rows have no value: gaps, not zeros'])
  })

  test('what is written is read back', () => {
    const some = fc.uniqueArray(fc.integer({ min: -1e6, max: 2e9 }), { minLength: 1, maxLength: 50 }) // prettier-ignore
    const loads = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 50, maxLength: 50 }) // prettier-ignore
    fc.assert(
      fc.property(some, loads, (times, values) => {
        const trace = times
          .toSorted((a, b) => a - b)
          .map((seconds, i) => ({ seconds, value: (values[i] ?? 0) + 0 }))
        expect(parseTrace(csvOf(trace))).toEqual(trace)
      }),
    )
  })
})

describe('what is wrong is named with its line', () => {
  test.each([
    ['', 'line 1: the trace is empty'],
    ['# nothing\n', 'line 1: the trace is empty'],
    ['15,3\n', 'line 1: the header must name the columns t_seconds and value: it is "15,3"'],
    ['time,load\n15,3\n', 'it is "time,load"'],
    ['t_seconds,value\n1,inf', 'line 2: t_seconds and value must be numbers: value is "inf"'],
    ['t_seconds,value\n\n1', 'line 3: t_seconds and value must be numbers: value is missing'],
    ['t_seconds,value\n,1', 'line 2: t_seconds and value must be numbers: t_seconds is ""'],
    ['t_seconds,value\n1760000000000,1', 'line 2: t_seconds is 1760000000000: milliseconds?'],
    ['t_seconds;value\n15;1,5', 'line 2: t_seconds and value must be numbers: value is "1,5"'],
    ['t_seconds,value\n1,x', 'line 2: t_seconds and value must be numbers'],
    ['t_seconds,value\n2,1\n2,1', 'line 3: t_seconds must increase: 2 comes after 2'],
  ])('%j', (text, message) => {
    expect(() => [...parseTrace(text)]).toThrow(message)
  })
})

test('a Prometheus range query; what is not a number is a gap', () => {
  const values = [
    [15, '5'],
    [30, 'NaN'],
    [45, '6.5'],
  ]
  const text = JSON.stringify({
    status: 'success',
    data: { resultType: 'matrix', result: [{ metric: {}, values }] },
  })
  expect(parseTrace(text)).toEqual([
    { seconds: 15, value: 5 },
    { seconds: 45, value: 6.5 },
  ])
})

test.each([
  ['{"data":{"resultType":"matrix","result":[]}}', 'the range query gave 0 series'],
  ['{"data":{"resultType":"matrix","result":[{},{}]}}', 'the range query gave 2 series'],
  ['{"data":{"resultType":"vector","result":[]}}', 'not the answer to a Prometheus range query'],
  ['{"status":"error","error":"parse error"}', 'not the answer to a Prometheus range query'],
  ['{"data"', 'begins like JSON and is not'],
  ['{"data":{"resultType":"matrix","result":[{"values":[[1,2]]}]}}', 'sample 1'],
])('%s is refused', (text, message) => {
  expect(() => parseTrace(text)).toThrow(message)
})
