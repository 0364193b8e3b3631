import type { OutgoingHttpHeader, ServerResponse } from 'node:http'
import { statusJson } from './encodeJson.ts'
import { statusProtobuf } from './encodeProtobuf.ts'
import { JSON_TYPE, PROTOBUF_TYPE } from './negotiate.ts'
import type { Encoding } from './negotiate.ts'
import type { Failure } from './status.ts'

/** Values live for a tick: nobody between us and the reader may keep them. */
const CACHE_CONTROL = 'no-cache, private'

export function sendText(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string,
): void {
  write(response, status, headers(contentType, Buffer.byteLength(body)), body)
}

export function sendBytes(response: ServerResponse, contentType: string, body: Buffer): void {
  write(response, 200, headers(contentType, body.length), body)
}

export function sendNotModified(response: ServerResponse): void {
  write(response, 304, { 'Cache-Control': CACHE_CONTROL }, '')
}

export function sendFailure(response: ServerResponse, failure: Failure, encoding: Encoding): void {
  const protobuf = encoding === 'protobuf'
  const body = protobuf ? statusProtobuf(failure) : Buffer.from(statusJson(failure))
  const head = headers(protobuf ? PROTOBUF_TYPE : JSON_TYPE, body.length)
  if (failure.code === 405) head['Allow'] = 'GET'
  write(response, failure.code, head, body)
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
  body: string | Buffer,
): void {
  response.writeHead(status, head)
  response.end(body)
}
