import { createServer } from 'node:http'
import type { IncomingHttpHeaders, Server } from 'node:http'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMetricsApi } from '../../adapter/metrics-api/app.ts'
import type { MetricsApiDeps } from '../../adapter/metrics-api/app.ts'
import type { DirectoryPod, Identity, PodDirectory, User } from '../../adapter/metrics-api/ports.ts'
import type { DescribedKind, Labels, Reading, Signal, SignalReadings } from '../../src/model.ts'
import type { Logger, SignalReader } from '../../src/ports.ts'

export const NOW_MS = Date.UTC(2026, 10, 21, 3, 26, 20)
/** Four seconds before: the time of the data in the recorded answers, plus some milliseconds. */
export const DATA_MS = Date.UTC(2026, 10, 21, 3, 26, 16) + 345

export const POD: DescribedKind = {
  resource: 'pods',
  kind: 'Pod',
  apiVersion: 'v1',
  namespaced: true,
  nameLabel: 'pod',
}
export const NODE: DescribedKind = {
  resource: 'nodes',
  kind: 'Node',
  apiVersion: 'v1',
  namespaced: false,
  nameLabel: 'node',
}

export function signalOf(
  name: string,
  expose: Signal['expose'],
  by: readonly string[] = [],
  namespace = 'default',
): Signal {
  return {
    id: `${namespace}/${name}`,
    namespace,
    name,
    selection: { source: 'fake', metric: name, matchers: [] },
    window: { function: 'last', durationMs: 60_000, quantile: 0 },
    combine: { function: 'sum', by, minCoverage: 0 },
    freshForMs: 30_000,
    whenStale: { answer: 'error' },
    whenAbsent: { answer: 'error' },
    expose,
  }
}

const WHY = { series: { fresh: 1, stale: 0, warmingUp: 0 } }

export function fresh(labels: Labels, value: number, windowMs = 0): Reading {
  return { state: 'fresh', labels, value, dataMs: DATA_MS, windowMs, why: WHY }
}

export function stale(labels: Labels, cause: string): Reading {
  return {
    state: 'stale',
    labels,
    lastValue: 999,
    dataMs: NOW_MS - 90_000,
    ageMs: 90_000,
    cause,
    why: WHY,
  }
}

export function absent(
  labels: Labels,
  reason: Extract<Reading, { state: 'absent' }>['reason'],
  cause: string,
): Reading {
  return { state: 'absent', labels, reason, cause, why: WHY }
}

export function external(name: string, by: readonly string[], ...readings: Reading[]) {
  const signal = signalOf(name, { external: { name } }, by)
  return { signal, evaluatedMs: NOW_MS, readings }
}

export function custom(
  name: string,
  on: DescribedKind,
  by: readonly string[],
  ...readings: Reading[]
): SignalReadings {
  const signal = signalOf(name, { custom: { name, on } }, by)
  return { signal, evaluatedMs: NOW_MS, readings }
}

export function readerOf(all: readonly SignalReadings[]): SignalReader & { generation: number } {
  return {
    tick: 1,
    generation: 1,
    all: () => all,
    signal: (namespace, name) =>
      all.find(({ signal }) => signal.namespace === namespace && signal.name === name),
    external: (namespace, name) =>
      all.find(
        ({ signal }) => signal.namespace === namespace && signal.expose.external?.name === name,
      ),
    custom: (namespace, resource, name) =>
      all.find(({ signal }) => {
        const on = signal.expose.custom?.on
        return (
          signal.expose.custom?.name === name &&
          on?.resource === resource &&
          (on.namespaced ? signal.namespace : '') === namespace
        )
      }),
  }
}

export function podsOf(pods: readonly (DirectoryPod & { namespace: string })[]): PodDirectory & {
  state: string | undefined
} {
  return {
    state: undefined,
    notSynced() {
      return this.state
    },
    matching: (namespace, selector) =>
      pods.filter((pod) => pod.namespace === namespace && selector.matches(pod.labels)),
    get: (namespace, name) => pods.find((pod) => pod.namespace === namespace && pod.name === name),
  }
}

export const ADMIN: User = {
  name: 'admin',
  groups: ['system:masters', 'system:authenticated'],
  extra: {},
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

export function depsOf(changes: Partial<MetricsApiDeps>): MetricsApiDeps {
  return {
    reader: readerOf([]),
    authenticator: { authenticate: (): Identity => ({ kind: 'user', user: ADMIN }) },
    authorizer: { authorize: () => ({ allowed: true }) },
    pods: podsOf([]),
    clock: { nowMs: () => NOW_MS, monotonicMs: () => 0 },
    log: silent,
    version: '0.1.0',
    metricsText: () => Promise.resolve('up 1\n'),
    readingsText: (signal) => JSON.stringify({ signal }),
    isReady: () => true,
    ...changes,
  }
}

export interface Got {
  readonly status: number
  readonly type: string
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
  readonly text: string
  json(): unknown
}

export interface Served {
  readonly get: (path: string, accept?: string, more?: Asking) => Promise<Got>
  close(): Promise<void>
}

export interface Asking {
  readonly method?: string
  readonly headers?: Record<string, string>
}

/** Serves the API on a free port of this machine; paths are sent as they are, not normalised. */
export async function serve(changes: Partial<MetricsApiDeps>): Promise<Served> {
  const server = createServer(createMetricsApi(depsOf(changes)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    get: (path, accept, more) => ask(port, path, accept, more ?? {}),
    close: () => closed(server),
  }
}

function ask(port: number, path: string, accept: string | undefined, more: Asking): Promise<Got> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: more.method ?? 'GET',
        headers: { ...(accept === undefined ? {} : { accept }), ...more.headers },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const bytes = Buffer.concat(chunks)
          const text = bytes.toString()
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers['content-type'] ?? '',
            headers: response.headers,
            bytes,
            text,
            json: () => JSON.parse(text) as unknown,
          })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
