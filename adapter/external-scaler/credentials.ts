import { experimental, ServerCredentials } from '@grpc/grpc-js'
import type { TlsSource, Transport } from './ports.ts'

type Provider = experimental.CertificateProvider
type OnIdentity = experimental.IdentityCertificateUpdateListener
type OnAuthority = experimental.CaCertificateUpdateListener

/**
 * Credentials of the server; new material is taken without a new socket, and connections made before keep
 * theirs. The certificate provider is the library's only way to do that, and is marked experimental there.
 */
export function serverCredentials(transport: Transport): ServerCredentials {
  if (transport.kind === 'plaintext') return ServerCredentials.createInsecure()
  const { tls, clientCertificates } = transport
  if (clientCertificates && tls.material.ca === undefined)
    throw new Error('client certificates are demanded and no CA of theirs is given')
  const provider = new FollowingProvider(tls)
  // The first is for the identity and the second for the CAs, whatever their names there say. Without one for
  // the CAs no client certificate is asked for.
  return experimental.createCertificateProviderServerCredentials(
    provider,
    clientCertificates ? provider : null,
    clientCertificates,
  )
}

/** Listeners are told of what there is in a later step: the library is not ready for it in this one. */
class FollowingProvider implements Provider {
  readonly #tls: TlsSource
  readonly #onIdentity = new Set<OnIdentity>()
  readonly #onAuthority = new Set<OnAuthority>()

  constructor(tls: TlsSource) {
    this.#tls = tls
    tls.follow((material) => {
      // The CA first: nobody is to meet the new certificate while a CA that was taken away still counts.
      for (const tell of this.#onAuthority) tell(authorityOf(material))
      for (const tell of this.#onIdentity) tell(identityOf(material))
    })
  }

  addIdentityCertificateListener(tell: OnIdentity): void {
    this.#onIdentity.add(tell)
    queueMicrotask(() => tell(identityOf(this.#tls.material)))
  }

  removeIdentityCertificateListener(tell: OnIdentity): void {
    this.#onIdentity.delete(tell)
  }

  addCaCertificateListener(tell: OnAuthority): void {
    this.#onAuthority.add(tell)
    queueMicrotask(() => tell(authorityOf(this.#tls.material)))
  }

  removeCaCertificateListener(tell: OnAuthority): void {
    this.#onAuthority.delete(tell)
  }
}

function identityOf({ cert, key }: TlsSource['material']) {
  return { certificate: Buffer.from(cert), privateKey: Buffer.from(key) }
}

/** Null where there is none: the library then takes no connection at all. */
function authorityOf({ ca }: TlsSource['material']) {
  return ca === undefined ? null : { caCertificate: Buffer.from(ca) }
}
