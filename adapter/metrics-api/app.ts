import express from 'express'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '../../src/errors.ts'
import type { Clock, Logger, SignalReader } from '../../src/ports.ts'
import { answerCustom, answerExternal } from './answer.ts'
import { createDocuments, OFFERED_TYPES } from './documents.ts'
import type { Documents } from './documents.ts'
import { customJson, externalJson } from './encodeJson.ts'
import { customProtobuf, externalProtobuf } from './encodeProtobuf.ts'
import { encodingFor, JSON_TYPE, PROTOBUF_TYPE } from './negotiate.ts'
import { attributesOf, parsePath } from './paths.ts'
import type { CustomRoute, ExternalRoute, Route } from './paths.ts'
import type { Authenticator, Authorizer, Decision, Identity, PodDirectory, User } from './ports.ts'
import { NO_QUERY, parseQuery } from './query.ts'
import type { Query } from './query.ts'
import { sendBytes, sendFailure, sendNotModified, sendText } from './respond.ts'
import { parseSelector, SelectorError } from './selector.ts'
import type { ParsedSelector } from './selector.ts'
import {
  badRequest,
  forbidden,
  internalError,
  methodNotAllowed,
  notAcceptable,
  unauthorized,
  unavailable,
  unknownPath,
} from './status.ts'
import type { Failure } from './status.ts'

export interface MetricsApiDeps {
  readonly reader: SignalReader
  readonly authenticator: Authenticator
  readonly authorizer: Authorizer
  readonly pods: PodDirectory
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
  readonly log: Logger
  /** The product's version, such as `0.1.0`. */
  readonly version: string
  /** Prometheus text of the adapter's own metrics. */
  metricsText(): Promise<string>
  /** Readings and why they are so, as JSON: of all signals, or of the one that is named. */
  readingsText(signal: string): string
  /** False before the first evaluation and while stopping. */
  isReady(): boolean
  /** Called once per answered request; `route` is one of a few fixed names. */
  observe?(route: Route['kind'], status: number, seconds: number): void
}

/**
 * The aggregated API server: custom.metrics.k8s.io v1beta1 and v1beta2, external.metrics.k8s.io v1beta1,
 * discovery, OpenAPI, health and the adapter's own metrics. One handler dispatches by a parsed path; while
 * authentication and authorization answer at once, a request is served without a promise.
 */
export function createMetricsApi(deps: MetricsApiDeps): express.Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  const documents = createDocuments(deps.reader, deps.version)
  app.use((request: IncomingMessage, response: ServerResponse) => {
    const exchange = open(deps, documents, request, response)
    try {
      begin(exchange)
    } catch (thrown) {
      broken(exchange, thrown)
    }
  })
  return app
}

/** One request on its way through; made once and never changed. */
interface Exchange {
  readonly deps: MetricsApiDeps
  readonly documents: Documents
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly method: string
  readonly route: Route
  /** Undefined: cannot be decoded. */
  readonly query: Query | undefined
  readonly startedMs: number
}

function open(
  deps: MetricsApiDeps,
  documents: Documents,
  request: IncomingMessage,
  response: ServerResponse,
): Exchange {
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  return {
    deps,
    documents,
    request,
    response,
    method: request.method ?? 'GET',
    route: parsePath(mark === -1 ? url : url.slice(0, mark)),
    query: mark === -1 ? NO_QUERY : parseQuery(url.slice(mark + 1)),
    startedMs: deps.clock.monotonicMs(),
  }
}

function begin(exchange: Exchange): void {
  const { deps, request, route, method } = exchange
  if (route.kind === 'health' || route.kind === 'ready') {
    if (method !== 'GET' && method !== 'HEAD') return refuse(exchange, methodNotAllowed())
    return health(exchange, route.kind === 'health' || deps.isReady())
  }
  settle(exchange, () => deps.authenticator.authenticate(request), identified)
}

/**
 * Goes on at once where the answer is there, else when the promise settles. Not knowing is never read as
 * yes: what throws or rejects is answered 503.
 */
function settle<Value>(
  exchange: Exchange,
  ask: () => Value | Promise<Value>,
  proceed: (exchange: Exchange, value: Value) => void,
): void {
  let answer: Value | Promise<Value>
  try {
    answer = ask()
  } catch (thrown) {
    return cannotTell(exchange, thrown)
  }
  if (!(answer instanceof Promise)) return proceed(exchange, answer)
  answer
    .then(
      (value) => proceed(exchange, value),
      (thrown: unknown) => cannotTell(exchange, thrown),
    )
    .catch((thrown: unknown) => broken(exchange, thrown))
}

function cannotTell(exchange: Exchange, thrown: unknown): void {
  exchange.deps.log.warn('access-check-failed', { message: messageOf(thrown) })
  refuse(
    exchange,
    unavailable('who asks, or what they may do, cannot be checked at present; try again'),
  )
}

function broken(exchange: Exchange, thrown: unknown): void {
  exchange.deps.log.error('request-failed', {
    route: exchange.route.kind,
    message: messageOf(thrown),
  })
  if (exchange.response.headersSent) exchange.response.destroy()
  else refuse(exchange, internalError('the adapter failed to answer; its log says why'))
}

const ANONYMOUS: User = { name: 'system:anonymous', groups: ['system:unauthenticated'], extra: {} }

function identified(exchange: Exchange, identity: Identity): void {
  const { deps, route, method } = exchange
  if (identity.kind === 'invalid') {
    deps.log.debug('credentials-refused', { message: identity.message })
    return refuse(exchange, unauthorized())
  }
  if (method !== 'GET') return refuse(exchange, methodNotAllowed())
  if (route.kind === 'malformed') return refuse(exchange, badRequest(route.message))
  const user = identity.kind === 'user' ? identity.user : ANONYMOUS
  const attributes = attributesOf(route, method)
  settle(
    exchange,
    () => deps.authorizer.authorize(user, attributes),
    (_, decision: Decision) => {
      if (decision.allowed) authorized(exchange)
      else refuse(exchange, forbidden(user, attributes, decision))
    },
  )
}

function authorized(exchange: Exchange): void {
  const { route, query } = exchange
  if (query === undefined)
    return refuse(exchange, badRequest('the query is not valid percent-encoded UTF-8'))
  switch (route.kind) {
    case 'external':
      return serveExternal(exchange, route, query)
    case 'custom':
      return serveCustom(exchange, route, query)
    case 'document':
      if (route.document === 'metrics') return serveMetrics(exchange)
      if (route.document !== 'readings') return serveDocument(exchange, route.document, query)
      return send(exchange, JSON_TYPE, indented(exchange.deps.readingsText(query.signal), query))
    case 'health':
    case 'ready':
    case 'malformed':
    case 'unknown':
      return refuse(exchange, unknownPath())
  }
}

const VALUE_TYPES = [JSON_TYPE, PROTOBUF_TYPE]

function serveExternal(exchange: Exchange, route: ExternalRoute, query: Query): void {
  const { deps, request } = exchange
  const encoding = encodingFor(request.headers.accept)
  if (encoding === undefined) return refuse(exchange, notAcceptable(VALUE_TYPES))
  if (query.watch) return refuse(exchange, watchRefused('*.external.metrics.k8s.io'))
  const selector = compile('labelSelector', query.labelSelector)
  if ('code' in selector) return refuse(exchange, selector)
  const answer = answerExternal(deps, route, selector, deps.clock.nowMs())
  if (answer.kind === 'failure') return refuse(exchange, answer.failure)
  if (encoding === 'protobuf') return send(exchange, PROTOBUF_TYPE, externalProtobuf(answer))
  send(exchange, JSON_TYPE, indented(externalJson(answer), query))
}

function serveCustom(exchange: Exchange, route: CustomRoute, query: Query): void {
  const { deps, request } = exchange
  const encoding = encodingFor(request.headers.accept)
  if (encoding === undefined) return refuse(exchange, notAcceptable(VALUE_TYPES))
  if (query.watch) return refuse(exchange, watchRefused('*.custom.metrics.k8s.io'))
  const objects = compile('labelSelector', query.labelSelector)
  if ('code' in objects) return refuse(exchange, objects)
  const metric = compile('metricLabelSelector', query.metricLabelSelector)
  if ('code' in metric) return refuse(exchange, metric)
  const answer = answerCustom(deps, route, { objects, metric }, deps.clock.nowMs())
  if (answer.kind === 'failure') return refuse(exchange, answer.failure)
  if (encoding === 'protobuf') return send(exchange, PROTOBUF_TYPE, customProtobuf(answer))
  send(exchange, JSON_TYPE, indented(customJson(answer), query))
}

function watchRefused(kind: string): Failure {
  return methodNotAllowed(`watch is not supported on resources of kind "${kind}"`)
}

const SHOWN_LENGTH_MAX = 200

/** Says which selector is bad and what it is, then why, in the words of Kubernetes. */
function compile(parameter: string, text: string): ParsedSelector | Failure {
  try {
    return parseSelector(text)
  } catch (thrown) {
    if (!(thrown instanceof SelectorError)) throw thrown
    const shown = text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text
    return badRequest(`${parameter} ${JSON.stringify(shown)}: ${thrown.message}`)
  }
}

function indented(json: string, query: Query): string {
  return query.pretty ? JSON.stringify(JSON.parse(json), undefined, 2) : json
}

function serveDocument(exchange: Exchange, name: Parameters<Documents>[0], query: Query): void {
  const { documents, request, response } = exchange
  const document = documents(name, request.headers.accept)
  if (document === undefined) return refuse(exchange, notAcceptable(OFFERED_TYPES))
  const { body, contentType, etag } = document
  if (etag !== undefined) {
    response.setHeader('ETag', etag)
    response.setHeader('Vary', 'Accept')
    if (holds(request.headers['if-none-match'], etag)) {
      sendNotModified(response)
      return done(exchange, 304)
    }
  }
  send(exchange, contentType, contentType === JSON_TYPE ? indented(body, query) : body)
}

/** `If-None-Match`: a list of tags, weak ones compare equal (RFC 9110, 13.1.2). */
function holds(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
}

function serveMetrics(exchange: Exchange): void {
  exchange.deps
    .metricsText()
    .then((text) => send(exchange, 'text/plain; version=0.0.4; charset=utf-8', text))
    .catch((thrown: unknown) => broken(exchange, thrown))
}

function health(exchange: Exchange, good: boolean): void {
  const status = good ? 200 : 503
  sendText(exchange.response, status, 'text/plain; charset=utf-8', good ? 'ok' : 'not ready')
  done(exchange, status)
}

/** Protobuf comes as text with a byte in each character; everything else is text. */
function send(exchange: Exchange, contentType: string, body: string): void {
  if (contentType === PROTOBUF_TYPE) sendBytes(exchange.response, contentType, body)
  else sendText(exchange.response, 200, contentType, body)
  done(exchange, 200)
}

function refuse(exchange: Exchange, failure: Failure): void {
  sendFailure(exchange.response, failure, encodingFor(exchange.request.headers.accept) ?? 'json')
  done(exchange, failure.code)
}

function done({ deps, route, startedMs }: Exchange, status: number): void {
  deps.observe?.(route.kind, status, (deps.clock.monotonicMs() - startedMs) / 1000)
}
