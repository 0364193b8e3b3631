import type { handleServerStreamingCall, handleUnaryCall, ServerUnaryCall } from '@grpc/grpc-js'
import { Server, status } from '@grpc/grpc-js'
import type { Component } from '../../src/ports.ts'
import { activity, metrics, metricSpec } from './answer.ts'
import { serverCredentials } from './credentials.ts'
import { badMetadata, CallFault } from './fault.ts'
import type { ExternalScalerDeps } from './ports.ts'
import { openPort } from './port.ts'
import { Reflection } from './reflection.ts'
import { internal, Streams } from './streams.ts'
import { ToldActive } from './toldActive.ts'
import { readTrigger } from './trigger.ts'
import type {
  GetMetricSpecResponse,
  GetMetricsRequest,
  HealthCheckRequest,
  HealthCheckResponse,
  IsActiveResponse,
  ScaledObjectRef,
} from './wire.ts'
import { loadServices, SCALER_NAME } from './wire.ts'

export interface ExternalScaler extends Component {
  /** Resolves with the port once connections are taken; rejects where the address cannot be had. */
  listen(address: string, port: number): Promise<number>
  /**
   * Ends streams, sends GOAWAY, lets what is in flight finish for at most `graceMs`, then ends the rest.
   */
  close(graceMs: number): Promise<void>
}

/** KEDA keeps one connection for a whole cluster: its streams and its calls share it. */
const STREAMS_MAX = 2000
const OPTIONS = {
  'grpc.max_concurrent_streams': STREAMS_MAX + 1000,
  'grpc.max_receive_message_length': 64 * 1024,
  'grpc.max_send_message_length': 64 * 1024,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // So that a client shows its certificate anew from time to time, and finds new replicas.
  'grpc.max_connection_age_ms': 3_600_000,
  'grpc.max_connection_age_grace_ms': 60_000,
  'grpc.enable_channelz': 0,
}
/**
 * KEDA drops a `true` that comes before it knows the metric, so it is said again. In an outage too: each one begins
 * KEDA's cooldown anew, and KEDA 2.20 can take an error for inactivity (docs/keda.md).
 */
const REPEAT_TRUE_MS = 30_000

/** The gRPC server that KEDA asks. Answers come from the board in memory; no call waits for anything. */
export async function createExternalScaler(deps: ExternalScalerDeps): Promise<ExternalScaler> {
  const { clock, log, transport } = deps
  const services = await loadServices()
  const streams = new Streams(clock, deps.streamsMax ?? STREAMS_MAX)
  const server = new Server(OPTIONS)
  server.addService(services.scaler, scalerMethods(deps, streams))
  server.addService(services.health, healthMethods(deps, streams))
  const reflection = new Reflection(services.descriptors, (fault) =>
    deps.observe('ServerReflectionInfo', codeOf(fault ?? null)),
  )
  for (const service of services.reflections) server.addService(service, { ...reflection.methods })
  if (transport.kind === 'plaintext')
    log.warn('INSECURE-PLAINTEXT', {
      meaning:
        'the port for KEDA is not encrypted and open to everybody; never use this in production',
    })
  else if (!transport.clientCertificates)
    log.warn('INSECURE-OPEN', {
      meaning:
        'everybody who reaches the port for KEDA can read every signal; never use this in production',
    })
  const port = openPort(server, serverCredentials(transport))
  return {
    run: (signal) => streams.run(signal),
    listen: port.listen,
    async close(graceMs) {
      const closed = new AbortController()
      const ended = port.close().then(() => closed.abort())
      // Sends GOAWAY. Its own word that all is over comes too early, so the port's sockets are waited for.
      server.tryShutdown(() => undefined)
      streams.close()
      reflection.close()
      await Promise.race([ended, clock.sleep(graceMs, closed.signal)])
      server.forceShutdown()
      port.destroy()
      await ended
    },
  }
}

type Asking = Pick<ServerUnaryCall<unknown, unknown>, 'getAuthContext'>

/** Whether the caller may ask for this namespace; the answer holds for the whole call. */
function authorize(
  { namespaces }: ExternalScalerDeps,
  ref: ScaledObjectRef | null,
  call: Asking,
): ScaledObjectRef {
  if (ref === null || ref.namespace === '')
    throw badMetadata('namespace', undefined, 'the call must name a ScaledObject and its namespace')
  if (namespaces === undefined) return ref
  const name = call.getAuthContext().sslPeerCertificate?.subject.CN
  const allowed = name === undefined ? undefined : namespaces.get(String(name))
  if (allowed?.has(ref.namespace) === true) return ref
  throw new CallFault(
    status.PERMISSION_DENIED,
    `the certificate of ${JSON.stringify(name ?? 'nobody')} is not bound to namespace ${ref.namespace}`,
  )
}

function scalerMethods(deps: ExternalScalerDeps, streams: Streams) {
  const { clock, reader } = deps
  const unary = unaryOf(deps)
  const stream = streamOf(deps, streams)
  const told = new ToldActive()
  const isActive = (ref: ScaledObjectRef): IsActiveResponse =>
    activity(readTrigger(ref, reader), clock.nowMs())
  return {
    IsActive: unary('IsActive', (asked: ScaledObjectRef, call) => {
      const ref = authorize(deps, asked, call)
      const answer = isActive(ref)
      told.note(ref, answer.result)
      return answer
    }),
    GetMetricSpec: unary('GetMetricSpec', (asked: ScaledObjectRef, call) => {
      const ref = authorize(deps, asked, call)
      return metricSpec(() => readTrigger(ref, reader))
    }),
    GetMetrics: unary('GetMetrics', ({ scaledObjectRef, metricName }: GetMetricsRequest, call) => {
      const ref = authorize(deps, scaledObjectRef, call)
      return metrics(readTrigger(ref, reader), metricName, clock.nowMs())
    }),
    StreamIsActive: stream('StreamIsActive', {
      begin: (asked: ScaledObjectRef, call) => {
        const ref = authorize(deps, asked, call)
        let noted: boolean | undefined
        return () => {
          const answer = isActive(ref)
          // It is looked at each tick.
          if (noted !== answer.result) told.note(ref, answer.result)
          noted = answer.result
          return answer
        }
      },
      // Never that it is not: nothing is known.
      before: (ref) => (told.of(ref) ? { result: true } : undefined),
      repeatAfterMs: ({ result }) => (result ? REPEAT_TRUE_MS : undefined),
      version: () => reader.tick,
    }),
    StreamMetricSpec: stream('StreamMetricSpec', {
      begin: (asked: ScaledObjectRef, call) => {
        const ref = authorize(deps, asked, call)
        return (): GetMetricSpecResponse => metricSpec(() => readTrigger(ref, reader))
      },
      repeatAfterMs: () => undefined,
      version: () => reader.tick,
    }),
  }
}

/** Serves while ready, so that a balancer turns to other replicas before this one stops. */
function healthMethods(deps: ExternalScalerDeps, streams: Streams) {
  const healthOf = (service: string): HealthCheckResponse => {
    if (service !== '' && service !== SCALER_NAME) return { status: 'SERVICE_UNKNOWN' }
    return { status: deps.isReady() ? 'SERVING' : 'NOT_SERVING' }
  }
  return {
    Check: unaryOf(deps)('Check', ({ service }: HealthCheckRequest) => {
      const health = healthOf(service)
      if (health.status !== 'SERVICE_UNKNOWN') return health
      throw new CallFault(status.NOT_FOUND, `${service} is not served here, but ${SCALER_NAME} is`)
    }),
    Watch: streamOf(deps, streams)('Watch', {
      begin:
        ({ service }: HealthCheckRequest) =>
        () =>
          healthOf(service),
      repeatAfterMs: () => undefined,
    }),
  }
}

function unaryOf(deps: ExternalScalerDeps) {
  return <Request, Response>(
      method: string,
      answer: (request: Request, call: Asking) => Response,
    ): handleUnaryCall<Request, Response> =>
    (call, callback) => {
      let fault: CallFault | null = null
      let response: Response | undefined
      try {
        response = answer(call.request, call)
      } catch (thrown) {
        fault = faultOf(thrown, method, deps)
      }
      callback(fault, response)
      deps.observe(method, codeOf(fault))
    }
}

interface Streaming<Request, Response> {
  /** Called once; what it gives tells the message that is true now, each time it is called. */
  begin(request: Request, call: Asking): () => Response
  repeatAfterMs(message: Response): number | undefined
  version?(): number
  /** What was told before, where nothing is known from the beginning. */
  before?(request: Request): Response | undefined
}

function streamOf(deps: ExternalScalerDeps, streams: Streams) {
  return <Request, Response>(
      method: string,
      { begin, repeatAfterMs, version, before }: Streaming<Request, Response>,
    ): handleServerStreamingCall<Request, Response> =>
    (call) => {
      let look: (() => Response) | undefined
      streams.open(call, {
        now: () => {
          try {
            look ??= begin(call.request, call)
            return look()
          } catch (thrown) {
            throw faultOf(thrown, method, deps)
          }
        },
        repeatAfterMs,
        ...(version === undefined ? {} : { version }),
        // Only asked for once `now` has let the caller in.
        before: () => before?.(call.request),
        ended: (fault) => deps.observe(method, codeOf(fault ?? null)),
      })
    }
}

function faultOf(thrown: unknown, method: string, { log }: ExternalScalerDeps): CallFault {
  if (thrown instanceof CallFault) return thrown
  log.error('external-scaler-fault', { method, error: thrown })
  return internal()
}

function codeOf(fault: CallFault | null): string {
  return status[fault?.code ?? status.OK]
}
