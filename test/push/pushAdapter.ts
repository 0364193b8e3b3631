import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { issueCertificate } from '../../adapter/security/selfSigned.ts'
import type { KeyPair } from '../../adapter/security/selfSigned.ts'
import { around, authority } from '../security/certificates.ts'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { startAdapter } from '../setup/adapterProcess.ts'
import { until } from '../kit/until.ts'
import { temporaryFolder } from '../setup/running.ts'

/** The adapter as its own process, with a port for reports of whom `podsCa` knows as `detector`, in `vision`. */
export interface PushAdapter {
  readonly adapter: AdapterProcess
  readonly reportPort: number
  /** Of OTLP over HTTP, where `push.http` is given. */
  readonly httpPort: number
  readonly serverCa: KeyPair
  readonly podsCa: KeyPair
  stop(): Promise<void>
}

/** `push` is the source's configuration, `signals` are the other documents, `more` is of `spec.push`. */
export async function startPushAdapter(
  push: string,
  signals: string,
  nowMs: number,
  more = '',
): Promise<PushAdapter> {
  const folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const serverCa = authority('server-ca', nowMs)
  const podsCa = authority('pods-ca', nowMs)
  const request = { commonName: 'adapter', dnsNames: ['localhost'], ...around(nowMs) }
  const serving = issueCertificate({ ...request, usages: ['serverAuth'] }, serverCa)
  writeFileSync(at('tls.crt'), serving.cert)
  writeFileSync(at('tls.key'), serving.key)
  writeFileSync(at('pods-ca.crt'), podsCa.cert)
  writeFileSync(
    at('tideline.yaml'),
    `
apiVersion: tideline.dev/v1alpha1
kind: MetricsAdapter
metadata: {name: test}
spec:
  metricsApi: {auth: {mode: insecureOpen}, drain: 0s}
  push:
    address: 127.0.0.1
    port: 0
    auth: {mode: clientCertificates, caFile: ${at('pods-ca.crt')}, namespaces: {detector: [vision]}}
    ${more}
  evaluation: {interval: 50ms}
  sources: [{name: services, push: ${push}}]
---${signals}`,
  )
  const adapter = await startAdapter([
    ...['--config', at('tideline.yaml'), '--address', '127.0.0.1', '--port', '0'],
    ...['--tls-cert-file', at('tls.crt'), '--tls-key-file', at('tls.key')],
  ])
  // From then on reports are taken; the ports are there a moment before.
  await until('the source', () => adapter.log.some(({ event }) => event === 'source-started'))
  const portOf = (name: string) => Number(adapter.log.find(({ event }) => event === name)?.['port'])
  return {
    adapter,
    reportPort: portOf('push-listening'),
    httpPort: portOf('otlp-http-listening'),
    serverCa,
    podsCa,
    async stop() {
      await adapter.stop()
      folder.remove()
    },
  }
}

/** The requests that `detector` and others report, counted, and the rate of `detector`'s alone, to scale on. */
export function requestSignals(of: {
  readonly counted?: string
  readonly rateWindow: string
  readonly target: number
}): string {
  return `
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: requests, namespace: vision}
spec:
  source: services
  select: {metric: inference_requests}
  window: {function: increase, duration: 1m}
  combine: {function: sum}
  ${of.counted ?? ''}
  expose: {external: {name: requests}}
---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: load, namespace: vision}
spec:
  source: services
  select: {metric: inference_requests, labels: {service: detector}}
  window: {function: rate, duration: ${of.rateWindow}}
  combine: {function: sum}
  expose: {keda: {target: ${of.target}}}
`
}
