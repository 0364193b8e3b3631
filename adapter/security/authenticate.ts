/**
 * Who asks: authentication as an aggregated API server does it (Kubernetes documentation, "Configure the
 * aggregation layer"). In order: front proxy's headers, client certificate, bearer token, anonymous. The first
 * that accepts decides; credentials that nobody accepts are invalid, not anonymous.
 */
import type { IncomingMessage } from 'node:http'
import type { X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../../src/ports.ts'
import { messageOf, TidelineError } from '../../src/errors.ts'
import type { Authenticator, Identity, User } from '../metrics-api/ports.ts'
import { certificateFields } from './certificateFields.ts'
import { peerChain, trustAnchors, verifyClientChain } from './chain.ts'
import type { ChainVerdict, PeerChain, TrustAnchors } from './chain.ts'
import { requestHeaderReader } from './requestHeader.ts'
import type { RequestHeaderNames } from './requestHeader.ts'

/** What to trust; a new object for each change. CAs are PEM bundles. */
export interface AuthenticationConfig {
  readonly clientCa?: string
  readonly requestHeader?: RequestHeaderNames & {
    readonly ca: string
    /** Common names of front proxies; empty: any that the CA signed. */
    readonly allowedNames: readonly string[]
  }
}

export type TokenVerdict =
  | { readonly authenticated: true; readonly user: User }
  | { readonly authenticated: false; readonly message: string }

/** Tells whose a bearer token is. Rejects where it cannot tell now; never takes that for a verdict. */
export interface TokenReviewer {
  review(token: string): TokenVerdict | Promise<TokenVerdict>
}

export interface AuthenticationDeps {
  /** Undefined while it is not known yet: then nobody can be told from anybody, and requests are refused. */
  readonly config: () => AuthenticationConfig | undefined
  /** Undefined: every bearer token is invalid. */
  readonly tokens?: TokenReviewer
  readonly clock: Clock
}

const GROUP_AUTHENTICATED = 'system:authenticated'
const GROUP_UNAUTHENTICATED = 'system:unauthenticated'
const COMMON_NAME = '2.5.4.3'
const ORGANIZATION = '2.5.4.10'
/** How long it is remembered that a peer is not trusted; a certificate may become valid. */
const DISTRUST_MS = 10_000
const CHAINS_MAX = 256

export function delegatedAuthenticator(deps: AuthenticationDeps): Authenticator {
  const peers = new PeerMemory(deps.clock)
  return {
    authenticate(request) {
      const config = deps.config()
      if (config === undefined)
        throw new TidelineError(
          'unavailable',
          'the cluster’s authentication settings are not known yet',
        )
      const peer = peers.of(request, config)
      if (peer.headers !== undefined) {
        const named = headerIdentity(peer.headers, request)
        if (named !== undefined) return named
      }
      if (peer.user !== undefined) return peer.user
      const token = bearerToken(request.headers.authorization)
      if (token === undefined) return peer.fault ?? { kind: 'anonymous' }
      if (deps.tokens === undefined)
        return { kind: 'invalid', message: 'bearer tokens are not accepted' }
      const verdict = deps.tokens.review(token)
      return verdict instanceof Promise ? verdict.then(tokenIdentity) : tokenIdentity(verdict)
    },
  }
}

/** Every authenticated user is in `system:authenticated`; one whom a proxy names as anonymous is not. */
function withAuthenticatedGroup(user: User): User {
  return user.groups.includes(GROUP_AUTHENTICATED) || user.groups.includes(GROUP_UNAUTHENTICATED)
    ? user
    : { ...user, groups: [...user.groups, GROUP_AUTHENTICATED] }
}

type HeaderReader = (rawHeaders: readonly string[]) => User | undefined

function headerIdentity(read: HeaderReader, request: IncomingMessage): Identity | undefined {
  try {
    const user = read(request.rawHeaders)
    return user === undefined ? undefined : { kind: 'user', user }
  } catch (error) {
    return { kind: 'invalid', message: messageOf(error) }
  }
}

const tokenIdentities = new WeakMap<TokenVerdict, Identity>()

/** A cached verdict gives the same identity and user objects each time. */
function tokenIdentity(verdict: TokenVerdict): Identity {
  const known = tokenIdentities.get(verdict)
  if (known !== undefined) return known
  const identity: Identity = verdict.authenticated
    ? { kind: 'user', user: withAuthenticatedGroup(verdict.user) }
    : { kind: 'invalid', message: verdict.message }
  tokenIdentities.set(verdict, identity)
  return identity
}

function bearerToken(header: string | undefined): string | undefined {
  const [scheme = '', token = ''] = (header ?? '').trim().split(' ')
  return scheme.toLowerCase() === 'bearer' && token !== '' ? token : undefined
}

/** What a connection's certificate is good for. */
interface Peer {
  readonly untilMs: number
  /** Reads the user's headers; present only where the peer is an allowed front proxy. */
  readonly headers?: HeaderReader
  /** The user that the certificate itself names under the client CA. */
  readonly user?: Identity
  /** A certificate was presented and neither CA vouches for it. */
  readonly fault?: Identity
}

interface Trust {
  readonly config: AuthenticationConfig
  readonly clientCa: TrustAnchors
  readonly proxy?: {
    readonly ca: TrustAnchors
    readonly allowedNames: readonly string[]
    readonly headers: HeaderReader
  }
}

const NO_CERTIFICATE: Peer = { untilMs: Number.POSITIVE_INFINITY }

/** Verifies each connection once for each config, and again when a certificate of its path has expired. */
class PeerMemory {
  readonly #clock: Clock
  #trust: Trust | undefined
  #peers = new WeakMap<TLSSocket, Peer>()
  /**
   * Intermediates by the leaf that came with them: a resumed TLS session brings the leaf alone. Whose they are
   * does not matter, as they are believed only as far as a CA vouches for them.
   */
  readonly #chains = new Map<string, PeerChain>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of(request: IncomingMessage, config: AuthenticationConfig): Peer {
    const { socket } = request
    if (!(socket instanceof TLSSocket)) return NO_CERTIFICATE
    if (this.#trust?.config !== config) {
      this.#trust = compile(config)
      this.#peers = new WeakMap()
    }
    const nowMs = this.#clock.nowMs()
    const known = this.#peers.get(socket)
    if (known !== undefined && nowMs <= known.untilMs) return known
    const peer = judge(this.#chainOf(socket), this.#trust, nowMs)
    this.#peers.set(socket, peer)
    return peer
  }

  #chainOf(socket: TLSSocket): PeerChain {
    const chain = peerChain(socket)
    const leaf = chain[0]
    if (leaf === undefined) return chain
    const key = leaf.fingerprint256
    if (chain.length === 1) return this.#chains.get(key) ?? chain
    if (this.#chains.size >= CHAINS_MAX) this.#chains.clear()
    this.#chains.set(key, chain)
    return chain
  }
}

function compile(config: AuthenticationConfig): Trust {
  const { clientCa, requestHeader } = config
  return {
    config,
    clientCa: clientCa === undefined ? [] : trustAnchors(clientCa),
    ...(requestHeader === undefined
      ? {}
      : {
          proxy: {
            ca: trustAnchors(requestHeader.ca),
            allowedNames: requestHeader.allowedNames,
            headers: groupAdding(requestHeaderReader(requestHeader)),
          },
        }),
  }
}

function groupAdding(read: HeaderReader): HeaderReader {
  const completed = new WeakMap<User, User>()
  return (rawHeaders) => {
    const user = read(rawHeaders)
    if (user === undefined) return undefined
    const known = completed.get(user)
    if (known !== undefined) return known
    const complete = withAuthenticatedGroup(user)
    completed.set(user, complete)
    return complete
  }
}

function judge(chain: PeerChain, trust: Trust, nowMs: number): Peer {
  const leaf = chain[0]
  if (leaf === undefined) return NO_CERTIFICATE
  const asProxy: ChainVerdict =
    trust.proxy === undefined
      ? { trusted: false, reason: 'no front proxy is configured' }
      : verifyClientChain(chain, trust.proxy.ca, nowMs)
  const asClient = verifyClientChain(chain, trust.clientCa, nowMs)
  const subject = subjectOf(leaf)
  const allowed =
    asProxy.trusted &&
    trust.proxy !== undefined &&
    (trust.proxy.allowedNames.length === 0 || trust.proxy.allowedNames.includes(subject.name))
  const named = asClient.trusted && subject.name !== ''
  const fault: Identity = {
    kind: 'invalid',
    message: allowed
      ? 'the front proxy names no user'
      : asProxy.trusted
        ? 'the client certificate’s common name is not among the allowed front proxies'
        : asClient.trusted
          ? 'the client certificate names no user'
          : `client certificate: ${asClient.reason}`,
  }
  return {
    untilMs: Math.min(
      asProxy.trusted ? asProxy.notAfterMs : nowMs + DISTRUST_MS,
      asClient.trusted ? asClient.notAfterMs : allowed ? Infinity : nowMs + DISTRUST_MS,
    ),
    ...(allowed && trust.proxy !== undefined ? { headers: trust.proxy.headers } : {}),
    ...(named ? { user: { kind: 'user', user: withAuthenticatedGroup(subject) } } : { fault }),
  }
}

/** Kubernetes reads CN as the user and each O as a group; of several CN the last counts. */
function subjectOf(leaf: X509Certificate): User {
  try {
    const { attributes } = certificateFields(leaf.raw)
    return {
      name: attributes.get(COMMON_NAME)?.at(-1) ?? '',
      groups: attributes.get(ORGANIZATION) ?? [],
      extra: {},
    }
  } catch {
    return { name: '', groups: [], extra: {} }
  }
}
