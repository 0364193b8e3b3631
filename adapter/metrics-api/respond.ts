import type { OutgoingHttpHeader, ServerResponse } from 'node:http'
import { statusJson } from './encodeJson.ts'
import { statusProtobuf } from './encodeProtobuf.ts'
import { JSON_TYPE, PROTOBUF_TYPE } from './negotiate.ts'
import type { Encoding } from './negotiate.ts'
import type { ByteText } from './protobufText.ts'
import type { Failure } from './status.ts'

/** Values live for a tick: nobody between us and the reader may keep them. */
const CACHE_CONTROL = 'no-cache, private'

export function sendText(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string,
): void {
  write(response, status, headers(contentType, Buffer.byteLength(body)), body, 'utf8')
}

export function sendBytes(response: ServerResponse, contentType: string, body: ByteText): void {
  write(response, 200, headers(contentType, body.length), body, 'latin1')
}

export function sendNotModified(response: ServerResponse): void {
  write(response, 304, { 'Cache-Control': CACHE_CONTROL }, '', 'utf8')
}

export function sendFailure(response: ServerResponse, failure: Failure, encoding: Encoding): void {
  const protobuf = encoding === 'protobuf'
  const body = protobuf ? statusProtobuf(failure) : statusJson(failure)
  const bytes = protobuf ? body.length : Buffer.byteLength(body)
  const head = headers(protobuf ? PROTOBUF_TYPE : JSON_TYPE, bytes)
  if (failure.code === 405) head['Allow'] = 'GET'
  write(response, failure.code, head, body, protobuf ? 'latin1' : 'utf8')
}

function headers(contentType: string, bytes: number): Record<string, OutgoingHttpHeader> {
  return {
    'Content-Type': contentType,
    'Content-Length': bytes,
    'Cache-Control': CACHE_CONTROL,
    'X-Content-Type-Options': 'nosniff',
  }
}

/** Headers set before (an ETag) are kept. */
function write(
  response: ServerResponse,
  status: number,
  head: Record<string, OutgoingHttpHeader>,
  ...[body, encoding]: [body: string, encoding: BufferEncoding]
): void {
  response.writeHead(status, head)
  response.end(body, encoding)
}
