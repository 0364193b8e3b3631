import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { SecureContextOptions } from 'node:tls'
import type { Clock, Component, Logger } from '../../src/ports.ts'
import { messageOf, TidelineError } from '../../src/errors.ts'
import { notAfterMsOf, trustAnchors } from './chain.ts'
import { poll, readTexts } from './fileWatch.ts'

export interface TlsPaths {
  /** PEM: the serving certificate, then its intermediates. */
  readonly certFile: string
  readonly keyFile: string
  /** PEM bundle handed on with the material: whose client certificates count. */
  readonly caFile?: string
}

/** PEM texts that belong together. `key` is a secret. */
export interface TlsMaterial {
  readonly cert: string
  readonly key: string
  readonly ca?: string
  /** When the serving certificate expires. */
  readonly notAfterMs: number
}

export interface TlsDeps {
  readonly clock: Clock
  readonly log: Logger
  /** DNS names that clients will verify, such as `<service>.<namespace>.svc`; a missing one is warned of. */
  readonly expectedNames: readonly string[]
}

/** The part of `https.Server` that takes new material; connections made before keep theirs. */
export interface SecureServer {
  setSecureContext(options: SecureContextOptions): void
}

const SOON_MS = 7 * 86_400_000
const WARN_EVERY_MS = 3_600_000

/**
 * Reads and checks a certificate and its key. Rejects with `TidelineError`: `not-configured` for a file that
 * cannot be read, `bad-response` for content that is not PEM or a key that is not the certificate's.
 */
export async function readTlsMaterial(paths: TlsPaths): Promise<TlsMaterial> {
  const [cert = '', key = '', ca] = await readTexts([
    paths.certFile,
    paths.keyFile,
    ...(paths.caFile === undefined ? [] : [paths.caFile]),
  ])
  const leaf = parsed(() => new X509Certificate(cert), `${paths.certFile} holds no PEM certificate`)
  const privateKey = parsed(
    () => createPrivateKey(key),
    `${paths.keyFile} holds no PEM private key`,
  )
  if (!leaf.checkPrivateKey(privateKey))
    throw new TidelineError(
      'bad-response',
      `the key in ${paths.keyFile} does not belong to the certificate in ${paths.certFile}`,
    )
  parsed(() => createSecureContext({ cert, key }), `${paths.certFile} cannot be used for TLS`)
  if (ca !== undefined && parsed(() => trustAnchors(ca), `${paths.caFile} is broken`).length === 0)
    throw new TidelineError('bad-response', `${paths.caFile} holds no PEM certificate`)
  return { cert, key, notAfterMs: notAfterMsOf(leaf), ...(ca === undefined ? {} : { ca }) }
}

function parsed<Value>(parse: () => Value, message: string): Value {
  try {
    return parse()
  } catch (error) {
    // The cause's message may quote input, and the input may be a key: only its code is told.
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
    throw new TidelineError('bad-response', message + code)
  }
}

/**
 * Serving certificate from files that follows their changes within 5 s. A broken new pair is logged once and the
 * last good one stays. Opening rejects as `readTlsMaterial` does.
 */
export async function openServingCertificate(
  paths: TlsPaths,
  deps: TlsDeps,
): Promise<ServingCertificate> {
  return new ServingCertificate(paths, deps, await readTlsMaterial(paths))
}

export class ServingCertificate implements Component {
  readonly #paths: TlsPaths
  readonly #deps: TlsDeps
  readonly #servers: { server: SecureServer; options: SecureContextOptions }[] = []
  readonly #followers: ((material: TlsMaterial) => void)[] = []
  #material: TlsMaterial
  #lastFault = ''
  #warnAgainMs = Number.NEGATIVE_INFINITY

  constructor(paths: TlsPaths, deps: TlsDeps, material: TlsMaterial) {
    this.#paths = paths
    this.#deps = deps
    this.#material = material
    this.#warn()
  }

  get material(): TlsMaterial {
    return this.#material
  }

  /** When the certificate in use expires; for a metric. */
  get notAfterMs(): number {
    return this.#material.notAfterMs
  }

  /** Gives `server` each new pair from now on; `options` are what its context needs besides. */
  attach(server: SecureServer, options: SecureContextOptions): void {
    this.#servers.push({ server, options })
  }

  /** Calls `take` with each new pair (and CA) from now on, for a server that is no `SecureServer`. */
  follow(take: (material: TlsMaterial) => void): void {
    this.#followers.push(take)
  }

  async run(signal: AbortSignal): Promise<void> {
    await poll(this.#deps.clock, signal, () => this.#visit())
  }

  async #visit(): Promise<void> {
    try {
      const next = await readTlsMaterial(this.#paths)
      this.#lastFault = ''
      const now = this.#material
      if (next.cert !== now.cert || next.key !== now.key || next.ca !== now.ca) this.#use(next)
      this.#warn()
    } catch (error) {
      const fault = messageOf(error)
      if (fault !== this.#lastFault) this.#deps.log.error('tls-reload-refused', { fault })
      this.#lastFault = fault
    }
  }

  #use(next: TlsMaterial): void {
    for (const { server, options } of this.#servers)
      server.setSecureContext({ ...options, cert: next.cert, key: next.key })
    for (const take of this.#followers) take(next)
    this.#material = next
    this.#warnAgainMs = Number.NEGATIVE_INFINITY
    this.#deps.log.info('tls-reloaded', {
      certFile: this.#paths.certFile,
      notAfter: new Date(next.notAfterMs).toISOString(),
    })
  }

  #warn(): void {
    const nowMs = this.#deps.clock.nowMs()
    if (nowMs < this.#warnAgainMs) return
    this.#warnAgainMs = nowMs + WARN_EVERY_MS
    for (const warning of tlsWarnings(this.#material, this.#deps.expectedNames, nowMs))
      this.#deps.log.warn('tls-certificate', { certFile: this.#paths.certFile, warning })
  }
}

/** What is wrong with a certificate that can still be served, as sentences for people. */
export function tlsWarnings(
  material: TlsMaterial,
  expectedNames: readonly string[],
  nowMs: number,
): readonly string[] {
  const leaf = new X509Certificate(material.cert)
  const until = new Date(material.notAfterMs).toISOString()
  const from = leaf.validFromDate
  const warnings: string[] = []
  if (material.notAfterMs < nowMs) warnings.push(`the certificate expired at ${until}`)
  else if (material.notAfterMs < nowMs + SOON_MS)
    warnings.push(`the certificate expires soon, at ${until}`)
  if (from.getTime() > nowMs)
    warnings.push(`the certificate is not valid before ${from.toISOString()}`)
  for (const name of expectedNames)
    // Kubernetes' clients do not look at the common name.
    if (leaf.checkHost(name, { subject: 'never' }) === undefined)
      warnings.push(`the certificate does not name ${name}; add it as a subject alternative name`)
  return warnings
}
