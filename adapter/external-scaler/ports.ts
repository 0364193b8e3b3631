/** What the external scaler asks of its surroundings; handed in by the composition root. */
import type { Clock, Logger, SignalReader } from '../../src/ports.ts'

/** PEM texts that belong together. `key` is a secret. */
export interface TlsTexts {
  readonly cert: string
  readonly key: string
  /** Whose client certificates count. */
  readonly ca?: string
}

/** Serving material that may change while the server runs. */
export interface TlsSource {
  readonly material: TlsTexts
  /** Calls `take` with each new material from now on. */
  follow(take: (material: TlsTexts) => void): void
}

export type Transport =
  /** With `clientCertificates`, the CA in the material decides who may connect; without it nobody may. */
  | { readonly kind: 'tls'; readonly tls: TlsSource; readonly clientCertificates: boolean }
  | { readonly kind: 'plaintext' }

export interface ExternalScalerDeps {
  readonly reader: SignalReader
  readonly clock: Clock
  readonly log: Logger
  readonly transport: Transport
  /**
   * Common name of a client certificate to the namespaces it may ask for. Undefined: whoever may connect is
   * believed when he names the namespace of a ScaledObject, as KEDA does for all of a cluster.
   */
  readonly namespaces?: ReadonlyMap<string, ReadonlySet<string>>
  isReady(): boolean
  /** A call is over; `code` is the name of its gRPC status. */
  observe(method: string, code: string): void
  /** Streams open at once; more are refused. */
  readonly streamsMax?: number
}
