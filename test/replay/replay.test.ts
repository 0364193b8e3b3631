import { describe, expect, test } from 'vitest'
import { parseTrace, replay } from '../../src/replay/replay.ts'
import { createFixedStabilizer } from '../../src/signal/stabilize.ts'

test('rows are taken by their columns names', () => {
  const text = 'value, t_seconds,note\n5,15,a\r\n\n6,30,b\n'
  expect([...parseTrace(text)]).toEqual([
    { seconds: 15, value: 5 },
    { seconds: 30, value: 6 },
  ])
})

describe('what is wrong is named with its line', () => {
  test.each([
    ['', 'line 1: the header must name the columns t_seconds and value'],
    ['t_seconds,value\n1,x', 'line 2: t_seconds and value must be numbers'],
    ['t_seconds,value\n1,', 'line 2: t_seconds and value must be numbers'],
    ['t_seconds,value\n2,1\n2,1', 'line 3: t_seconds must increase'],
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

test('each row is what the stabilizer answers at that time', () => {
  const trace = [10, 4, 6, 2, 2].map((value, i) => ({ seconds: (i + 1) * 20, value }))
  const rows = [...replay(trace, createFixedStabilizer(60_000))]
  expect(rows.map((row) => row.exposed)).toEqual([10, 10, 10, 6, 6])
  expect(rows.map((row) => row.cause)).toEqual(['observed', 'window', 'window', 'window', 'window'])
})
