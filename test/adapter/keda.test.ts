/** The whole adapter as its own process, asked by a gRPC client that proves itself by a certificate. */
import { credentials } from '@grpc/grpc-js'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadServices } from '../../adapter/external-scaler/wire.ts'
import { issueCertificate } from '../../adapter/security/selfSigned.ts'
import type { KeyPair } from '../../adapter/security/selfSigned.ts'
import { ref, ScalerClient, SERVER_NAME } from '../external-scaler/scaler.ts'
import { until } from '../kit/until.ts'
import { around, authority, client as clientOf } from '../security/certificates.ts'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { startAdapter } from '../setup/adapterProcess.ts'
import { eventually, temporaryFolder } from '../setup/running.ts'

const NOW_MS = Date.now()
const folder = temporaryFolder()
const at = (name: string) => join(folder.path, name)
const pod = createServer((_request, response) => {
  response.setHeader('content-type', 'text/plain')
  response.end('waiting 7\n')
})
let adapter: AdapterProcess
let services: Awaited<ReturnType<typeof loadServices>>
let authorities = makeAuthorities('first')
const clients: ScalerClient[] = []

function makeAuthorities(name: string) {
  return {
    server: authority(`${name}-server-ca`, NOW_MS),
    keda: authority(`${name}-keda-ca`, NOW_MS),
  }
}

function writeMaterial(): void {
  const request = { commonName: 'adapter', dnsNames: [SERVER_NAME], ...around(NOW_MS) }
  const serving = issueCertificate({ ...request, usages: ['serverAuth'] }, authorities.server)
  writeFileSync(at('tls.crt'), serving.cert)
  writeFileSync(at('tls.key'), serving.key)
  writeFileSync(at('keda-ca.crt'), authorities.keda.cert)
}

function configText(): string {
  const { port } = pod.address() as AddressInfo
  return `
apiVersion: tideline.dev/v1alpha1
kind: MetricsAdapter
metadata: {name: test}
spec:
  metricsApi: {auth: {mode: insecureOpen}, drain: 0s}
  externalScaler:
    address: 127.0.0.1
    port: 0
    auth:
      mode: clientCertificates
      caFile: ${at('keda-ca.crt')}
      namespaces: {keda: [vision]}
  evaluation: {interval: 50ms}
  sources:
    - name: pods
      scrape:
        interval: 100ms
        timeout: 90ms
        targets: [{url: 'http://127.0.0.1:${port}/metrics', labels: {namespace: vision, pod: v-0}}]
---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: queue, namespace: vision}
spec:
  source: pods
  select: {metric: waiting}
  freshFor: 1s
  expose: {external: {name: queue_depth}, keda: {name: queue-depth, target: 5}}
`
}

beforeAll(async () => {
  services = await loadServices()
  await new Promise<void>((resolve) => pod.listen(0, '127.0.0.1', resolve))
  writeMaterial()
  writeFileSync(at('tideline.yaml'), configText())
  adapter = await startAdapter([
    ...['--config', at('tideline.yaml'), '--address', '127.0.0.1', '--port', '0'],
    ...['--tls-cert-file', at('tls.crt'), '--tls-key-file', at('tls.key')],
  ])
})

afterAll(async () => {
  for (const client of clients) client.close()
  await adapter?.stop()
  pod.closeAllConnections()
  pod.close()
  folder.remove()
})

function dial(own?: KeyPair): ScalerClient {
  const entry = adapter.log.find((each) => each['event'] === 'external-scaler-listening')
  const buffer = (text?: string) => (text === undefined ? null : Buffer.from(text))
  const channel = credentials.createSsl(
    buffer(authorities.server.cert),
    buffer(own?.key),
    buffer(own?.cert),
  )
  const client = new ScalerClient(`127.0.0.1:${String(entry?.['port'])}`, channel, services)
  clients.push(client)
  return client
}

const keda = () => clientOf(authorities.keda, NOW_MS, { commonName: 'keda' })

test('KEDA and the metrics API are told the same', async () => {
  const client = dial(keda())
  await eventually('the value', async () => expect(await client.value()).toBe(7))
  expect(await client.active()).toBe(true)
  const path = '/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/queue_depth'
  expect((await adapter.get(path)).json).toMatchObject({ items: [{ value: '7' }] })
  expect(await client.value({ signal: 'queue' }, 'other')).toMatch(/^PERMISSION_DENIED/)
  expect(await dial().value()).toMatch(/^UNAVAILABLE/)
  const { text } = await adapter.get('/metrics')
  expect(text).toMatch(/tideline_external_scaler_calls_total\{method="GetMetrics",code="OK"\} \d/)
})

test('renewed files are taken without restart, by new connections', async () => {
  const before = dial(keda())
  expect(await before.value()).toBe(7)
  authorities = makeAuthorities('second')
  writeMaterial()
  await eventually('the new pair', async () => expect(await dial(keda()).value()).toBe(7), 15_000)
  expect(await before.value()).toBe(7)
})

test('it ends its streams and then itself', async () => {
  const client = dial(keda())
  const heard = client.stream('StreamIsActive', ref())
  await until('a state', () => heard.messages.length === 1)
  expect(await adapter.stop('SIGTERM')).toBe(0)
  expect(heard.end).toBe('OK')
  expect(adapter.log.at(-1)).toMatchObject({ event: 'stopped' })
})

test('a start without a CA says what is missing', async () => {
  const text = configText().replace(/caFile: .*/, '')
  writeFileSync(at('tideline.yaml'), text)
  const args = ['--config', at('tideline.yaml'), '--self-signed', 'localhost', '--port', '0']
  expect(await startAdapter(args).then(() => 'started', String)).toContain(
    'give externalScaler.auth.caFile or --tls-ca-file',
  )
})
