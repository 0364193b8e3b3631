/** What is derived from the schemas: JSON Schema for editors, the list of fields, the documentation. */
import { z } from 'zod'
import { adapterDocumentSchema } from './adapterSchema.ts'
import { signalDocumentSchema } from './signalSchema.ts'

export type JsonSchema = z.core.JSONSchema.BaseSchema

/** JSON Schema (2020-12) of what a user may write; both kinds, told apart by `kind`. */
export function configJsonSchema(): JsonSchema {
  const options = { io: 'input', unrepresentable: 'any' } as const
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Tideline configuration',
    oneOf: [
      z.toJSONSchema(adapterDocumentSchema, options),
      z.toJSONSchema(signalDocumentSchema, options),
    ],
  }
}

let fields: readonly string[] | undefined

/** Every field name of either document, for "did you mean". */
export function knownFields(): readonly string[] {
  if (fields !== undefined) return fields
  const names = new Set<string>()
  collect(configJsonSchema(), names)
  fields = [...names]
  return fields
}

function collect(schema: unknown, names: Set<string>): void {
  if (typeof schema !== 'object' || schema === null) return
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties' && typeof value === 'object' && value !== null)
      for (const name of Object.keys(value)) names.add(name)
    collect(value, names)
  }
}
