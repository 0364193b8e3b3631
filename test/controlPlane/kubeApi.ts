import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import type { CertificateFiles } from './authority.ts'

/** An object as it is sent and answered. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown } // prettier-ignore
  readonly [key: string]: unknown
}

/** An answer of 400 or above. */
export class ApiFailure extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'ApiFailure'
    this.status = status
  }
}

export interface ApiOptions {
  readonly port: number
  readonly ca: string
  readonly client: CertificateFiles
}

export interface KubeApi {
  /** JSON of the answer; rejects with `ApiFailure`. `T` is what the caller takes it for. */
  api<T>(method: string, path: string, body?: unknown, contentType?: string): Promise<T>
  /**
   * Server-side apply of each object in turn, with unknown fields refused. `dryRun` lets the API server judge
   * them and stores nothing.
   */
  apply(objects: readonly KubeObject[], dryRun?: boolean): Promise<void>
  /** Calls `event` with each line of a watch; resolves when the server ends it or `signal` aborts. */
  watch(path: string, event: (line: unknown) => void, signal: AbortSignal): Promise<void>
  pathOf(object: KubeObject): Promise<string>
  close(): void
}

interface ResourceList {
  readonly resources: readonly {
    readonly name: string
    readonly kind: string
    readonly namespaced: boolean
  }[]
}

export function createKubeApi({ port, ca, client }: ApiOptions): KubeApi {
  const tls = {
    ca: readFileSync(ca),
    cert: readFileSync(client.cert),
    key: readFileSync(client.key),
  }
  const agent = new Agent({ keepAlive: true, ...tls })
  const known = new Map<string, Promise<ResourceList>>()

  function api<T>(
    method: string,
    path: string,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': contentType }
      const asked = request(
        { host: '127.0.0.1', port, agent, method, path, headers },
        (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (part: string) => (text += part))
          response.on('error', reject)
          response.on('end', () => {
            const status = response.statusCode ?? 0
            if (status >= 400)
              return reject(new ApiFailure(status, `${method} ${path}: ${status} ${text}`))
            const isJson = response.headers['content-type']?.startsWith('application/json') === true
            resolve((isJson ? JSON.parse(text) : text) as T)
          })
        },
      )
      asked.on('error', reject)
      asked.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  async function pathOf({ apiVersion, kind, metadata }: KubeObject): Promise<string> {
    const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    const listed = known.get(base) ?? api<ResourceList>('GET', base)
    known.set(base, listed)
    const { resources } = await listed
    const resource = resources.find((one) => one.kind === kind && !one.name.includes('/'))
    if (resource === undefined) throw new Error(`the API server has no ${kind} of ${apiVersion}`)
    const space = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : ''
    return `${base}${space}/${resource.name}/${metadata.name}`
  }

  return {
    api,
    pathOf,
    async apply(objects, dryRun = false) {
      const how = `fieldManager=test&force=true&fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`
      for (const object of objects)
        await api('PATCH', `${await pathOf(object)}?${how}`, object, 'application/apply-patch+yaml')
    },
    watch: (path, event, signal) =>
      new Promise((resolve, reject) => {
        const asked = request(
          { host: '127.0.0.1', port, path, signal, agent: false, ...tls },
          (response) => {
            let text = ''
            response.setEncoding('utf8')
            response.on('data', (part: string) => {
              const lines = (text + part).split('\n')
              text = lines.pop() ?? ''
              for (const line of lines) event(JSON.parse(line))
            })
            response.once('close', resolve)
            response.on('error', () => undefined)
          },
        )
        asked.on('error', (error) => (signal.aborted ? resolve() : reject(error)))
        asked.end()
      }),
    close: () => agent.destroy(),
  }
}
