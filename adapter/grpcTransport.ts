/** Certificates of the gRPC ports, as the configuration asks for them. */
import { readFile } from 'node:fs/promises'
import type { Clock, Component, Logger } from '../src/ports.ts'
import type { ServeOptions } from './commandLine.ts'
import type { Transport } from './external-scaler/ports.ts'
import { openServingCertificate } from './security/tlsMaterial.ts'

interface TransportDeps {
  readonly clock: Clock
  readonly log: Logger
  /** What is served where the command line asks for a certificate of our own. */
  readonly selfSigned: { readonly cert: string; readonly key: string }
}

/** Common name of a client certificate to the namespaces that it is bound to. */
export function boundNamespaces(
  bound: Readonly<Record<string, readonly string[]>>,
): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(Object.entries(bound).map(([name, of]) => [name, new Set(of)]))
}

/** `field` is where the mode is written, for the messages. */
export async function openTransport(
  { tls, clientCaFile }: ServeOptions,
  auth: { readonly field: string; readonly mode: string; readonly caFile?: string | undefined },
  { clock, log, selfSigned }: TransportDeps,
): Promise<{ readonly transport: Transport; readonly components: readonly Component[] }> {
  if (auth.mode === 'insecurePlaintext') return { transport: { kind: 'plaintext' }, components: [] }
  const clientCertificates = auth.mode === 'clientCertificates'
  const caFile = clientCertificates ? (auth.caFile ?? clientCaFile) : undefined
  if (clientCertificates && caFile === undefined)
    throw new Error(
      `${auth.field}.mode is clientCertificates and there is no CA: give ${auth.field}.caFile or --tls-ca-file`,
    )
  if (tls.kind === 'self-signed') {
    const ca = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }
    const source = { material: { ...selfSigned, ...ca }, follow: () => undefined }
    return { transport: { kind: 'tls', tls: source, clientCertificates }, components: [] }
  }
  // A second watch of the same files, so that a broken CA of clients cannot hold up the metrics API's renewal.
  const { certFile, keyFile } = tls
  const followed = await openServingCertificate(
    { certFile, keyFile, ...(caFile === undefined ? {} : { caFile }) },
    { clock, log, expectedNames: [] },
  )
  return { transport: { kind: 'tls', tls: followed, clientCertificates }, components: [followed] }
}
