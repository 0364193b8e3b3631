import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { required } from '../setup/programs.ts'

/** An input series of `promtool test rules`: values on a grid of one second, from second 0 on. */
export interface PromSeries {
  /** As in PromQL: `name{label="value"}`. */
  readonly name: string
  readonly points: readonly (readonly [second: number, value: number, start?: number])[]
}

export interface PromQuery {
  readonly expr: string
  readonly atMs: number
}

/**
 * What Prometheus answers to each query: values by the label `case`. promtool has no way to print a value,
 * so each query expects a sample that is not there, and the values are read from promtool's complaint.
 */
export async function askPrometheus(
  series: readonly PromSeries[],
  queries: readonly PromQuery[],
): Promise<ReadonlyMap<string, number>[]> {
  const folder = await mkdtemp(join(tmpdir(), 'promtool-'))
  try {
    const file = join(folder, 'test.yaml')
    await writeFile(file, testFile(series, queries))
    return answersIn(await runPromtool(file), queries)
  } finally {
    await rm(folder, { recursive: true })
  }
}

function testFile(series: readonly PromSeries[], queries: readonly PromQuery[]): string {
  const inputs = series
    .filter(({ points }) => points.length > 0)
    .map(({ name, points }) => ({ series: name, values: notation(points) }))
  const expectations = queries.map(({ expr, atMs }) => ({
    expr,
    eval_time: `${atMs}ms`,
    exp_samples: [{ labels: 'expected_by_nobody', value: 1 }],
  }))
  // JSON is YAML.
  return JSON.stringify({
    evaluation_interval: '1s',
    tests: [{ interval: '1s', input_series: inputs, promql_expr_test: expectations }],
  })
}

/** `1 _x2 4`: 1 at second 0, nothing for two seconds, 4 at second 3. */
function notation(points: PromSeries['points']): string {
  const words: string[] = []
  let next = 0
  for (const [second, value] of points) {
    if (second > next) words.push(`_x${second - next}`)
    words.push(String(value))
    next = second + 1
  }
  return words.join(' ')
}

function runPromtool(file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 256 * 1024 * 1024 }
    execFile(required('promtool'), ['test', 'rules', file], options, (_error, stdout, stderr) => {
      // It always fails, as nobody's sample is never there.
      const output = stdout + stderr
      if (output.includes('FAILED:')) resolve(output)
      else reject(new Error(`promtool did not evaluate: ${output.slice(0, 2000)}`))
    })
  })
}

function answersIn(output: string, queries: readonly PromQuery[]): ReadonlyMap<string, number>[] {
  const gots = [...output.matchAll(/^\s*got:\s*(.*)$/gm)].map((match) => match[1] ?? '')
  if (gots.length !== queries.length)
    throw new Error(`${queries.length} queries, ${gots.length} answers: ${output.slice(0, 2000)}`)
  return gots.map((got) => {
    const values = [...got.matchAll(/\{[^}]*case="([^"]*)"[^}]*\} (\S+?)(?:,|$)/g)]
    return new Map(values.map((match) => [match[1] ?? '', numberOf(match[2] ?? '')]))
  })
}

function numberOf(text: string): number {
  if (text === 'NaN') return NaN
  return text.endsWith('Inf') ? Number(text.replace('Inf', 'Infinity')) : Number(text)
}
