/** A server under test, in its own process so that its CPU time is its alone; driven by `metricsApi.ts`. */
import express from 'express'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createMetricsApi } from '../../adapter/metrics-api/app.ts'
import type { PodDirectory } from '../../adapter/metrics-api/ports.ts'
import { delegatedAuthenticator } from '../../adapter/security/authenticate.ts'
import { delegatedAuthorizer } from '../../adapter/security/authorize.ts'
import { systemClock } from '../../src/clock.ts'
import type { Reading, Signal, SignalReadings } from '../../src/model.ts'
import { createBoard } from '../../src/signal/board.ts'

export type Subject = 'bare' | 'express' | 'tideline'

export interface Start {
  readonly subject: Subject
  readonly cert: string
  readonly key: string
  readonly ca: string
  /** What `bare` and `express` answer. */
  readonly fixedBody: string
}

export type Report = { readonly port: number } | Usage

export interface Usage {
  readonly cpuMicroseconds: number
  readonly rssBytes: number
  readonly heapBytes: number
}

process.on('message', (message: Start | 'usage') => {
  if (message === 'usage') {
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed } = process.memoryUsage()
    process.send?.({ cpuMicroseconds: user + system, rssBytes: rss, heapBytes: heapUsed })
    return
  }
  const { cert, key, ca } = message
  const server = createServer(
    { cert, key, ca, requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] },
    listenerOf(message),
  )
  // Connections rest while the other cases have their turn, which on a busy machine is longer than Node's 5 s.
  server.keepAliveTimeout = 300_000
  server.listen(0, '127.0.0.1', () => {
    process.send?.({ port: (server.address() as AddressInfo).port })
  })
})
process.on('disconnect', () => process.exit(0))

function listenerOf({ subject, fixedBody, ca }: Start): RequestListener {
  const body = Buffer.from(fixedBody)
  const fixed = (_: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length })
    response.end(body)
  }
  switch (subject) {
    case 'bare':
      return fixed
    case 'express': {
      const app = express()
      app.disable('x-powered-by')
      app.use(fixed)
      return app
    }
    case 'tideline':
      return tideline(ca)
  }
}

/** The real API with real authentication and authorization; only the API server's review is an echo. */
function tideline(ca: string): RequestListener {
  const board = createBoard()
  const publish = (): void => board.publish(readings(systemClock.nowMs()), false)
  publish()
  setInterval(publish, 1000).unref()
  const config = {
    requestHeader: {
      ca,
      allowedNames: ['front-proxy-client'],
      usernameHeaders: ['X-Remote-User'],
      groupHeaders: ['X-Remote-Group'],
      extraPrefixes: ['X-Remote-Extra-'],
      uidHeaders: [],
    },
  }
  return createMetricsApi({
    reader: board,
    authenticator: delegatedAuthenticator({ config: () => config, clock: systemClock }),
    authorizer: delegatedAuthorizer({
      post: () => Promise.resolve({ allowed: true }),
      clock: systemClock,
    }),
    pods: directory(),
    clock: systemClock,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    version: '0.0.0',
    metricsText: () => Promise.resolve(''),
    readingsText: () => '',
    isReady: () => true,
    observe() {},
  })
}

const podNames = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `vision-6b6b955858-${count}-${index}`)

function directory(): PodDirectory {
  const pods = [10, 100].flatMap((count) =>
    podNames(count).map((name) => ({
      name,
      labels: { app: `vision-${count}`, 'pod-template-hash': '6b6b955858' },
    })),
  )
  return {
    notSynced: () => undefined,
    matching: (namespace, selector) =>
      namespace === 'default' ? pods.filter(({ labels }) => selector.matches(labels)) : [],
    get: (_, name) => pods.find((pod) => pod.name === name),
  }
}

function readings(nowMs: number): SignalReadings[] {
  const fresh = (labels: Record<string, string>, value: number): Reading => ({
    state: 'fresh',
    labels,
    value,
    dataMs: nowMs - 700,
    windowMs: 60_000,
    why: { series: { fresh: 1, stale: 0, warmingUp: 0 } },
  })
  const on = {
    resource: 'pods',
    kind: 'Pod',
    apiVersion: 'v1',
    namespaced: true,
    nameLabel: 'pod',
  }
  const pods = [10, 100].map((count) => ({
    signal: signal({ custom: { name: `rps_${count}`, on } }, ['pod']),
    evaluatedMs: nowMs,
    readings: podNames(count).map((pod, index) => fresh({ pod }, 33.5 + index * 1.25)),
  }))
  return [
    {
      signal: signal({ external: { name: 'queue_depth' } }, ['queue']),
      evaluatedMs: nowMs,
      readings: [fresh({ queue: 'detections' }, 1234)],
    },
    ...pods,
  ]
}

function signal(expose: Signal['expose'], by: readonly string[]): Signal {
  return {
    id: 'default/bench',
    namespace: 'default',
    name: 'bench',
    selection: { source: 'bench', metric: 'bench', matchers: [] },
    window: { function: 'rate', durationMs: 60_000, quantile: 0 },
    combine: { function: 'sum', by, minCoverage: 0 },
    freshForMs: 30_000,
    whenStale: { answer: 'error' },
    whenAbsent: { answer: 'error' },
    expose,
  }
}
