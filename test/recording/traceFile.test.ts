import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openTraceFile } from '../../adapter/recording/traceFile.ts'
import { parseTrace } from '../../src/replay/traceText.ts'
import { temporaryFolder } from '../setup/running.ts'

const folder = temporaryFolder()
afterAll(() => folder.remove())
let files = 0
const fileOf = (text?: string): string => {
  const path = join(folder.path, `${files++}.csv`)
  if (text !== undefined) writeFileSync(path, text)
  return path
}

test('after each row the file is a trace that can be replayed', async () => {
  const path = fileOf()
  const file = await openTraceFile(path)
  expect(file.lastMs).toBe(-Infinity)
  for (const [at, value] of [1.5, 0, 1e-7].entries()) {
    await file.write({ endMs: 15_000 * (at + 1), value })
    expect(parseTrace(readFileSync(path, 'utf8')).at(-1)).toEqual({ seconds: 15 * (at + 1), value })
  }
})

test.each([
  ['', -Infinity, ''],
  ['t_sec', -Infinity, ''],
  ['t_seconds,value\n', -Infinity, ''],
  ['t_seconds,value\n10,1\n', 10_000, '10,1\n'],
  ['t_seconds,value\n10,1\n20,1', 10_000, '10,1\n'],
  ['t_seconds,value\n10.5,1\n2', 10_500, '10.5,1\n'],
])('%j is gone on with; a line that was cut off is taken away', async (text, lastMs, kept) => {
  const path = fileOf(text)
  const file = await openTraceFile(path)
  expect(file.lastMs).toBe(lastMs)
  await file.write({ endMs: 30_000, value: 3 })
  expect(readFileSync(path, 'utf8')).toBe(`t_seconds,value\n${kept}30,3\n`)
})

test.each(['a,b\n1,2\n', 'hello', 't_seconds,value\nx,y\n'])(
  '%j is no recording: it is left as it is',
  async (text) => {
    const path = fileOf(text)
    await expect(openTraceFile(path)).rejects.toThrow(/name another file/)
    expect(readFileSync(path, 'utf8')).toBe(text)
  },
)

test('two recordings cannot share a file', async () => {
  const path = fileOf()
  const file = await openTraceFile(path)
  await file.write({ endMs: 1000, value: 1 })
  appendFileSync(path, '2,2\n')
  await expect(file.write({ endMs: 3000, value: 3 })).rejects.toThrow('changed by another')
  expect(readFileSync(path, 'utf8')).toBe('t_seconds,value\n1,1\n2,2\n')
})
