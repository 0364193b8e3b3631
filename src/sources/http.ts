import { Agent as PlainAgent, request as requestPlain } from 'node:http'
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import { Agent as TlsAgent, request as requestTls } from 'node:https'
import { pipeline } from 'node:stream'
import type { Readable } from 'node:stream'
import { createGunzip, createInflate } from 'node:zlib'
import { z } from 'zod'
import { messageOf, TidelineError } from '../errors.ts'
import type { SecretReader, SecretReference } from '../ports.ts'
import { systemCode } from './failure.ts'
import { abortable } from './poll.ts'
import { secretReferenceSchema } from './reference.ts'
import type { TlsConfig } from './tls.ts'
import { tlsOptions } from './tls.ts'

export const authSchema = z.union(
  [
    z.strictObject({ bearerToken: secretReferenceSchema }),
    z.strictObject({
      basic: z.strictObject({ username: z.string().min(1), password: secretReferenceSchema }),
    }),
  ],
  {
    error:
      'must be {bearerToken: REFERENCE} or {basic: {username: NAME, password: REFERENCE}}, where a ' +
      'reference is {file: /path}, {env: NAME} or {secret: {name: NAME, key: KEY}}',
  },
)
type AuthConfig = z.infer<typeof authSchema>

/** An `http:` or `https:` URL without credentials in it. */
export const httpUrlSchema = z.string().superRefine((text, context) => {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    context.addIssue({ code: 'custom', message: 'must be an http:// or https:// URL' })
  else if (url.username !== '' || url.password !== '')
    context.addIssue({
      code: 'custom',
      message: 'must not hold credentials: use auth with a reference',
    })
})

export interface HttpOptions {
  readonly secrets: SecretReader
  readonly tls?: TlsConfig
  readonly auth?: AuthConfig
  /** Limit on the body after decompression. */
  readonly bodyBytesMax: number
}

export interface HttpRequest {
  readonly method?: 'GET' | 'POST'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  /** Decompressed. Of an error, the beginning. */
  readonly body: Buffer
  /** The protocol itself shows that the body is whole: a length, chunks or a checksum. */
  readonly framed: boolean
}

/**
 * Requests with kept connections, decompression and a limit on the body. Follows no redirect. Credentials are
 * read for each request, so that a rotated one is used at once. Messages name neither query nor credentials.
 */
export class HttpClient {
  readonly #options: HttpOptions
  #plain: PlainAgent | undefined
  #tls: { readonly agent: TlsAgent; readonly key: string } | undefined

  constructor(options: HttpOptions) {
    this.#options = options
  }

  /** Rejects with `TidelineError`, or a system error that `failureOf` knows. Any status is an answer. */
  async send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const url = new URL(request.url)
    const headers = {
      ...request.headers,
      'accept-encoding': 'gzip',
      ...(await this.#credentials(signal)),
    }
    const agent = await this.#agentFor(url, signal)
    const options: RequestOptions = { method: request.method ?? 'GET', headers, agent, signal }
    try {
      return await this.#once(url, options, request.body)
    } catch (thrown) {
      // A kept connection may be closed by the other side just as it is used: that says nothing of its state.
      if (!(thrown instanceof StaleConnection) || signal.aborted) throw thrown
      return await this.#once(url, options, request.body)
    }
  }

  /** Closes kept connections. Requests may follow, on new ones. */
  close(): void {
    this.#plain?.destroy()
    this.#tls?.agent.destroy()
    this.#plain = undefined
    this.#tls = undefined
  }

  async #once(url: URL, options: RequestOptions, body: string | undefined): Promise<HttpAnswer> {
    const response = await respond(url, options, body)
    const { headers } = response
    return {
      status: response.statusCode ?? 0,
      contentType: headers['content-type'] ?? '',
      framed:
        headers['content-length'] !== undefined ||
        headers['transfer-encoding'] !== undefined ||
        headers['content-encoding'] !== undefined,
      body: await bodyOf(response, this.#options.bodyBytesMax),
    }
  }

  async #credentials(signal: AbortSignal): Promise<Record<string, string>> {
    const { auth, secrets } = this.#options
    if (auth === undefined) return {}
    if ('bearerToken' in auth)
      return {
        authorization: `Bearer ${headerText(await abortable(secrets.read(auth.bearerToken), signal))}`,
      }
    const password = await abortable(secrets.read(auth.basic.password), signal)
    const pair = Buffer.from(`${auth.basic.username}:${password}`).toString('base64')
    return { authorization: `Basic ${pair}` }
  }

  async #agentFor(url: URL, signal: AbortSignal): Promise<PlainAgent | TlsAgent> {
    if (url.protocol === 'http:') return (this.#plain ??= new PlainAgent({ keepAlive: true }))
    const { tls, secrets } = this.#options
    const read = (reference: SecretReference) => abortable(secrets.read(reference), signal)
    const options = tls === undefined ? {} : await tlsOptions(tls, read)
    const key = JSON.stringify(options)
    if (this.#tls?.key !== key) {
      // Open requests keep their connection; a kept one must not outlive the credentials it was made with.
      const { sockets, freeSockets } = this.#tls?.agent ?? { sockets: {}, freeSockets: {} }
      for (const socket of Object.values(freeSockets).flat()) socket?.destroy()
      for (const socket of Object.values(sockets).flat())
        socket?.once('free', () => socket.destroy())
      this.#tls = { key, agent: new TlsAgent({ keepAlive: true, ...options }) }
    }
    return this.#tls.agent
  }
}

/** The answer's body if its status is 2xx; else rejects with the code that the status means. */
export function okBody(answer: HttpAnswer, what: string): Buffer {
  const { status } = answer
  if (status >= 200 && status < 300) return answer.body
  if (status === 401 || status === 403)
    throw new TidelineError('unauthorized', `${what} answered ${status}: check auth and tls`)
  if (status === 404) throw new TidelineError('not-found', `${what} answered 404: check the path`)
  if (status === 429 || status === 503)
    throw new TidelineError('unavailable', `${what} answered ${status}`)
  if (status >= 300 && status < 400)
    throw new TidelineError(
      'bad-response',
      `${what} answered ${status}: redirects are not followed, write the final URL`,
    )
  throw new TidelineError('bad-response', `${what} answered ${status}`)
}

class StaleConnection extends TidelineError {}

function respond(
  url: URL,
  options: RequestOptions,
  body: string | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestTls : requestPlain
    const request: ClientRequest = send(url, options, resolve)
    request.on('error', (error) => {
      const code = systemCode(error)
      reject(
        request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')
          ? new StaleConnection('refused', messageOf(error), error)
          : error,
      )
    })
    request.end(body)
  })
}

const ERROR_BODY_BYTES_MAX = 64 * 1024

async function bodyOf(response: IncomingMessage, limit: number): Promise<Buffer> {
  const bytesMax = (response.statusCode ?? 0) >= 300 ? Math.min(limit, ERROR_BODY_BYTES_MAX) : limit
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of decoded(response) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > bytesMax)
        throw new TidelineError(
          'too-large',
          `the body is larger than ${bytesMax} bytes (limit bodyBytes)`,
        )
      chunks.push(chunk)
    }
  } catch (thrown) {
    response.destroy()
    if (systemCode(thrown) === 'ABORT_ERR') throw thrown
    // An error is told by its status; what can be read of its body is for people.
    if ((response.statusCode ?? 0) >= 300) return Buffer.concat(chunks)
    if (thrown instanceof TidelineError) throw thrown
    throw new TidelineError(
      'bad-response',
      `the body broke off after ${bytes} bytes: ${messageOf(thrown)}`,
      thrown,
    )
  }
  return Buffer.concat(chunks, bytes)
}

function decoded(response: IncomingMessage): Readable {
  const encoding = (response.headers['content-encoding'] ?? 'identity').toLowerCase()
  const none = () => undefined // the reader of the stream sees the error
  if (encoding === 'identity' || encoding === '') return response
  if (encoding === 'gzip' || encoding === 'x-gzip') return pipeline(response, createGunzip(), none)
  if (encoding === 'deflate') return pipeline(response, createInflate(), none)
  throw new TidelineError(
    'bad-response',
    `the body is encoded as ${JSON.stringify(encoding)}, which is not known`,
  )
}

function headerText(credential: string): string {
  if (/^[\x21-\x7e]+$/.test(credential)) return credential
  throw new TidelineError('not-configured', 'the bearer token has characters that no token has')
}
