/**
 * What a call of KEDA costs: one connection with mutual TLS, as KEDA keeps it, calls for 500 ScaledObjects,
 * next to the library's bare server with a fixed answer in the same run.
 * Run alone: `node test/bench/externalScaler.ts`.
 */
import { Client, credentials } from '@grpc/grpc-js'
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { loadServices } from '../../adapter/external-scaler/wire.ts'
import { issueCertificate } from '../../adapter/security/selfSigned.ts'
import type { KeyPair } from '../../adapter/security/selfSigned.ts'
import type { ScalerStart } from './externalScalerServer.ts'

const SCALED_OBJECTS = 500
const IN_FLIGHT = 16
const ROUNDS = 5
const ROUND_MS = 600
const WARM_UP_MS = 1500

const METHODS = ['GetMetrics', 'IsActive', 'GetMetricSpec'] as const
type Method = (typeof METHODS)[number]

interface Row {
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** User and system time of the server's process. */
  readonly cpuMicrosecondsPerCall: number
}

interface Trial {
  readonly subject: ScalerStart['subject']
  readonly child: ChildProcess
  readonly client: Client
}

type Services = Awaited<ReturnType<typeof loadServices>>

/** Measures in turns, so that what else the machine does meets both alike; prints medians. */
export async function benchExternalScaler(): Promise<void> {
  const services = await loadServices()
  const material = certificates()
  const trials = [await openTrial('bare', material), await openTrial('tideline', material)]
  try {
    console.log(
      `external scaler, one mutual TLS connection, ${IN_FLIGHT} calls in flight, medians of ${ROUNDS} × ${ROUND_MS / 1000} s:`,
    )
    console.log(`${'case'.padEnd(30)}   calls/s  p50 ms  p99 ms  CPU µs/call`)
    for (const method of METHODS) await compare(method, trials, services)
    await comparePaced(trials, services)
  } finally {
    for (const { child, client } of trials) {
      client.close()
      child.disconnect()
    }
  }
}

async function compare(method: Method, trials: readonly Trial[], services: Services) {
  const rounds = new Map<Trial, Row[]>(trials.map((trial) => [trial, []]))
  for (const trial of trials) await loadFor(trial, method, services, WARM_UP_MS)
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [trial, rows] of rounds) rows.push(await measure(trial, method, services))
  const cpu: number[] = []
  for (const [{ subject }, rows] of rounds) {
    const row = medians(rows)
    cpu.push(row.cpuMicrosecondsPerCall)
    const name = `${method}, ${subject === 'bare' ? 'bare grpc-js' : 'Tideline'}`
    console.log(
      [
        name.padEnd(30),
        row.callsPerSecond.toFixed(0).padStart(9),
        row.p50Ms.toFixed(2).padStart(7),
        row.p99Ms.toFixed(2).padStart(7),
        row.cpuMicrosecondsPerCall.toFixed(1).padStart(12),
      ].join(' '),
    )
  }
  const [bare = NaN, own = NaN] = cpu
  console.log(`${`${method}, Tideline / bare`.padEnd(30)} ${(own / bare).toFixed(2)} × CPU`)
}

/** 500 ScaledObjects polled every 5 s and read by their HPAs every 15 s, three calls each time. */
const CALLS_PER_SECOND = SCALED_OBJECTS * 3 * (1 / 5 + 1 / 15)
const PACED_ROUNDS = 5
const PACED_MS = 2500

/** In turns; the first round of each warms up what the other load left cold. */
async function comparePaced(trials: readonly Trial[], services: Services): Promise<void> {
  const rounds = new Map<Trial, PacedRow[]>(trials.map((trial) => [trial, []]))
  for (const trial of trials) await paced(trial, services)
  for (let round = 0; round < PACED_ROUNDS; round += 1)
    for (const [trial, rows] of rounds) rows.push(await paced(trial, services))
  for (const [{ subject }, rows] of rounds) {
    const name = subject === 'bare' ? 'bare grpc-js' : 'Tideline'
    const p50Ms = median(rows.map((row) => row.p50Ms))
    const p99s = rows.map((row) => row.p99Ms)
    console.log(
      [
        `${CALLS_PER_SECOND.toFixed(0)} calls/s, ${name}:`,
        `p50 ${p50Ms.toFixed(2)} ms, p99 ${median(p99s).toFixed(2)} ms`,
        `(medians of ${PACED_ROUNDS} × ${PACED_MS / 1000} s; p99 of the quietest ${Math.min(...p99s).toFixed(2)} ms)`,
      ].join(' '),
    )
  }
}

interface PacedRow {
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Each call at its own time, as those of many ScaledObjects come. */
async function paced(trial: Trial, services: Services): Promise<PacedRow> {
  const calls: Promise<number>[] = []
  const begin = performance.now()
  for (let atMs = 0; atMs < PACED_MS; atMs = performance.now() - begin) {
    const due = (atMs / 1000) * CALLS_PER_SECOND
    while (calls.length < due)
      calls.push(callOnce(trial.client, METHODS[calls.length % 3] ?? 'IsActive', services, calls.length)) // prettier-ignore
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  const latencies = Float64Array.from(await Promise.all(calls)).sort()
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}

function certificates() {
  const notBeforeMs = Date.now() - 60_000
  const life = { notBeforeMs, notAfterMs: notBeforeMs + 86_400_000 }
  const ca = issueCertificate({ commonName: 'bench-ca', authority: {}, ...life })
  const issue = (commonName: string, usage: 'serverAuth' | 'clientAuth') =>
    issueCertificate({ commonName, dnsNames: [NAME], usages: [usage], ...life }, ca)
  return { ca, server: issue('server', 'serverAuth'), client: issue('keda', 'clientAuth') }
}

const NAME = 'tideline.bench'

async function openTrial(
  subject: Trial['subject'],
  { ca, server, client }: Readonly<Record<'ca' | 'server' | 'client', KeyPair>>,
): Promise<Trial> {
  const child = fork(new URL('./externalScalerServer.ts', import.meta.url))
  const start: ScalerStart = { ...server, ca: ca.cert, subject, signals: SCALED_OBJECTS }
  child.send(start)
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  const [root, key, cert] = [ca.cert, client.key, client.cert].map((pem) => Buffer.from(pem))
  const channel = credentials.createSsl(root, key, cert)
  const options = { 'grpc.ssl_target_name_override': NAME }
  return { subject, child, client: new Client(`127.0.0.1:${port}`, channel, options) }
}

async function measure(trial: Trial, method: Method, services: Services): Promise<Row> {
  const before = await cpuOf(trial.child)
  const begin = performance.now()
  const latencies = await loadFor(trial, method, services, ROUND_MS)
  const seconds = (performance.now() - begin) / 1000
  const after = await cpuOf(trial.child)
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? NaN
  return {
    callsPerSecond: latencies.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuMicrosecondsPerCall: (after - before) / latencies.length,
  }
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('usage')
  const [{ cpuMicroseconds }] = (await once(child, 'message')) as [{ cpuMicroseconds: number }]
  return cpuMicroseconds
}

/** Latencies in ms, sorted. */
async function loadFor(
  { client }: Trial,
  method: Method,
  services: Services,
  milliseconds: number,
): Promise<Float64Array> {
  const latencies: number[] = []
  const end = performance.now() + milliseconds
  const worker = async (first: number) => {
    for (let i = first; performance.now() < end; i += 1)
      latencies.push(await callOnce(client, method, services, i))
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, index) => worker(index * 31)))
  return Float64Array.from(latencies).sort()
}

/** The call's time in ms. */
function callOnce(client: Client, method: Method, services: Services, index: number) {
  const definition = services.scaler[method]
  if (definition === undefined) throw new Error(`no method ${method}`)
  const { path, requestSerialize, responseDeserialize } = definition
  const request = requestOf(method, index)
  const sent = performance.now()
  return new Promise<number>((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error) => {
      if (error === null) resolve(performance.now() - sent)
      else reject(error)
    })
  })
}

function requestOf(method: Method, index: number): unknown {
  const ref = {
    name: `worker-${index % SCALED_OBJECTS}`,
    namespace: 'vision',
    scalerMetadata: {
      scalerAddress: 'custom-metrics-adapter.monitoring.svc:6444',
      signal: `queue-${index % SCALED_OBJECTS}`,
      target: '20',
      activation: '5',
    },
  }
  return method === 'GetMetrics' ? { scaledObjectRef: ref, metricName: 'queue-depth' } : ref
}

function medians(rows: readonly Row[]): Row {
  const of = (key: keyof Row) => median(rows.map((row) => row[key]))
  return {
    callsPerSecond: of('callsPerSecond'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    cpuMicrosecondsPerCall: of('cpuMicrosecondsPerCall'),
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

if (import.meta.main) await benchExternalScaler()
