import { X509Certificate } from 'node:crypto'
import type { Component } from '../../src/ports.ts'
import { messageOf, TidelineError } from '../../src/errors.ts'
import { watchCollection } from './watch.ts'
import type { KubeObject, WatchDeps } from './watch.ts'
import { isRecord } from './reviews.ts'

/** How the cluster wants requests to an aggregated server authenticated. CAs are PEM bundles. */
export interface ClusterAuthentication {
  readonly clientCa?: string
  readonly requestHeader?: {
    readonly ca: string
    readonly allowedNames: readonly string[]
    readonly usernameHeaders: readonly string[]
    readonly groupHeaders: readonly string[]
    readonly extraPrefixes: readonly string[]
    readonly uidHeaders: readonly string[]
  }
}

const PATH = '/api/v1/namespaces/kube-system/configmaps'
const NAME = 'extension-apiserver-authentication'

/**
 * Follows ConfigMap `kube-system/extension-apiserver-authentication` (readable through the role
 * `extension-apiserver-authentication-reader`). A broken or removed one keeps the last good one.
 */
export class AuthenticationSettings implements Component {
  readonly #deps: WatchDeps
  #current: ClusterAuthentication | undefined
  #data = ''
  #trouble: string | undefined = 'not asked yet'

  constructor(deps: WatchDeps) {
    this.#deps = deps
  }

  /** Undefined until it was read once; another object only when the content changed. */
  current(): ClusterAuthentication | undefined {
    return this.#current
  }

  /** Undefined once settings are known; else why they are not, for the readiness check. */
  notSynced(): string | undefined {
    if (this.#current !== undefined) return undefined
    return `ConfigMap kube-system/${NAME}: ${this.#trouble ?? 'it does not exist'}`
  }

  async run(signal: AbortSignal): Promise<void> {
    await watchCollection(
      { path: PATH, query: { fieldSelector: `metadata.name=${NAME}` } },
      {
        replace: (objects) => {
          const found = objects.find((object) => object.metadata.name === NAME)
          if (found === undefined) this.#removed()
          else this.#take(found)
        },
        put: (object) => this.#take(object),
        remove: () => this.#removed(),
        trouble: (message) => {
          this.#trouble = message
        },
      },
      this.#deps,
      signal,
    )
  }

  #removed(): void {
    this.#deps.log.error('authentication-settings-missing', { configMap: NAME })
  }

  #take(object: KubeObject): void {
    if (object.metadata.name !== NAME) return
    const data = isRecord(object['data']) ? object['data'] : {}
    const text = JSON.stringify(data)
    if (text === this.#data) return
    this.#data = text
    try {
      this.#current = settingsOf(data)
      this.#deps.log.info('authentication-settings', {
        clientCa: this.#current.clientCa !== undefined,
        requestHeader: this.#current.requestHeader !== undefined,
      })
    } catch (error) {
      this.#trouble = messageOf(error)
      this.#deps.log.error('authentication-settings-refused', { fault: messageOf(error) })
    }
  }
}

/** Throws `TidelineError` `bad-response` naming the key that is broken. */
export function settingsOf(data: Readonly<Record<string, unknown>>): ClusterAuthentication {
  const clientCa = bundle(data, 'client-ca-file')
  const ca = bundle(data, 'requestheader-client-ca-file')
  const requestHeader =
    ca === undefined
      ? undefined
      : {
          ca,
          allowedNames: names(data, 'requestheader-allowed-names'),
          usernameHeaders: names(data, 'requestheader-username-headers'),
          groupHeaders: names(data, 'requestheader-group-headers'),
          extraPrefixes: names(data, 'requestheader-extra-headers-prefix'),
          uidHeaders: names(data, 'requestheader-uid-headers'),
        }
  // Else each client certificate could name any user in headers; the API server refuses this of itself too.
  if (requestHeader?.allowedNames.length === 0 && overlap(clientCa, requestHeader.ca))
    throw new TidelineError(
      'bad-response',
      'requestheader-allowed-names is empty while front proxies and clients share a CA',
    )
  return {
    ...(clientCa === undefined ? {} : { clientCa }),
    ...(requestHeader === undefined ? {} : { requestHeader }),
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

function overlap(one: string | undefined, other: string): boolean {
  const fingerprints = (pem: string) =>
    (pem.match(CERTIFICATE) ?? []).map((block) => new X509Certificate(block).fingerprint256)
  const known = new Set(fingerprints(one ?? ''))
  return fingerprints(other).some((fingerprint) => known.has(fingerprint))
}

function bundle(data: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const pem = data[key]
  if (pem === undefined || pem === '') return undefined
  if (typeof pem !== 'string') throw new TidelineError('bad-response', `${key} is not text`)
  const blocks = pem.match(CERTIFICATE) ?? []
  try {
    for (const block of blocks) void new X509Certificate(block).fingerprint256
  } catch (error) {
    throw new TidelineError('bad-response', `${key} holds a broken certificate`, error)
  }
  if (blocks.length === 0) throw new TidelineError('bad-response', `${key} holds no certificate`)
  return pem
}

function names(data: Readonly<Record<string, unknown>>, key: string): readonly string[] {
  const text = data[key]
  if (text === undefined || text === '') return []
  let list: unknown
  try {
    list = typeof text === 'string' ? JSON.parse(text) : text
  } catch {
    list = text
  }
  if (Array.isArray(list) && list.every((entry) => typeof entry === 'string')) return list
  throw new TidelineError('bad-response', `${key} is not a JSON list of strings`)
}
