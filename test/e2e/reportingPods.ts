import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js'
import type { sendUnaryData } from '@grpc/grpc-js'
import type { Pod, PodHost } from '../controlPlane/fakeKubelet.ts'
import type { Reporter, ReporterOptions } from '../../reporter/reporter.ts'
import { startReporter } from '../../reporter/reporter.ts'

/** The pods of a service whose gRPC servers have the reporter in them, and the load on them. */
export interface ReportingPods extends PodHost {
  /** Calls per second to all pods together; they go to each in turn. */
  setLoad(perSecond: number): void
  /**
   * When (`performance.now()`) the load was last so late that it was not even: nothing for half a second or longer, then
   * all of it at once. Whoever measures it has to say so.
   */
  unevenMs(): number
  /** Calls that were made, that were answered, and why reports did not go, of the pods that run. */
  counters(): readonly { readonly pod: string; readonly lastFault: string | undefined }[]
}

interface Running {
  readonly name: string
  readonly reporter: Reporter
  readonly server: Server
  readonly client: Client
}

const EVERY_MS = 50
const UNEVEN_MS = 500
const codec = {
  requestSerialize: (text: string) => Buffer.from(text),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (text: string) => Buffer.from(text),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
}
const DETECT = { path: '/vision/detect', requestStream: false, responseStream: false, ...codec }

/** Pods named `workload` have an address of their own and this port; others only have an address. */
export function createReportingPods(
  workload: string,
  port: number,
  optionsOf: (pod: Pod) => Promise<ReporterOptions>,
): ReportingPods {
  const pods = new Map<string, Running>()
  const network = `127.${100 + (process.pid % 100)}`
  let addresses = 0
  let perSecond = 0
  let due = 0
  let turn = 0
  let timer: NodeJS.Timeout | undefined

  let countedMs = performance.now()
  let unevenMs = -Infinity

  /** Timers come late on a busy machine; what is due is due all the same. */
  function load(): void {
    const nowMs = performance.now()
    if (nowMs - countedMs > UNEVEN_MS) unevenMs = nowMs
    due += (perSecond * (nowMs - countedMs)) / 1000
    countedMs = nowMs
    const running = [...pods.values()]
    if (running.length === 0) due = 0
    for (; due >= 1; due -= 1) {
      const pod = running[(turn += 1) % running.length]
      const { path, requestSerialize, responseDeserialize } = DETECT
      pod?.client.makeUnaryRequest(path, requestSerialize, responseDeserialize, 'frame', () => undefined) // prettier-ignore
    }
  }

  async function open(ip: string, reporter: Reporter): Promise<Server> {
    const server = new Server({ interceptors: [reporter.interceptor] })
    server.addService(
      { detect: DETECT },
      {
        detect: (call: { request: string }, answer: sendUnaryData<string>) =>
          answer(null, call.request),
      },
    )
    const own = ServerCredentials.createInsecure()
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`${ip}:${port}`, own, (error) =>
        error === null ? resolve() : reject(error),
      )
    })
    return server
  }

  return {
    setLoad(value) {
      if (timer === undefined) countedMs = performance.now()
      load()
      perSecond = value
      timer ??= setInterval(load, EVERY_MS).unref()
    },
    unevenMs: () => unevenMs,
    counters: () =>
      [...pods.values()].map(({ name, reporter }) => ({ pod: name, ...reporter.counters() })),
    async start(pod) {
      addresses += 1
      const ip = `${network}.${addresses >> 8}.${addresses & 255}`
      const { name, uid, labels } = pod.metadata
      if (labels?.['app.kubernetes.io/name'] !== workload) return { ip }
      const reporter = await startReporter(await optionsOf(pod))
      const server = await open(ip, reporter)
      const client = new Client(`${ip}:${port}`, credentials.createInsecure())
      pods.set(uid, { name, reporter, server, client })
      return { ip }
    },
    async stop(pod) {
      const running = pods.get(pod.metadata.uid)
      pods.delete(pod.metadata.uid)
      running?.client.close()
      running?.server.forceShutdown()
      await running?.reporter.close()
    },
  }
}
