/** Joins the external scaler with the serving certificate, as the configuration asks for it. */
import { readFile } from 'node:fs/promises'
import type { Component } from '../src/ports.ts'
import type { ServeOptions } from './commandLine.ts'
import type { ExternalScalerDeps, Transport } from './external-scaler/ports.ts'
import type { Edge } from './lifetime.ts'
import { NO_EDGE } from './lifetime.ts'
import { openServingCertificate } from './security/tlsMaterial.ts'

/** `externalScaler` of the configuration. */
export interface KedaConfig {
  readonly address: string
  readonly port: number
  readonly auth:
    | {
        readonly mode: 'clientCertificates'
        readonly caFile?: string | undefined
        readonly namespaces?: Readonly<Record<string, readonly string[]>> | undefined
      }
    | { readonly mode: 'insecureOpen' | 'insecurePlaintext' }
}

export interface KedaEdgeDeps extends Omit<ExternalScalerDeps, 'transport' | 'namespaces'> {
  /** What is served where the command line asks for a certificate of our own. */
  readonly selfSigned: { readonly cert: string; readonly key: string }
}

/** Nothing at all where the configuration has no external scaler. */
export async function openKedaEdge(
  options: ServeOptions,
  config: KedaConfig | undefined,
  deps: KedaEdgeDeps,
): Promise<Edge> {
  if (config === undefined) return NO_EDGE
  const { address, port, auth } = config
  const { transport, components } = await openTransport(
    options,
    { ...auth, field: 'externalScaler.auth' },
    deps,
  )
  const bound = auth.mode === 'clientCertificates' ? auth.namespaces : undefined
  // Loaded only where it is asked for: the gRPC library costs memory and start-up time.
  const { createExternalScaler } = await import('./external-scaler/server.ts')
  const scaler = await createExternalScaler({
    ...deps,
    transport,
    ...(bound === undefined
      ? {}
      : { namespaces: new Map(Object.entries(bound).map(([name, of]) => [name, new Set(of)])) }),
  })
  return {
    components: [scaler, ...components],
    async listen() {
      const taken = await scaler.listen(address, port)
      deps.log.info('external-scaler-listening', { address, port: taken, auth: auth.mode })
    },
    close: (graceMs) => scaler.close(graceMs),
  }
}

/** `field` is where the mode is written, for the messages. */
export async function openTransport(
  { tls, clientCaFile }: ServeOptions,
  auth: { readonly field: string; readonly mode: string; readonly caFile?: string | undefined },
  { clock, log, selfSigned }: Pick<KedaEdgeDeps, 'clock' | 'log' | 'selfSigned'>,
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
  // A second watch of the same files, so that a broken CA of KEDA's cannot hold up the metrics API's renewal.
  const { certFile, keyFile } = tls
  const followed = await openServingCertificate(
    { certFile, keyFile, ...(caFile === undefined ? {} : { caFile }) },
    { clock, log, expectedNames: [] },
  )
  return { transport: { kind: 'tls', tls: followed, clientCertificates }, components: [followed] }
}
