/**
 * Reports the calls of a gRPC server to Tideline. Give `interceptor` to the server; all else goes by itself:
 *
 *     const reporter = await startReporter({ address: 'tideline-push:6445', credentials, service: 'detector' })
 *     const server = new Server({ interceptors: [reporter.interceptor] })
 *
 * A call is never delayed and never fails for a report's sake. It is counted when it begins, its latency and
 * fault when it ends.
 */
import type {
  ChannelCredentials,
  Metadata,
  ServerInterceptor,
  ServiceDefinition,
  ServiceError,
} from '@grpc/grpc-js'
import { Client, Metadata as CallMetadata, ServerInterceptingCall, status } from '@grpc/grpc-js'
import type { PackageDefinition } from '@grpc/proto-loader'
import { load } from '@grpc/proto-loader'
import { randomUUID } from 'node:crypto'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { CallRate } from './rate.ts'
import type { Way } from './replicas.ts'
import { addressesOf, Replicas } from './replicas.ts'
import { retryReader } from './retry.ts'
import type { Answer, Report } from './sender.ts'
import { Shedder } from './shed.ts'
import type { Kind } from './tally.ts'
import { Tally } from './tally.ts'

export interface ReporterOptions {
  /** `host:port` of the adapter's port for reports. Every address that the name has is reported to. */
  readonly address: string
  /** Gives these addresses, `ip:port`, where it is not the name service that knows them. */
  readonly addresses?: () => Promise<readonly string[]>
  readonly credentials: ChannelCredentials
  readonly service: string
  /** Either may be left out where the token names the pod. */
  readonly namespace?: string
  readonly pod?: string
  /** Bearer token, read anew for each report: the kubelet renews the file it is in. */
  readonly token?: () => string | Promise<string>
  /** What is served, so that zeros are reported of it from the start. Default: one kind without a name. */
  readonly kinds?: readonly Kind[]
  /** What a call is for. Default: the first of `kinds`. Must be quick; a fault of it is taken for no answer. */
  readonly kindOf?: (call: { readonly path: string; readonly metadata: Metadata }) => Kind
  /** Upper bounds of latencies in seconds. */
  readonly bounds?: readonly number[]
  /** Refuses calls beyond the admissible rate with RESOURCE_EXHAUSTED. Default: false. */
  readonly shed?: boolean
  /** Options of the channel, such as a name to verify. */
  readonly channel?: Readonly<Record<string, string | number>>
}

export interface Reporter {
  readonly interceptor: ServerInterceptor
  /** Calls a second, over buckets of 5 s, smoothed; undefined in the first 5 s. */
  rate(): number | undefined
  counters(): ReporterCounters
  /** Reports the rest and ends; takes three seconds at most. */
  close(): Promise<void>
}

export interface ReporterCounters {
  readonly calls: number
  readonly shed: number
  /** Reports that the adapter took; each of its replicas counts. */
  readonly sent: number
  /** Reports that it refused or that waited too long, and the calls in them; each replica counts. */
  readonly dropped: number
  readonly droppedCalls: number
  /** Why the last report did not go; undefined where it did. */
  readonly lastFault: string | undefined
}

const REPORT_EVERY_MS = 1000
const REPORT_EVERY_CALLS = 100
/** However many calls there are, no more reports than ten a second: the adapter takes twenty. */
const REPORT_GAP_MS = 100
const DEADLINE_MS = 2000
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const NO_KIND: Kind = { model: '', version: '' }
const NAME = 'tideline.push.v1.Push'

export async function startReporter(options: ReporterOptions): Promise<Reporter> {
  const includeDirs = [join(import.meta.dirname, '../proto')]
  const format = { includeDirs, longs: Number, enums: String }
  const loaded = await load(['push.proto', 'status.proto'], format)
  return new Reporting(options, wayOf(loaded, options))
}

class Reporting implements Reporter {
  readonly interceptor: ServerInterceptor
  readonly #options: ReporterOptions
  readonly #replicas: Replicas
  readonly #tally: Tally
  readonly #rate = new CallRate(monotonicMs())
  readonly #shedder = new Shedder()
  readonly #instance = randomUUID()
  readonly #timer: NodeJS.Timeout
  readonly #first: Kind
  #sequence = 0
  #startUnixMs = Date.now()
  #startMs = monotonicMs()
  #calls = 0
  #shed = 0

  constructor(options: ReporterOptions, open: (address: string) => Way) {
    const { kinds = [NO_KIND], bounds = BOUNDS } = options
    this.#options = options
    this.#first = kinds[0] ?? NO_KIND
    this.#tally = new Tally(bounds, kinds)
    this.#replicas = new Replicas({
      find: options.addresses ?? (() => addressesOf(options.address)),
      open,
      answered: (from, { admissibleRate }) =>
        this.#shedder.told(from, admissibleRate, monotonicMs()),
    })
    this.#timer = setInterval(() => this.#tick(), REPORT_GAP_MS).unref()
    this.interceptor = (method, call) => {
      let ended = false
      let kind = this.#first
      const beganMs = monotonicMs()
      const end = (failed: boolean) => {
        if (ended) return
        ended = true
        this.#tally.end(kind, failed, (monotonicMs() - beganMs) / 1000)
      }
      return new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, pass) => {
              kind = this.#kindOf(method.path, metadata)
              if (this.#begin(kind)) return pass(metadata)
              ended = true
              const details = 'this pod takes no more calls now'
              call.sendStatus({ code: status.RESOURCE_EXHAUSTED, details })
            },
            // The caller went away, which is no fault of the service.
            onCancel: () => end(false),
          }),
        sendStatus: (sent, next) => {
          end(sent.code !== status.OK && sent.code !== status.CANCELLED)
          next(sent)
        },
      })
    }
  }

  rate(): number | undefined {
    return this.#rate.read(monotonicMs())
  }

  counters(): ReporterCounters {
    return { calls: this.#calls, shed: this.#shed, ...this.#replicas.counters() }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#report()
    await this.#replicas.close()
  }

  /** False where the call is not to be taken. It is counted all the same: it is demand. */
  #begin(kind: Kind): boolean {
    const nowMs = monotonicMs()
    this.#calls += 1
    this.#rate.add(nowMs)
    this.#tally.begin(kind)
    if (this.#options.shed !== true || this.#shedder.takes(nowMs)) return true
    this.#shed += 1
    return false
  }

  #kindOf(path: string, metadata: Metadata): Kind {
    try {
      return this.#options.kindOf?.({ path, metadata }) ?? this.#first
    } catch {
      return this.#first
    }
  }

  #tick(): void {
    const enough = this.#tally.begun >= REPORT_EVERY_CALLS && this.#replicas.idle
    if (enough || monotonicMs() - this.#startMs >= REPORT_EVERY_MS) this.#report()
  }

  #report(): void {
    const nowMs = monotonicMs()
    const endUnixMs = Date.now()
    const lengthMs = Math.max(1, Math.round(nowMs - this.#startMs))
    // Begins where the one before ended, unless somebody set the clock meanwhile.
    const drifted = Math.abs(endUnixMs - this.#startUnixMs - lengthMs) > REPORT_EVERY_MS
    const goesOn = !drifted && this.#startUnixMs < endUnixMs
    const startUnixMs = goesOn ? this.#startUnixMs : endUnixMs - lengthMs
    this.#startMs = nowMs
    this.#startUnixMs = endUnixMs
    this.#sequence += 1
    const { service, namespace = '', pod = '' } = this.#options
    const counts = this.#tally.close()
    if (counts.length === 0) return
    this.#replicas.add({
      ...{ namespace, pod, service, instance: this.#instance, sequence: this.#sequence },
      ...{ startUnixMs, endUnixMs, counts },
    })
  }
}

/** Opens the way to one address. The certificate is verified for the name, whatever the address is. */
function wayOf(loaded: PackageDefinition, options: ReporterOptions): (address: string) => Way {
  const { credentials, channel, token } = options
  const method = (loaded[NAME] as ServiceDefinition | undefined)?.['Report']
  if (method === undefined) throw new Error(`no method Report in ${NAME}`)
  const retryMsOf = retryReader(loaded)
  const host = options.address.slice(0, options.address.lastIndexOf(':'))
  const verified = isIP(host) === 0 ? { 'grpc.ssl_target_name_override': host } : {}
  return (address) => {
    const client = new Client(address, credentials, {
      'grpc.max_reconnect_backoff_ms': 5000,
      'grpc.default_authority': host,
      ...verified,
      ...channel,
    })
    const send = async (report: Report) => {
      const metadata = new CallMetadata()
      if (token !== undefined) metadata.set('authorization', `Bearer ${await tokenOf(token)}`)
      return new Promise<Answer>((resolve, reject) => {
        client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          report,
          metadata,
          { deadline: Date.now() + DEADLINE_MS },
          (error: ServiceError | null, answer?: Answer) => {
            if (error === null) resolve(answer ?? { outcome: '' })
            else reject(Object.assign(error, { retryMs: retryMsOf(error) }))
          },
        )
      })
    }
    return { send, close: () => client.close() }
  }
}

/** A token that cannot be read may be there the next time: then the adapter says that it is not accepted. */
async function tokenOf(token: () => string | Promise<string>): Promise<string> {
  try {
    return (await token()).trim()
  } catch {
    return 'unreadable'
  }
}

function monotonicMs(): number {
  return performance.now()
}
