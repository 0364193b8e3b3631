import { z } from 'zod'
import type { SecretReference } from '../ports.ts'
import { secretReferenceSchema } from './reference.ts'

/** How the other side is trusted and how we show who we are. Texts are PEM, read anew for each request or connection. */
export const tlsSchema = z.strictObject({
  ca: secretReferenceSchema
    .exactOptional()
    .meta({ description: "authorities to trust; none: the system's" }),
  cert: secretReferenceSchema.exactOptional().meta({ description: 'our certificate, with key' }),
  key: secretReferenceSchema.exactOptional().meta({ description: 'the key of cert' }),
  serverName: z
    .string()
    .min(1)
    .exactOptional()
    .meta({ description: "name in the other side's certificate, where the address is not" }),
  insecureSkipVerify: z
    .boolean()
    .default(false)
    .meta({ description: 'believe any certificate; anyone on the way can read and change all' }),
})
export type TlsConfig = z.infer<typeof tlsSchema>

/** As `tls.connect` takes them. */
export interface TlsOptions {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
  readonly rejectUnauthorized: boolean
}

/** Reads what is referred to, anew for each connection. */
export async function tlsOptions(
  tls: TlsConfig,
  read: (reference: SecretReference) => Promise<string>,
): Promise<TlsOptions> {
  return {
    rejectUnauthorized: !tls.insecureSkipVerify,
    ...(tls.ca === undefined ? {} : { ca: await read(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: await read(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: await read(tls.key) }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
  }
}
