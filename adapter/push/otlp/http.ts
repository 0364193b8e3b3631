import { status } from '@grpc/grpc-js'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { messageOf } from '../../../src/errors.ts'
import type { Caller } from '../caller.ts'
import { callerOf } from '../caller.ts'
import { partsOfBytes } from '../paces.ts'
import { MOMENT_MS, Refusal, refusalOf } from '../refusal.ts'
import type { ExportDeps } from './export.ts'
import { takeExport } from './export.ts'
import type { Encoding } from './messages.ts'
import { loadEncodings } from './messages.ts'

const PATH = '/v1/metrics'
const BODY_BYTES_MAX = 1024 * 1024
/** Of a body that was compressed. */
const UNPACKED_BYTES_MAX = 4 * 1024 * 1024
/** Exports that are read at once; of one pod fewer, so that none keeps the others out by sending slowly. */
const AT_ONCE_MAX = 64
const AT_ONCE_OF_POD_MAX = 8
const unzipped = promisify(gunzip)

/** A fault of HTTP itself, which has no gRPC status of its own. */
class HttpFault extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/**
 * OTLP over HTTP (the specification's section OTLP/HTTP): `POST /v1/metrics` in protobuf or JSON, plain or gzip.
 * Faults are answered by a `google.rpc.Status` in the request's encoding; those worth a repetition by 429 or 503
 * with `Retry-After`.
 */
export async function otlpOverHttp(deps: ExportDeps): Promise<RequestListener> {
  const encodings = await loadEncodings()
  const reading = new Places()

  async function take(request: IncomingMessage, encoding: Encoding): Promise<Buffer> {
    const caller = await callerOf(deps.proof, {
      commonName: commonNameOf(request),
      authorization: request.headers.authorization ?? '',
    })
    const pace = deps.paces.ofCaller(caller, () => deps.clock.monotonicMs())
    pace.pass()
    const leave = reading.enter(caller)
    try {
      const body = await unpacked(request, await bodyOf(request))
      // Others of the pod may have come in meanwhile.
      pace.check()
      pace.spend(partsOfBytes(body.length))
      return encoding.write(takeExport(read(encoding, body, pace.spend), caller, deps))
    } finally {
      leave()
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let encoding: Encoding | undefined
    try {
      encoding = encodingOf(request, encodings)
      const body = await take(request, encoding)
      response.writeHead(200, { 'content-type': encoding.contentType }).end(body)
    } catch (thrown) {
      refuse(request, response, faultOf(thrown, deps), encoding)
    }
  }
  return (request, response) => void answer(request, response)
}

class Places {
  #taken = 0
  readonly #byPod = new Map<string, number>()

  /** Throws `Refusal` where there is no place; gives what leaves it. */
  enter({ name, pod }: Caller): () => void {
    // A caller that may report for several pods may come for all of them at once.
    const key = pod === undefined ? undefined : `${name} ${pod}`
    const ofPod = key === undefined ? 0 : (this.#byPod.get(key) ?? 0)
    if (this.#taken >= AT_ONCE_MAX || ofPod >= AT_ONCE_OF_POD_MAX)
      throw new Refusal(status.UNAVAILABLE, 'too many exports at once', MOMENT_MS)
    this.#taken += 1
    if (key !== undefined) this.#byPod.set(key, ofPod + 1)
    return () => {
      this.#taken -= 1
      if (key === undefined) return
      const left = (this.#byPod.get(key) ?? 1) - 1
      if (left > 0) this.#byPod.set(key, left)
      else this.#byPod.delete(key)
    }
  }
}

function encodingOf(request: IncomingMessage, encodings: readonly Encoding[]): Encoding {
  const [path = ''] = (request.url ?? '').split('?')
  if (path !== PATH) throw new HttpFault(404, `metrics are taken at ${PATH}`)
  if (request.method !== 'POST') throw new HttpFault(405, `${PATH} takes POST`)
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase()
  const found = encodings.find(({ contentType }) => contentType === type)
  if (found !== undefined) return found
  const known = encodings.map(({ contentType }) => contentType).join(' or ')
  throw new HttpFault(415, `content-type is ${JSON.stringify(type)}: ${known}`)
}

function commonNameOf({ socket }: IncomingMessage): string {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return ''
  return String(socket.getPeerCertificate().subject?.CN ?? '')
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  try {
    for await (const part of request as AsyncIterable<Buffer>) {
      length += part.length
      if (length > BODY_BYTES_MAX) break
      parts.push(part)
    }
  } catch (thrown) {
    throw new Refusal(status.CANCELLED, `the body ended too early: ${messageOf(thrown)}`)
  }
  if (length <= BODY_BYTES_MAX) return Buffer.concat(parts)
  throw new HttpFault(413, `the body has more than ${BODY_BYTES_MAX} bytes: smaller batches`)
}

async function unpacked(request: IncomingMessage, body: Buffer): Promise<Buffer> {
  const coding = (request.headers['content-encoding'] ?? 'identity').toLowerCase()
  if (coding === 'identity') return body
  if (coding !== 'gzip') throw new HttpFault(415, `content-encoding is ${coding}: gzip or none`)
  try {
    return await unzipped(body, { maxOutputLength: UNPACKED_BYTES_MAX })
  } catch (thrown) {
    throw new HttpFault(400, `the body cannot be unpacked: ${messageOf(thrown)}`)
  }
}

function read(
  encoding: Encoding,
  body: Buffer,
  spend: (parts: number) => void,
): ReturnType<Encoding['read']> {
  try {
    return encoding.read(body, spend)
  } catch (thrown) {
    throw new HttpFault(
      400,
      `the body cannot be read as ${encoding.contentType}: ${messageOf(thrown)}`,
    )
  }
}

interface Fault {
  readonly http: number
  readonly code: status
  readonly message: string
  readonly retryMs: number | undefined
}

/** Of those that say when to try again 429 and 503 remain; all others are for good. */
const HTTP = new Map<status, number>([
  [status.INVALID_ARGUMENT, 400],
  [status.UNAUTHENTICATED, 401],
  [status.PERMISSION_DENIED, 403],
  [status.UNAVAILABLE, 503],
  [status.INTERNAL, 500],
])

function faultOf(thrown: unknown, deps: ExportDeps): Fault {
  if (thrown instanceof HttpFault) {
    deps.observe('invalid_argument')
    const { code: http, message } = thrown
    return { http, code: status.INVALID_ARGUMENT, message, retryMs: undefined }
  }
  const { code, message, retryMs } = refusalOf(thrown, deps)
  const tooQuick = code === status.RESOURCE_EXHAUSTED && retryMs !== undefined
  return { http: tooQuick ? 429 : (HTTP.get(code) ?? 400), code, message, retryMs }
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { http, code, message, retryMs }: Fault,
  encoding: Encoding | undefined,
): void {
  // What is left of the body is not read: the connection ends with the answer.
  if (!request.complete) response.setHeader('Connection', 'close')
  if (http === 405) response.setHeader('Allow', 'POST')
  if (retryMs !== undefined) response.setHeader('Retry-After', Math.ceil(retryMs / 1000))
  const type = encoding?.contentType ?? 'text/plain; charset=utf-8'
  response.writeHead(http, { 'content-type': type })
  response.end(encoding === undefined ? `${message}\n` : encoding.writeStatus({ code, message }))
}
