/** A gRPC server under test, in its own process so that its CPU time is its alone; driven by `reporter.ts`. */
import { credentials, Server, ServerCredentials, ServerInterceptingCall } from '@grpc/grpc-js'
import type { sendUnaryData, ServerDuplexStream, ServerInterceptor } from '@grpc/grpc-js'
import { startReporter } from '../../reporter/reporter.ts'

export interface ReporterStart {
  readonly subject: ReporterSubject
  /** Of the port that is reported to. */
  readonly pushPort: number
}

export const SUBJECTS = ['bare', 'empty', 'reporting', 'shedding'] as const
export type ReporterSubject = (typeof SUBJECTS)[number]

const codec = {
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
}
export const DETECT = {
  one: { path: '/detect/one', requestStream: false, responseStream: false, ...codec },
  many: { path: '/detect/many', requestStream: true, responseStream: true, ...codec },
}

process.on('message', (message: ReporterStart | 'usage') => {
  if (message === 'usage') {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuMicroseconds: user + system })
    return
  }
  void serve(message).then((port) => process.send?.({ port }))
})
process.on('disconnect', () => process.exit(0))

async function serve({ subject, pushPort }: ReporterStart): Promise<number> {
  const interceptors = await interceptorsOf(subject, pushPort)
  const server = new Server({ interceptors })
  server.addService(DETECT, {
    one: (call: { request: Buffer }, answer: sendUnaryData<Buffer>) => answer(null, call.request),
    many(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (frame: Buffer) => call.write(frame))
      call.on('end', () => call.end())
    },
  })
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port)
      else reject(error)
    })
  })
}

async function interceptorsOf(
  subject: ReporterSubject,
  pushPort: number,
): Promise<ServerInterceptor[]> {
  if (subject === 'bare') return []
  // What the library itself takes for an interceptor that does nothing.
  if (subject === 'empty') return [(_method, call) => new ServerInterceptingCall(call)]
  const reporter = await startReporter({
    ...{ address: `127.0.0.1:${pushPort}`, credentials: credentials.createInsecure() },
    ...{ service: 'detector', namespace: 'vision', pod: 'v-0', shed: subject === 'shedding' },
    kinds: [{ model: 'yolo', version: '8' }],
  })
  return [reporter.interceptor]
}
