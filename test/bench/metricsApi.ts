/**
 * What a request to the metrics API costs: 16 keep-alive TLS connections with a client certificate, users
 * named by a front proxy, authorization on, next to bare servers with a fixed body in the same run.
 * Run alone: `node test/bench/metricsApi.ts`.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { issueCertificate } from '../../adapter/security/selfSigned.ts'
import type { KeyPair } from '../../adapter/security/selfSigned.ts'
import type { Start, Subject, Usage } from './metricsApiServer.ts'
import { loadFor, openConnections } from './tlsLoad.ts'

const CONNECTIONS = 16
const ROUNDS = 3
const ROUND_MS = 600
const WARM_UP_MS = 800

const EXTERNAL =
  '/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue_depth?labelSelector=queue%3Ddetections'
const pods = (count: number): string =>
  `/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/rps_${count}?labelSelector=app%3Dvision-${count}`
const JSON_ONLY = 'application/json'
const PROTOBUF = 'application/vnd.kubernetes.protobuf, */*'

interface Case {
  readonly name: string
  readonly subject: Subject
  readonly path: string
  readonly accept: string
}

const CASES: readonly Case[] = [
  { name: 'bare Node https, fixed body', subject: 'bare', path: EXTERNAL, accept: PROTOBUF },
  { name: 'express, fixed body', subject: 'express', path: EXTERNAL, accept: PROTOBUF },
  { name: 'one external, protobuf', subject: 'tideline', path: EXTERNAL, accept: PROTOBUF },
  { name: 'one external, JSON', subject: 'tideline', path: EXTERNAL, accept: JSON_ONLY },
  { name: 'pods/*, 10 pods, protobuf', subject: 'tideline', path: pods(10), accept: PROTOBUF },
  { name: 'pods/*, 10 pods, JSON', subject: 'tideline', path: pods(10), accept: JSON_ONLY },
  { name: 'pods/*, 100 pods, protobuf', subject: 'tideline', path: pods(100), accept: PROTOBUF },
  { name: 'pods/*, 100 pods, JSON', subject: 'tideline', path: pods(100), accept: JSON_ONLY },
]

export interface MetricsApiRow {
  readonly name: string
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** User and system time of the server's process. */
  readonly cpuMicrosecondsPerRequest: number
  readonly rssMiB: number
}

/** Measures every case in turns, so that what else the machine does meets all alike; prints and gives medians. */
export async function benchMetricsApi(): Promise<readonly MetricsApiRow[]> {
  const material = certificates()
  const trials = await Promise.all(CASES.map((one) => openTrial(one, material)))
  try {
    for (const trial of trials) await loadFor(trial.sockets, trial.request, WARM_UP_MS)
    const rounds: MetricsApiRow[][] = trials.map(() => [])
    for (let round = 0; round < ROUNDS; round += 1)
      for (const [index, trial] of trials.entries()) rounds[index]?.push(await measure(trial))
    const rows = rounds.map(medians)
    print(rows)
    return rows
  } finally {
    for (const { child, sockets } of trials) {
      for (const socket of sockets) socket.destroy()
      child.disconnect()
    }
  }
}

interface Material {
  readonly ca: KeyPair
  readonly server: KeyPair
  readonly client: KeyPair
}

function certificates(): Material {
  const notBeforeMs = Date.now() - 60_000
  const notAfterMs = notBeforeMs + 86_400_000
  const ca = issueCertificate({ commonName: 'bench-ca', authority: {}, notBeforeMs, notAfterMs })
  const server = issueCertificate(
    {
      commonName: 'server',
      ipAddresses: ['127.0.0.1'],
      usages: ['serverAuth'],
      notBeforeMs,
      notAfterMs,
    },
    ca,
  )
  const client = issueCertificate(
    { commonName: 'front-proxy-client', usages: ['clientAuth'], notBeforeMs, notAfterMs },
    ca,
  )
  return { ca, server, client }
}

interface Trial {
  readonly name: string
  readonly child: ChildProcess
  readonly sockets: readonly TLSSocket[]
  readonly request: Buffer
}

async function openTrial(one: Case, { ca, server, client }: Material): Promise<Trial> {
  const child = fork(new URL('./metricsApiServer.ts', import.meta.url))
  const start: Start = { ...server, ca: ca.cert, subject: one.subject, fixedBody: FIXED_BODY }
  child.send(start)
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  const sockets = await openConnections(CONNECTIONS, {
    host: '127.0.0.1',
    port,
    ca: ca.cert,
    ...client,
    ALPNProtocols: ['http/1.1'],
  })
  return { name: one.name, child, sockets, request: requestOf(one, port) }
}

/** The size of the answer for one external metric. */
const FIXED_BODY =
  '{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[{"metricName":"queue_depth","metricLabels":{"queue":"detections"},"timestamp":"2026-11-21T03:26:16Z","window":60,"value":"1234"}]}'

/** The head that kube-apiserver sends for the HPA controller. */
function requestOf({ path, accept }: Case, port: number): Buffer {
  const head = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'User-Agent: kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/system:serviceaccount:kube-system:horizontal-pod-autoscaler',
    `Accept: ${accept}`,
    'Accept-Encoding: gzip',
    'X-Forwarded-For: 127.0.0.1',
    'X-Remote-Group: system:serviceaccounts',
    'X-Remote-Group: system:serviceaccounts:kube-system',
    'X-Remote-Group: system:authenticated',
    'X-Remote-User: system:serviceaccount:kube-system:horizontal-pod-autoscaler',
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n`)
}

async function measure({ name, child, sockets, request }: Trial): Promise<MetricsApiRow> {
  const before = await usageOf(child)
  const { requests, seconds, latenciesMs } = await loadFor(sockets, request, ROUND_MS)
  const after = await usageOf(child)
  const at = (share: number): number => latenciesMs[Math.floor(latenciesMs.length * share)] ?? NaN
  return {
    name,
    requestsPerSecond: requests / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuMicrosecondsPerRequest: (after.cpuMicroseconds - before.cpuMicroseconds) / requests,
    rssMiB: after.rssBytes / 2 ** 20,
  }
}

async function usageOf(child: ChildProcess): Promise<Usage> {
  child.send('usage')
  const [usage] = (await once(child, 'message')) as [Usage]
  return usage
}

function medians(rounds: readonly MetricsApiRow[]): MetricsApiRow {
  const median = (of: (row: MetricsApiRow) => number): number =>
    rounds.map(of).toSorted((a, b) => a - b)[Math.floor(rounds.length / 2)] ?? NaN
  return {
    name: rounds[0]?.name ?? '',
    requestsPerSecond: median((row) => row.requestsPerSecond),
    p50Ms: median((row) => row.p50Ms),
    p99Ms: median((row) => row.p99Ms),
    cpuMicrosecondsPerRequest: median((row) => row.cpuMicrosecondsPerRequest),
    rssMiB: median((row) => row.rssMiB),
  }
}

function print(rows: readonly MetricsApiRow[]): void {
  console.log(
    `metrics API, ${CONNECTIONS} TLS connections, medians of ${ROUNDS} × ${ROUND_MS / 1000} s:`,
  )
  console.log(`${'case'.padEnd(30)}     req/s  p50 ms  p99 ms  CPU µs/req  RSS MiB`)
  for (const row of rows)
    console.log(
      [
        row.name.padEnd(30),
        row.requestsPerSecond.toFixed(0).padStart(9),
        row.p50Ms.toFixed(2).padStart(7),
        row.p99Ms.toFixed(2).padStart(7),
        row.cpuMicrosecondsPerRequest.toFixed(1).padStart(11),
        row.rssMiB.toFixed(0).padStart(8),
      ].join(' '),
    )
}

if (import.meta.main) await benchMetricsApi()
