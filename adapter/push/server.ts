import type { handleBidiStreamingCall, handleUnaryCall, ServerDuplexStream } from '@grpc/grpc-js'
import { Server, status } from '@grpc/grpc-js'
import { callerOf, podOf, shownBy } from './caller.ts'
import type { Caller } from './caller.ts'
import { partsOfInterval } from './paces.ts'
import { takeExport } from './otlp/export.ts'
import { loadExportType, loadMetricsService, PARTS_MAX } from './otlp/messages.ts'
import type { ExportRequest, ExportResponse } from './otlp/messages.ts'
import type { PushServerDeps } from './ports.ts'
import type { Refusal } from './refusal.ts'
import { refusalFor, refusalOf } from './refusal.ts'
import { retryTrailers } from './retryInfo.ts'
import type { Unread } from './unread.ts'
import { unread } from './unread.ts'
import type { ReportRequest, ReportResponse } from './wire.ts'
import { loadPush, loadReportType, reportOf } from './wire.ts'

export interface PushServer {
  listen(address: string, port: number): Promise<number>
  /** Takes no new report, lets those under way finish for at most `graceMs`. */
  close(graceMs: number): Promise<void>
}

const MESSAGE_BYTES_MAX = 1024 * 1024
/** Counts and their latencies; a report has a hundred of each at most. */
const REPORT_PARTS_MAX = 1000
const OPTIONS = {
  /** A pod has one connection and needs a stream or two. */
  'grpc.max_concurrent_streams': 16,
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_connection_age_ms': 3_600_000,
  'grpc.max_connection_age_grace_ms': 60_000,
  'grpc.enable_channelz': 0,
}

/** The gRPC server that services report to. */
export async function createPushServer(deps: PushServerDeps): Promise<PushServer> {
  const { clock } = deps
  const server = new Server(OPTIONS)
  const open = new Set<Reports>()
  const take = taker(deps)
  const trailersOf = await retryTrailers()
  server.addService(unread(await loadPush(), await loadReportType(), REPORT_PARTS_MAX), {
    Report: unary(deps, take, trailersOf),
    Reports: streaming(deps, take, open),
  })
  const metrics = unread(await loadMetricsService(), await loadExportType(), PARTS_MAX)
  const takeOtlp: Take<ExportRequest, ExportResponse> = (message, caller) => {
    const pace = deps.paces.ofCaller(caller, () => clock.monotonicMs())
    pace.pass()
    return takeExport(message.read(pace.spend), caller, deps)
  }
  server.addService(metrics, { Export: unary(deps, takeOtlp, trailersOf) })
  const port = deps.open(server)
  return {
    listen: port.listen,
    async close(graceMs) {
      const closed = new AbortController()
      const ended = port.close().then(() => closed.abort())
      server.tryShutdown(() => undefined)
      for (const call of open) call.end()
      await Promise.race([ended, clock.sleep(graceMs, closed.signal)])
      server.forceShutdown()
      port.destroy()
      await ended
    },
  }
}

type Reports = ServerDuplexStream<Unread<ReportRequest>, ReportResponse>

type Take<Request = ReportRequest, Response = ReportResponse> = (
  message: Unread<Request>,
  caller: Caller,
) => Response

/** Counts a report or throws `Refusal`. */
function taker(deps: PushServerDeps): Take {
  const { receiver, clock, paces, observe } = deps
  return (message, caller) => {
    const nowMs = clock.monotonicMs()
    const pace = paces.ofCaller(caller, () => nowMs)
    pace.pass()
    const request = message.read(pace.spend)
    const { namespace, pod } = podOf(caller, request)
    const key = `${namespace}/${pod}`
    if (caller.pod === undefined) paces.pass(key, nowMs)
    paces.spend(key, partsOf(request), nowMs)
    const told = receiver.report({ ...reportOf(request), namespace, pod })
    if (told.outcome === 'refused') throw refusalFor(told)
    observe(told.outcome)
    const outcome = told.outcome === 'accepted' ? 'ACCEPTED' : 'DUPLICATE'
    const { sequence, service, counts } = request
    const pods = { namespace, pod, service }
    const rate = deps.admissibleRate(
      counts.map(({ model, version }) => ({ ...pods, model, version })),
    )
    const limit = rate === undefined ? {} : { admissibleRate: rate }
    return { sequence, outcome, code: '', message: '', ...limit }
  }
}

function partsOf({ counts, startUnixMs, endUnixMs }: ReportRequest): number {
  const values = counts.reduce((sum, { latency }) => sum + 2 + (latency?.counts.length ?? 0), 0)
  return partsOfInterval(values, startUnixMs, endUnixMs)
}

function unary<Request, Response>(
  deps: PushServerDeps,
  take: Take<Request, Response>,
  trailersOf: Awaited<ReturnType<typeof retryTrailers>>,
): handleUnaryCall<Unread<Request>, Response> {
  type Handled = Parameters<handleUnaryCall<Unread<Request>, Response>>
  const answer = async (...[call, callback]: Handled) => {
    let refusal: Refusal | null = null
    let response: Response | undefined
    try {
      const caller = await callerOf(deps.proof, shownBy(call))
      response = take(call.request, caller)
    } catch (thrown) {
      refusal = refusalOf(thrown, deps)
    }
    callback(refusal, response, refusal === null ? undefined : trailersOf(refusal))
  }
  return (call, callback) => void answer(call, callback)
}

function streaming(
  deps: PushServerDeps,
  take: Take,
  open: Set<Reports>,
): handleBidiStreamingCall<Unread<ReportRequest>, ReportResponse> {
  return (call) => {
    open.add(call)
    // Asked anew for each report: a token that was withdrawn ends what it was good for. Answers are in order.
    let before: Promise<void> = Promise.resolve()
    const write = writerTo(call)
    const answer = async (report: Unread<ReportRequest>): Promise<void> => {
      try {
        await write(take(report, await callerOf(deps.proof, shownBy(call))))
      } catch (thrown) {
        const { code, message, retryMs } = refusalOf(thrown, deps)
        const when = retryMs === undefined ? {} : { retryAfterMs: Math.ceil(retryMs) }
        const sequence = report.number('sequence')
        await write({ sequence, outcome: 'REFUSED', code: status[code], message, ...when })
      }
    }
    call.on('data', (request: Unread<ReportRequest>) => {
      // One at a time: a sender that is quicker than its answers, or does not read them, is held back by the
      // connection.
      call.pause()
      before = before.then(() => answer(request)).finally(() => void call.resume())
    })
    call.once('end', () => void before.then(() => call.end()))
    call.on('error', () => open.delete(call))
    call.once('cancelled', () => open.delete(call))
    call.once('close', () => open.delete(call))
  }
}

/** Writes an answer; resolves when there is room for the next one, or nobody is there for it. */
function writerTo(call: Reports): (response: ReportResponse) => Promise<void> {
  let goOn: () => void = () => undefined
  for (const event of ['drain', 'close', 'cancelled', 'error']) call.on(event, () => goOn())
  return async (response) => {
    if (call.cancelled || call.destroyed || call.write(response)) return
    await new Promise<void>((resolve) => (goOn = resolve))
  }
}
