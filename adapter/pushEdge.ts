/** Joins the port for reports with certificates and token reviews, as the configuration asks for it. */
import type { Labels } from '../src/model.ts'
import type { Clock, Logger, PushReceiver } from '../src/ports.ts'
import { tokenReviewPoster } from './cluster/reviews.ts'
import type { KubeClient } from './cluster/kubeClient.ts'
import type { ServeOptions } from './commandLine.ts'
import { boundNamespaces, openTransport } from './grpcTransport.ts'
import type { Transport } from './external-scaler/ports.ts'
import { createHttpServer, createHttpsServer } from './httpsServer.ts'
import type { HttpServer } from './httpsServer.ts'
import type { Edge } from './lifetime.ts'
import { NO_EDGE } from './lifetime.ts'
import type { Paces } from './push/paces.ts'
import type { Proof } from './push/ports.ts'
import { apiTokenReviewer } from './security/tokenReview.ts'

/** `push` of the configuration. */
export interface PushEdgeConfig {
  readonly address: string
  readonly port: number
  readonly auth:
    | { readonly mode: 'serviceAccountToken'; readonly audience?: string }
    | { readonly mode: 'insecureOpen' | 'insecurePlaintext' }
    | {
        readonly mode: 'clientCertificates'
        readonly caFile?: string | undefined
        readonly namespaces: Readonly<Record<string, readonly string[]>>
      }
  readonly reportsPerSecond: number
  readonly partsPerSecond: number
  readonly http?: { readonly port: number } | undefined
}

export interface PushEdgeDeps {
  readonly receiver: PushReceiver
  readonly clock: Clock
  readonly log: Logger
  readonly client: KubeClient | undefined
  readonly selfSigned: { readonly cert: string; readonly key: string }
  admissibleRate(served: readonly Labels[]): number | undefined
  observe(outcome: string): void
  observePoints(outcome: 'accepted' | 'refused', count: number): void
}

/** Nothing at all where the configuration has no such port. */
export async function openPushEdge(
  options: ServeOptions,
  config: PushEdgeConfig | undefined,
  deps: PushEdgeDeps,
): Promise<Edge> {
  if (config === undefined) return NO_EDGE
  const { address, port, auth } = config
  const { log } = deps
  const proof = proofOf(auth, deps)
  const field = { ...auth, field: 'push.auth' }
  const { transport, components } = await openTransport(options, field, deps)
  if (proof.kind === 'none')
    log.warn(auth.mode === 'insecureOpen' ? 'INSECURE-OPEN' : 'INSECURE-PLAINTEXT', {
      meaning:
        'everybody who reaches the port for reports can report anything; never in production',
    })
  const { Paces } = await import('./push/paces.ts')
  const told = { ...deps, proof, paces: new Paces(config) }
  const http = config.http && { port: config.http.port, server: await httpServer(told, transport) }
  const { createPushServer } = await import('./push/server.ts')
  const { serverCredentials } = await import('./external-scaler/credentials.ts')
  const { openPort } = await import('./external-scaler/port.ts')
  const server = await createPushServer({
    ...told,
    open: (grpc) => openPort(grpc, serverCredentials(transport)),
  })
  return {
    components,
    async listen() {
      const taken = await server.listen(address, port)
      log.info('push-listening', { address, port: taken, auth: auth.mode })
      if (http === undefined) return
      const httpPort = await http.server.listen(address, http.port)
      log.info('otlp-http-listening', {
        address,
        port: httpPort,
        path: '/v1/metrics',
        auth: auth.mode,
      })
    },
    async close(graceMs) {
      await Promise.all([server.close(graceMs), http?.server.close(graceMs)])
    },
  }
}

/** The port for OTLP over HTTP, with the certificate and the proof of the one for gRPC. */
async function httpServer(
  deps: PushEdgeDeps & { readonly proof: Proof; readonly paces: Paces },
  transport: Transport,
): Promise<HttpServer> {
  const { otlpOverHttp } = await import('./push/otlp/http.ts')
  const listener = await otlpOverHttp(deps)
  if (transport.kind === 'plaintext') return createHttpServer(listener, deps)
  const { tls } = transport
  const https = createHttpsServer(listener, { ...deps, tls: tls.material })
  tls.follow((material) => https.server.setSecureContext(material))
  return https
}

function proofOf(auth: PushEdgeConfig['auth'], { client, clock }: PushEdgeDeps): Proof {
  if (auth.mode === 'clientCertificates')
    return { kind: 'certificate', namespaces: boundNamespaces(auth.namespaces) }
  if (auth.mode !== 'serviceAccountToken') return { kind: 'none' }
  if (client === undefined)
    throw new Error(
      'push.auth.mode is serviceAccountToken and there is no cluster: run in a pod, give --kubeconfig, or choose clientCertificates',
    )
  const tokens = apiTokenReviewer({ post: tokenReviewPoster(client, auth.audience), clock })
  return { kind: 'token', review: (token) => tokens.review(token) }
}
