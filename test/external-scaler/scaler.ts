/** A running external scaler over a real board, and a real gRPC client that asks it. */
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import type {
  ChannelCredentials,
  ClientReadableStream,
  ServiceDefinition,
  ServiceError,
} from '@grpc/grpc-js'
import { createExternalScaler } from '../../adapter/external-scaler/server.ts'
import type { ExternalScalerDeps, Transport } from '../../adapter/external-scaler/ports.ts'
import { loadServices } from '../../adapter/external-scaler/wire.ts'
import type { Labels, Reading, Signal, SignalReadings } from '../../src/model.ts'
import { createBoard } from '../../src/signal/board.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { signalOf } from '../kit/signals.ts'

const WHY = { series: { fresh: 1, stale: 0, warmingUp: 0 } }

export function fresh(value: number, labels: Labels = {}): Reading {
  return { state: 'fresh', labels, value, dataMs: 0, windowMs: 0, why: WHY }
}

export function stale(cause: string, labels: Labels = {}): Reading {
  return { state: 'stale', labels, lastValue: 99, dataMs: 0, ageMs: 90_000, cause, why: WHY }
}

export function absent(cause: string, labels: Labels = {}): Reading {
  return { state: 'absent', labels, reason: 'source-failing', cause, why: WHY }
}

export const QUEUE = signalOf({
  expose: {
    external: { name: 'queue' },
    keda: { name: 'queue-depth', target: 10, activation: 0 },
  },
})

/** What a test's serving certificate is for. */
export const SERVER_NAME = 'scaler.test'

export interface Running {
  readonly port: number
  readonly clock: ManualClock
  readonly log: RecordingLogger
  readonly board: ReturnType<typeof createBoard>
  readonly calls: string[]
  ready: boolean
  /** Puts one signal on the board, as of now. */
  show(signal: Signal, ...readings: Reading[]): void
  showAll(...all: SignalReadings[]): void
  client(channel?: ChannelCredentials): ScalerClient
  close(graceMs?: number): Promise<void>
}

export async function startScaler(
  changes: Partial<ExternalScalerDeps> = {},
  transport: Transport = { kind: 'plaintext' },
): Promise<Running> {
  const clock = new ManualClock()
  const log = new RecordingLogger()
  const board = createBoard()
  const calls: string[] = []
  const services = await loadServices()
  const life = new AbortController()
  const clients: ScalerClient[] = []
  const running = {
    ready: true,
  }
  const scaler = await createExternalScaler({
    reader: board,
    clock,
    log,
    transport,
    isReady: () => running.ready,
    observe: (method, code) => calls.push(`${method} ${code}`),
    ...changes,
  })
  const port = await scaler.listen('127.0.0.1', 0)
  const run = scaler.run(life.signal)
  const showAll = (...all: SignalReadings[]) => board.publish(all, true)
  return Object.assign(running, {
    port,
    clock,
    log,
    board,
    calls,
    showAll,
    show: (signal: Signal, ...readings: Reading[]) =>
      showAll({ signal, evaluatedMs: clock.nowMs(), readings }),
    client(channel = credentials.createInsecure()) {
      const client = new ScalerClient(`127.0.0.1:${port}`, channel, services)
      clients.push(client)
      return client
    },
    async close(graceMs = 1000) {
      const closed = scaler.close(graceMs)
      for (const client of clients) client.close()
      await closed
      life.abort()
      await run
    },
  })
}

export type TriggerMetadata = Readonly<Record<string, string>>

export function ref(scalerMetadata: TriggerMetadata = { signal: 'queue' }, namespace = 'vision') {
  return {
    name: 'worker',
    namespace,
    scalerMetadata: { scalerAddress: 'tideline:6444', ...scalerMetadata },
  }
}

/** Each method gives a fault as `CODE: message`, an answer as it came. */
export class ScalerClient extends Client {
  readonly #services: { readonly scaler: ServiceDefinition; readonly health: ServiceDefinition }

  constructor(
    address: string,
    channel: ChannelCredentials,
    services: { readonly scaler: ServiceDefinition; readonly health: ServiceDefinition },
  ) {
    // An address is no name that TLS could verify.
    super(address, channel, { 'grpc.ssl_target_name_override': SERVER_NAME })
    this.#services = services
  }

  ask(method: string, request: unknown): Promise<unknown> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method)
    return new Promise((resolve) => {
      this.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        { deadline: Date.now() + 5000 },
        (error: ServiceError | null, answer?: unknown) =>
          resolve(error === null ? answer : faultText(error)),
      )
    })
  }

  spec(metadata?: TriggerMetadata, namespace?: string): Promise<unknown> {
    return this.ask('GetMetricSpec', ref(metadata, namespace))
  }

  async value(
    metadata?: TriggerMetadata,
    namespace?: string,
    metricName = 'queue-depth',
  ): Promise<unknown> {
    const asked = { scaledObjectRef: ref(metadata, namespace), metricName }
    const answer = await this.ask('GetMetrics', asked)
    return typeof answer === 'string'
      ? answer
      : (answer as { metricValues: { metricValueFloat: number }[] }).metricValues[0]
          ?.metricValueFloat
  }

  async active(metadata?: TriggerMetadata, namespace?: string): Promise<unknown> {
    const answer = await this.ask('IsActive', ref(metadata, namespace))
    return typeof answer === 'string' ? answer : (answer as { result: boolean }).result
  }

  stream(method: string, request: unknown): Heard {
    const { path, requestSerialize, responseDeserialize } = this.#method(method)
    const call = this.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
    ) as ClientReadableStream<unknown>
    const heard: Heard = { messages: [], end: undefined, cancel: () => call.cancel() }
    call.on('data', (message) => heard.messages.push(message))
    call.on('error', (error) => (heard.end = faultText(error as ServiceError)))
    call.on('end', () => (heard.end ??= 'OK'))
    return heard
  }

  #method(name: string) {
    const found = this.#services.scaler[name] ?? this.#services.health[name]
    if (found === undefined) throw new Error(`no method ${name}`)
    return found
  }
}

export interface Heard {
  readonly messages: unknown[]
  end: string | undefined
  cancel(): void
}

function faultText(error: ServiceError): string {
  return `${status[error.code]}: ${error.details}`
}
