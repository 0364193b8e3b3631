/** The shape of the code, as a test: who may import whom, where clocks are read, how long a file may be. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')

interface SourceFile {
  readonly path: string
  readonly text: string
  readonly imports: readonly string[]
}

function sourceFiles(folder: string): SourceFile[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const path = join(folder, name)
      const text = readFileSync(join(root, path), 'utf8')
      const imports = [...text.matchAll(/(?:from|import)\s+'(\.[^']+)'/g)].map(([, to = '']) =>
        relative(root, resolve(root, dirname(path), to)),
      )
      return { path, text, imports }
    })
}

const code = [...sourceFiles('src'), ...sourceFiles('adapter')]

interface Rule {
  readonly from: RegExp
  readonly to: RegExp
  readonly instead: string
}

const PORTS = '(?:model|ports|errors|duration)\\.ts'
/** The roots: of what serves, and of the commands about recorded loads. */
const COMPOSITION = /^adapter\/(main|recordedLoads)\.ts$/

const rules: readonly Rule[] = [
  {
    from: /^src\//,
    to: /^(adapter|test|demo)\//,
    instead:
      'the engine knows no edge: declare a port in src/ports.ts and inject it in adapter/main.ts',
  },
  {
    from: /^src\/(model|ports|errors|duration)\.ts$/,
    to: new RegExp(`^(?!src/${PORTS})`),
    instead: 'the nouns and verbs import nothing else: move the code to where it is used',
  },
  {
    from: /^src\/sources\//,
    to: new RegExp(`^src/(?!sources/|clock\\.ts|${PORTS})`),
    instead: 'a source turns the outside into samples and knows nothing else: use SourceDeps',
  },
  {
    from: /^src\/(series|forecast)\//,
    to: new RegExp(`^src/(?!series/|forecast/|${PORTS})`),
    instead: 'series and forecasts are pure: pass what they need as an argument',
  },
  {
    from: /^src\/signal\//,
    to: /^src\/(sources|config)\//,
    instead: 'the evaluator reads SeriesView and Signal: neither sources nor configuration',
  },
  {
    from: /^adapter\/(metrics-api|external-scaler|push|console|security|cluster|hpa-behavior)\//,
    to: new RegExp(`^src/(?!${PORTS})`),
    instead:
      "an edge sees the engine's ports only: take a SignalReader and let adapter/main.ts join",
  },
]

test('imports point inwards', () => {
  const wrong = code.flatMap(({ path, imports }) =>
    imports.flatMap((to) =>
      rules
        .filter((rule) => rule.from.test(path) && rule.to.test(to))
        .map((rule) => `${path} imports ${to}: ${rule.instead}`),
    ),
  )
  expect(wrong).toEqual([])
})

test('no edge imports another edge', () => {
  const folderOf = (path: string) => /^adapter\/([^/]+)\//.exec(path)?.[1]
  const wrong = code.flatMap(({ path, imports, text }) =>
    imports
      .filter((to) => folderOf(path) !== undefined && folderOf(to) !== undefined)
      .filter((to) => folderOf(path) !== folderOf(to))
      .filter((to) => !importsTypesOnly(text, to))
      .map((to) => `${path} imports ${to}: declare what it needs in its own ports.ts`),
  )
  expect(wrong).toEqual([])
})

/** `security` and `cluster` may name the types that the edges ask for; types leave no trace at run time. */
function importsTypesOnly(text: string, to: string): boolean {
  const file = to.split('/').at(-1) ?? ''
  const statements = text.match(/import[^;']*from '[^']+'/g) ?? []
  const own = statements.filter((one) => one.includes(`/${file}'`))
  return file === 'ports.ts' && own.every((one) => one.startsWith('import type'))
}

test('only the composition root imports the insides of both sides', () => {
  const inside = new RegExp(`^src/(?!${PORTS}|clock\\.ts)`)
  const wrong = code
    .filter(({ path }) => path.startsWith('adapter/') && !COMPOSITION.test(path))
    .flatMap(({ path, imports }) =>
      imports.filter((to) => inside.test(to)).map((to) => `${path} → ${to}`),
    )
  expect(wrong).toEqual([])
})

test('clocks and timers are read in src/clock.ts alone', () => {
  const banned =
    /Date\.now\(|new Date\(\)|performance\.now\(|setTimeout\(|setInterval\(|AbortSignal\.timeout\(|Math\.random\(/
  const wrong = code
    .filter(({ path }) => path !== 'src/clock.ts')
    .flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((line, index) =>
          banned.test(line) && !/^\s*(\/\/|\*|\/\*)/.test(line)
            ? [`${path}:${index + 1}: take nowMs or the Clock port instead`]
            : [],
        ),
    )
  expect(wrong).toEqual([])
})

test('files can be read in one sitting', () => {
  const long = code.filter(({ text }) => text.split('\n').length > 401).map(({ path }) => path)
  expect(long).toEqual([])
})

test('every kind of source is held to the conformance kit', () => {
  const registry = readFileSync(join(root, 'src/sources/registry.ts'), 'utf8')
  const types = [...registry.matchAll(/^ {2}([a-zA-Z]+): /gm)].map(([, type = '']) => type)
  const tests = sourceFiles('test/sources').map(({ text }) => text)
  const held = (type: string) => tests.some((text) => text.includes(`sourceContract('${type}`))
  expect(types.length).toBeGreaterThan(0)
  expect(types.filter((type) => !held(type))).toEqual([])
})

test('names avoid the words that say nothing', () => {
  const empty = code.filter(({ path }) => /\b(utils?|helpers?|misc|manager|service)\b/i.test(path))
  expect(empty.map(({ path }) => path)).toEqual([])
})

test('no default exports', () => {
  expect(code.filter(({ text }) => /^export default/m.test(text)).map(({ path }) => path)).toEqual(
    [],
  )
})
