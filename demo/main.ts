/**
 * The whole path on one machine, without a cluster: simulated vision pods that are really scraped, the
 * adapter as its own process with its real HTTPS API, a wave of load, and a loop that reads the API like an
 * HPA and starts and stops pods.
 *
 *     npm run demo [-- --seconds 60] [--redis redis://127.0.0.1:6379] [--kafka 127.0.0.1:9092]
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ChildProcess } from 'node:child_process'
import { issueCertificate, selfSignedServing } from '../adapter/security/selfSigned.ts'
import { systemClock } from '../src/clock.ts'
import { adapterYaml, signalsYaml, targetsJson } from './documents.ts'
import { connectApi, desiredReplicas, PODS_PATH, quantityValue } from './loop.ts'
import type { Api, Asked } from './loop.ts'
import type { Options } from './options.ts'
import { readOptions } from './options.ts'
import type { Events } from './events.ts'
import { connectEvents } from './events.ts'
import { createFleet } from './pods.ts'
import type { Queue } from './queue.ts'
import { connectQueue } from './queue.ts'
import { drawFrame, whereToLook } from './screen.ts'

const LOOP_SECONDS = 2
const WAVE_SECONDS = 90
const LOAD_MIN = 4
const LOAD_MAX = 56
const TARGET_PER_POD = 10
const PODS_MIN = 1
const PODS_MAX = 8

const options = optionsOrEnd()
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
process.once('SIGTERM', () => stop.abort())

function optionsOrEnd(): Options {
  try {
    return readOptions()
  } catch (thrown) {
    process.stderr.write(`demo: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`)
    process.exit(2)
  }
}

async function run(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tideline-demo-'))
  const fleet = createFleet({ startMs: 4000, podCapacity: 12 })
  let queue: Queue | undefined
  let events: Events | undefined
  let adapter: ChildProcess | undefined
  let api: Api | undefined
  try {
    if (options.redisUrl !== undefined) queue = await connectQueue(options.redisUrl)
    if (options.kafkaBrokers.length > 0) events = await connectEvents(options.kafkaBrokers)
    process.stdout.write(`${whereDetectionsAre(events)}\n`)
    await fleet.scaleTo(PODS_MIN + 1, 0)
    const targetsFile = join(folder, 'targets.json')
    writeFileSync(targetsFile, targetsJson([]))
    const started = startAdapter(folder, targetsFile, events?.topic)
    adapter = started.process
    const port = await listeningPort(adapter)
    api = connectApi({ port, ...started.tls })
    if (!process.stdout.isTTY) process.stdout.write(`${whereToLook(folder, port)}\n`)
    return await loop({ api, fleet, queue, events, targetsFile, port, folder }, options.seconds)
  } catch (thrown) {
    // A terminal's Ctrl-C reaches the adapter too, so what was asked last may have had no answer.
    if (stop.signal.aborted) return 0
    process.stderr.write(`demo: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`)
    return 1
  } finally {
    api?.close()
    if (adapter !== undefined) await ended(adapter)
    await queue?.close()
    await events?.close().catch(topicStays)
    await fleet.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function whereDetectionsAre(events: Events | undefined): string {
  return events === undefined
    ? "detections: from the pods' own pages only; --kafka HOST:PORT publishes them to a topic too"
    : `detections: published to ${events.topic} at ${options.kafkaBrokers.join(', ')}, and counted there`
}

function topicStays(thrown: unknown): void {
  process.stderr.write(`demo: the topic stays: ${String(thrown)}\n`)
}

function startAdapter(folder: string, targetsFile: string, topic: string | undefined) {
  const nowMs = systemClock.nowMs()
  const { authority, serving } = selfSignedServing(['localhost', '127.0.0.1'], nowMs)
  const client = issueCertificate(
    {
      commonName: 'demo-autoscaler',
      notBeforeMs: nowMs - 60_000,
      notAfterMs: nowMs + 86_400_000,
      usages: ['clientAuth'],
    },
    authority,
  )
  const put = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const caFile = put('ca.crt', authority.cert)
  const events = topic === undefined ? undefined : { brokers: options.kafkaBrokers, topic }
  const config = [
    put('adapter.yaml', adapterYaml({ caFile, targetsFile, redisUrl: options.redisUrl, events })),
    put('signals.yaml', signalsYaml(options.redisUrl !== undefined, events !== undefined)),
  ]
  put('client.crt', client.cert)
  put('client.key', client.key)
  const main = join(import.meta.dirname, '../adapter/main.ts')
  const child = spawn(
    process.execPath,
    [
      main,
      ...config.flatMap((path) => ['--config', path]),
      ...['--tls-cert-file', put('tls.crt', serving.cert)],
      ...['--tls-key-file', put('tls.key', serving.key)],
      ...['--address', '127.0.0.1', '--port', String(options.port)],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  return { process: child, tls: { ca: authority.cert, ...client } }
}

/** Reads the adapter's log until it says where it listens. */
async function listeningPort(child: ChildProcess): Promise<number> {
  if (child.stderr === null) throw new Error('the adapter has no log')
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line)
    if (!line.startsWith('{')) continue
    const { event, port } = JSON.parse(line) as { event?: string; port?: number }
    if (event !== 'listening' || port === undefined) continue
    child.stderr.resume()
    return port
  }
  throw new Error(`the adapter did not start:\n${lines.slice(-5).join('\n')}`)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGINT')
  await exit
}

interface Scene {
  readonly api: Api
  readonly fleet: ReturnType<typeof createFleet>
  readonly queue: Queue | undefined
  readonly events: Events | undefined
  readonly targetsFile: string
  readonly port: number
  readonly folder: string
}

/** Once a second: load arrives, pods work; every other second the autoscaler looks and decides. */
async function loop(scene: Scene, seconds: number): Promise<number> {
  const { fleet, queue, events, targetsFile } = scene
  const startMs = systemClock.monotonicMs()
  let answers = 0
  for (let second = 0; second < seconds && !stop.signal.aborted; second++) {
    const nowMs = systemClock.monotonicMs() - startMs
    const load = loadAt(second)
    const detections = fleet.work(load, 1, nowMs)
    await events?.publish(detections, systemClock.nowMs())
    await queue?.put(load)
    // Like discovery in a cluster: pods that are not ready are not there yet.
    writeFileSync(targetsFile, targetsJson(fleet.pods().filter((pod) => pod.ready)))
    const asked = second % LOOP_SECONDS === 0 ? await decide(scene, nowMs) : undefined
    if (asked?.ok === true) answers += 1
    if (asked !== undefined)
      drawFrame({ second, load, pods: fleet.pods(), waiting: fleet.waiting(), ...scene, asked })
    await systemClock.sleep(startMs + (second + 1) * 1000 - systemClock.monotonicMs(), stop.signal)
  }
  process.stdout.write(`\n${answers} answers with values; everything is stopped.\n`)
  return answers > 0 || stop.signal.aborted ? 0 : 1
}

function loadAt(second: number): number {
  const wave = (1 - Math.cos((2 * Math.PI * second) / WAVE_SECONDS)) / 2
  return LOAD_MIN + (LOAD_MAX - LOAD_MIN) * wave
}

const EXTERNAL = '/apis/external.metrics.k8s.io/v1beta1/namespaces/vision'

interface List {
  readonly items?: readonly { readonly value: string }[]
  readonly message?: string
}

async function decide(scene: Scene, nowMs: number): Promise<Asked> {
  const { api, fleet, queue } = scene
  const { status, body } = await api.get(PODS_PATH)
  const { items = [], message = '' } = body as List
  const others = [{ name: 'vision_person_detections_per_second', path: EXTERNAL }]
  if (queue !== undefined) others.push({ name: 'vision_queue_depth', path: EXTERNAL })
  const told = await Promise.all(others.map(({ name, path }) => external(api, path, name)))
  const base = { path: PODS_PATH, others: told }
  // An error is not a zero: like the HPA, the loop leaves the replicas as they are.
  if (status !== 200 || items.length === 0)
    return { ...base, ok: false, answer: `${status} ${message}` }
  const total = items.reduce((sum, item) => sum + quantityValue(item.value), 0)
  const replicas = fleet.pods().length
  const ready = fleet.pods().filter((pod) => pod.ready).length
  const wanted = desiredReplicas(total, TARGET_PER_POD, Math.max(1, ready))
  const next = Math.min(PODS_MAX, Math.max(PODS_MIN, wanted))
  if (next !== replicas) await fleet.scaleTo(next, nowMs)
  return {
    ...base,
    ok: true,
    answer: `${items.length} pods, ${total.toFixed(1)} requests/s in all`,
  }
}

async function external(api: Api, base: string, name: string) {
  const { status, body } = await api.get(`${base}/${name}`)
  const { items = [], message = '' } = body as List
  const total = items.reduce((sum, item) => sum + quantityValue(item.value), 0)
  return { name, answer: status === 200 ? total.toFixed(1) : `${status} ${message}` }
}

process.exitCode = await run()
