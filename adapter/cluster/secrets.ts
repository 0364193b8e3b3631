import { readFile } from 'node:fs/promises'
import type { Clock, SecretReader, SecretReference } from '../../src/ports.ts'
import { messageOf, TidelineError } from '../../src/errors.ts'
import type { KubeClient } from './kubeClient.ts'
import { isRecord } from './reviews.ts'

export interface SecretDeps {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Undefined without a cluster: references to Secrets are then refused. */
  readonly client?: KubeClient
}

const KEPT_MS = 30_000
const SECRETS_MAX = 256

/**
 * Resolves references to credentials. Files and the environment are read each time; a Secret is asked of the API
 * server at most every 30 s. Every failure is a `TidelineError` `not-configured` that names the reference and
 * holds no value.
 */
export function secretReader(deps: SecretDeps): SecretReader {
  const kept = new Map<string, { readonly untilMs: number; readonly value: Promise<string> }>()
  return {
    async read(reference) {
      const name = nameOf(reference)
      try {
        if ('file' in reference) return trimmed(await readFile(reference.file, 'utf8'))
        if ('env' in reference) return trimmed(fromEnvironment(deps, reference.env))
        const nowMs = deps.clock.monotonicMs()
        const known = kept.get(name)
        if (known !== undefined && nowMs < known.untilMs) return await known.value
        if (kept.size >= SECRETS_MAX) kept.clear()
        const value = fromCluster(deps.client, reference.secret).then(trimmed)
        kept.set(name, { untilMs: nowMs + KEPT_MS, value })
        try {
          return await value
        } catch (error) {
          kept.delete(name)
          throw error
        }
      } catch (error) {
        throw new TidelineError('not-configured', `${name}: ${messageOf(error)}`, error)
      }
    },
  }
}

function nameOf(reference: SecretReference): string {
  if ('file' in reference) return `file ${reference.file}`
  if ('env' in reference) return `environment variable ${reference.env}`
  const { namespace, name, key } = reference.secret
  return `secret ${namespace === undefined ? '' : `${namespace}/`}${name}, key ${key}`
}

function trimmed(value: string): string {
  return value.replace(/[\r\n]+$/, '')
}

function fromEnvironment(deps: SecretDeps, name: string): string {
  const value = deps.environment[name]
  if (value === undefined) throw new Error('is not set')
  return value
}

async function fromCluster(
  client: KubeClient | undefined,
  secret: { readonly namespace?: string; readonly name: string; readonly key: string },
): Promise<string> {
  if (client === undefined)
    throw new Error('there is no cluster to ask; use a file or the environment')
  const namespace = secret.namespace ?? client.namespace
  if (namespace === undefined) throw new Error('the namespace is missing')
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(secret.name)}`
  const answer = await client.request('GET', path, undefined, new AbortController().signal)
  const data = isRecord(answer) && isRecord(answer['data']) ? answer['data'] : {}
  const encoded = Object.hasOwn(data, secret.key) ? data[secret.key] : undefined
  if (typeof encoded !== 'string') throw new Error('the secret has no such key')
  return Buffer.from(encoded, 'base64').toString('utf8')
}
