import { Client, credentials, Metadata, ServerCredentials, status } from '@grpc/grpc-js'
import type { ChannelCredentials, ChannelOptions, Server, ServiceError } from '@grpc/grpc-js'
import { openPort } from '../../adapter/external-scaler/port.ts'
import { Paces } from '../../adapter/push/paces.ts'
import type { PushServerDeps } from '../../adapter/push/ports.ts'
import { createPushServer } from '../../adapter/push/server.ts'
import { loadPush } from '../../adapter/push/wire.ts'
import type { ReportRequest, ReportResponse } from '../../adapter/push/wire.ts'
import { systemClock } from '../../src/clock.ts'
import type { PushReceiver } from '../../src/ports.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'

export type Answer = ReportResponse | string

/** A report that ended just now, of one call unless told otherwise. */
export function report(overrides: Partial<ReportRequest> = {}): ReportRequest {
  const endUnixMs = Date.now()
  return {
    namespace: 'vision',
    pod: 'v-0',
    service: 'detector',
    instance: 'first',
    sequence: 1,
    startUnixMs: endUnixMs - 1,
    endUnixMs,
    counts: [{ model: 'yolo', version: '8', requests: 1, errors: 0, latency: null }],
    ...overrides,
  }
}

/** A real client of the port for reports. */
export class PushClient {
  readonly #client: Client
  readonly #methods: Awaited<ReturnType<typeof loadPush>>

  constructor(
    port: number,
    methods: Awaited<ReturnType<typeof loadPush>>,
    channel: ChannelCredentials = credentials.createInsecure(),
    options: ChannelOptions = {},
  ) {
    this.#client = new Client(`localhost:${port}`, channel, options)
    this.#methods = methods
  }

  /** The answer, or `CODE: message`. */
  async report(request: ReportRequest, token?: string): Promise<Answer> {
    try {
      return await this.ask(request, token)
    } catch (thrown) {
      const { code, details } = thrown as ServiceError
      return `${status[code]}: ${details}`
    }
  }

  /** Rejects with `ServiceError`. */
  ask(request: ReportRequest, token?: string): Promise<ReportResponse> {
    const { path, requestSerialize, responseDeserialize } = this.#method('Report')
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        proofOf(token),
        { deadline: Date.now() + 10_000 },
        (error: ServiceError | null, answer?: ReportResponse) =>
          answer === undefined ? reject(error ?? new Error('no answer')) : resolve(answer),
      )
    })
  }

  /** All answers of one stream. */
  async reports(
    requests: readonly ReportRequest[],
    token?: string,
  ): Promise<readonly ReportResponse[]> {
    const { path, requestSerialize, responseDeserialize } = this.#method('Reports')
    const call = this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      proofOf(token),
    )
    for (const request of requests) call.write(request)
    call.end()
    const answers: ReportResponse[] = []
    for await (const answer of call) answers.push(answer as ReportResponse)
    return answers
  }

  close(): void {
    this.#client.close()
  }

  #method(name: string) {
    const found = this.#methods[name]
    if (found === undefined) throw new Error(`no method ${name}`)
    return found
  }
}

function proofOf(token: string | undefined): Metadata {
  const metadata = new Metadata()
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
  return metadata
}

/** As wide as it can be, where it is not told. */
export function pacesOf(told: Partial<ConstructorParameters<typeof Paces>[0]>): Paces {
  return new Paces({ reportsPerSecond: 1000, partsPerSecond: 1e9, ...told })
}

const NO_MEASUREMENTS = { outcome: 'taken', taken: 0, refused: new Map<string, number>() } as const

export interface RunningPush {
  readonly port: number
  readonly client: PushClient
  readonly outcomes: readonly string[]
  close(): Promise<void>
}

export type PushSettings = Partial<Omit<PushServerDeps, 'receiver'>> & {
  readonly receiver: Pick<PushReceiver, 'report'> & Partial<PushReceiver>
}

/** The port for reports on a free port, in plain text unless told otherwise. */
export async function startPush(
  deps: PushSettings,
  channel?: ChannelCredentials,
): Promise<RunningPush> {
  const outcomes: string[] = []
  const server = await createPushServer({
    clock: systemClock,
    log: new RecordingLogger(),
    proof: { kind: 'none' },
    paces: pacesOf({}),
    open: (grpc: Server) => openPort(grpc, ServerCredentials.createInsecure()),
    admissibleRate: () => undefined,
    observe: (outcome) => outcomes.push(outcome),
    observePoints: () => undefined,
    ...deps,
    receiver: { measure: () => NO_MEASUREMENTS, ...deps.receiver },
  })
  const port = await server.listen('127.0.0.1', 0)
  const client = new PushClient(port, await loadPush(), channel)
  return {
    port,
    client,
    outcomes,
    async close() {
      client.close()
      await server.close(1000)
    },
  }
}
