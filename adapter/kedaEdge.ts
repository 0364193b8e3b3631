/** Joins the external scaler with the serving certificate, as the configuration asks for it. */
import type { ServeOptions } from './commandLine.ts'
import type { ExternalScalerDeps } from './external-scaler/ports.ts'
import { boundNamespaces, openTransport } from './grpcTransport.ts'
import type { Edge } from './lifetime.ts'
import { NO_EDGE } from './lifetime.ts'

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
    ...(bound === undefined ? {} : { namespaces: boundNamespaces(bound) }),
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
