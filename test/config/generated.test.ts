import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { generatedFiles } from '../../docs/generate.ts'

test.each([...generatedFiles()])(
  'docs/%s is what the schemas say; if not: npm run generate',
  (name, text) => {
    expect(readFileSync(resolve(import.meta.dirname, '../../docs', name), 'utf8')).toBe(text)
  },
)
