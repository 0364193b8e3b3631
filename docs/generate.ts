/**
 * Writes what is derived from the configuration's schemas: the JSON Schema for editors and the reference.
 * `test/config/generated.test.ts` fails while the files differ from what this would write.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configJsonSchema } from '../src/config/jsonSchema.ts'
import { PRESETS } from '../src/config/presets.ts'
import { sourceTypes } from '../src/sources/registry.ts'

/** File name within `docs/` to content. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const schema = configJsonSchema()
  return new Map([
    ['config.schema.json', `${JSON.stringify(schema, null, 2)}\n`],
    ['configuration.md', reference(schema as Node)],
  ])
}

/** The part of JSON Schema that our documents use. */
interface Node {
  readonly type?: string | readonly string[]
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly items?: Node
  readonly anyOf?: readonly Node[]
  readonly oneOf?: readonly Node[]
  readonly allOf?: readonly Node[]
  readonly additionalProperties?: Node | boolean
}

function reference(schema: Node): string {
  const [adapter, signal] = schema.oneOf ?? []
  const sources = Object.entries(sourceTypes).map(
    ([name, { summary }]) => `- \`${name}\`: ${summary}`,
  )
  return [
    '# Configuration reference',
    '',
    'Written by `npm run generate` from the schemas in `src/config/` and `src/sources/`; do not edit.',
    'Durations are texts such as `500ms`, `15s`, `1m`, `1h30m`. Bold fields must be given.',
    '',
    '## MetricsAdapter',
    '',
    'What the platform team writes, once. Kinds of source:',
    '',
    ...sources,
    '',
    ...table(specOf(adapter)),
    '',
    '## Signal',
    '',
    'What an application team writes, in its namespace.',
    '',
    ...table(specOf(signal)),
    '',
    '## Presets',
    '',
    'A `Signal` with `preset: NAME` stands for these signals, named `<signal>-<name>`.',
    '',
    ...presetTables(),
    '',
  ].join('\n')
}

function specOf(document: Node | undefined): Node {
  const spec = document?.properties?.['spec']
  if (spec === undefined) throw new Error('the schema has no spec')
  return spec
}

function table(spec: Node): string[] {
  const rows = fieldRows(spec, 'spec')
  return ['| field | type | default | what it is |', '| --- | --- | --- | --- |', ...rows]
}

function fieldRows(node: Node, path: string, alternative = false): string[] {
  const rows: string[] = []
  const variants = node.oneOf ?? node.anyOf ?? node.allOf ?? []
  // What must be given in one alternative need not be given at all.
  const alternatives = node.allOf === undefined ? variants.length : 0
  for (const variant of variants) rows.push(...fieldRows(variant, path, alternatives > 1))
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const here = `${path}.${name}`
    const must = node.required?.includes(name) === true && child.const === undefined
    const shown = must && !alternative ? `**${here}**` : here
    const text = alternative ? `one of: ${describe(child)}` : describe(child)
    const fallback = child.default === undefined ? '' : `\`${JSON.stringify(child.default)}\``
    rows.push(
      `| ${shown} | ${escaped(typeText(child))} | ${escaped(fallback)} | ${escaped(text)} |`,
    )
    rows.push(...fieldRows(child, here))
  }
  if (node.items !== undefined) rows.push(...fieldRows(node.items, `${path}[]`))
  return [...new Set(rows)]
}

function typeText(node: Node): string {
  if (node.const !== undefined) return `\`${JSON.stringify(node.const)}\``
  if (node.enum !== undefined) return node.enum.map((one) => `\`${String(one)}\``).join(', ')
  const variants = node.oneOf ?? node.anyOf
  if (variants !== undefined) return [...new Set(variants.map(typeText))].join(' or ')
  if (node.type === 'array')
    return `list of ${node.items === undefined ? 'anything' : typeText(node.items)}`
  return [node.type ?? 'any'].flat().join(' or ')
}

function describe(node: Node): string {
  const limits = [
    node.minimum === undefined ? undefined : `at least ${node.minimum}`,
    node.maximum === undefined || node.maximum > 1e15 ? undefined : `at most ${node.maximum}`,
  ].filter((one) => one !== undefined)
  return [node.description, ...limits].filter((one) => one !== undefined).join('; ')
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function presetTables(): string[] {
  return Object.entries(PRESETS).flatMap(([preset, signals]) => [
    `### ${preset}`,
    '',
    '| name | metric | window | combine | external | custom |',
    '| --- | --- | --- | --- | --- | --- |',
    ...signals.map(({ name, metric, window, combine, expose }) => {
      const quantile = window.function === 'quantile' ? ` ${window.quantile}` : ''
      const span = `${window.function}${quantile} over ${window.durationMs / 1000} s`
      const by = combine.by.length === 0 ? '' : ` by ${combine.by.join(', ')}`
      return `| ${name} | \`${metric}\` | ${span} | ${combine.function}${by} | ${nameOf(expose.external)} | ${nameOf(expose.custom)} |`
    }),
    '',
  ])
}

function nameOf(exposure: { readonly name: string } | undefined): string {
  return exposure === undefined ? '' : `\`${exposure.name}\``
}

if (import.meta.main) {
  for (const [name, text] of generatedFiles()) writeFileSync(join(import.meta.dirname, name), text)
}
