import { z } from 'zod'
import type { SecretReference } from '../ports.ts'

const text = z.string().min(1)

/** A reference to a credential: exactly one of `file`, `env` and `secret`. Never the credential itself. */
export const secretReferenceSchema: z.ZodType<SecretReference> = z.union(
  [
    z.strictObject({ file: text }),
    z.strictObject({ env: text }),
    z.strictObject({
      secret: z.strictObject({ namespace: text.exactOptional(), name: text, key: text }),
    }),
  ],
  {
    error:
      'must be a reference: {file: /path}, {env: NAME} or {secret: {name: NAME, key: KEY}}, never the credential itself',
  },
)
