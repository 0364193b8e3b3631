/** A gRPC server under test, in its own process so that its CPU time is its alone; driven by `externalScaler.ts`. */
import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { sendUnaryData } from '@grpc/grpc-js'
import { createExternalScaler } from '../../adapter/external-scaler/server.ts'
import { loadServices } from '../../adapter/external-scaler/wire.ts'
import { systemClock } from '../../src/clock.ts'
import type { Reading, Signal, SignalReadings } from '../../src/model.ts'
import { createBoard } from '../../src/signal/board.ts'
import { signalOf } from '../kit/signals.ts'

export interface ScalerStart {
  readonly subject: 'bare' | 'tideline'
  readonly cert: string
  readonly key: string
  readonly ca: string
  readonly signals: number
}

process.on('message', (message: ScalerStart | 'usage') => {
  if (message === 'usage') {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuMicroseconds: user + system, rssBytes: process.memoryUsage().rss })
    return
  }
  void (message.subject === 'bare' ? bare(message) : tideline(message)).then((port) =>
    process.send?.({ port }),
  )
})
process.on('disconnect', () => process.exit(0))

/** The library's server as it comes, with a fixed answer to each method. */
async function bare({ cert, key, ca }: ScalerStart): Promise<number> {
  const { scaler } = await loadServices()
  const server = new Server()
  const fixed = (answer: unknown) => (_call: unknown, callback: sendUnaryData<unknown>) =>
    callback(null, answer)
  const metricName = 'queue-depth'
  server.addService(scaler, {
    GetMetrics: fixed({
      metricValues: [{ metricName, metricValue: 1235, metricValueFloat: 1234.5 }],
    }),
    IsActive: fixed({ result: true }),
    GetMetricSpec: fixed({ metricSpecs: [{ metricName, targetSize: 10, targetSizeFloat: 10 }] }),
  })
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }
  const credentials = ServerCredentials.createSsl(Buffer.from(ca), [pair], true)
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
      if (error === null) resolve(port)
      else reject(error)
    })
  })
}

async function tideline({ cert, key, ca, signals }: ScalerStart): Promise<number> {
  const board = createBoard()
  const defined = definitions(signals)
  const publish = (): void => board.publish(readings(defined, systemClock.nowMs()), false)
  publish()
  setInterval(publish, 1000).unref()
  const scaler = await createExternalScaler({
    reader: board,
    clock: systemClock,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    transport: {
      kind: 'tls',
      tls: { material: { cert, key, ca }, follow() {} },
      clientCertificates: true,
    },
    isReady: () => true,
    observe() {},
  })
  return scaler.listen('127.0.0.1', 0)
}

function definitions(count: number): Signal[] {
  const keda = { name: 'queue-depth', target: 10, activation: 0 }
  return Array.from({ length: count }, (_, index) => {
    const name = `queue-${index}`
    return signalOf({ id: `vision/${name}`, name, expose: { keda } })
  })
}

function readings(signals: readonly Signal[], nowMs: number): SignalReadings[] {
  return signals.map((signal) => {
    const reading: Reading = {
      state: 'fresh',
      labels: {},
      value: 1234.5,
      dataMs: nowMs - 700,
      windowMs: 0,
      why: { series: { fresh: 1, stale: 0, warmingUp: 0 } },
    }
    return { signal, evaluatedMs: nowMs, readings: [reading] }
  })
}
