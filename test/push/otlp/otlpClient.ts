import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { otlpOverHttp } from '../../../adapter/push/otlp/http.ts'
import { systemClock } from '../../../src/clock.ts'
import type { PushReceiver } from '../../../src/ports.ts'
import { RecordingLogger } from '../../kit/recordingLogger.ts'
import { pacesOf } from '../pushClient.ts'

type Settings = Partial<Parameters<typeof otlpOverHttp>[0]> & { readonly receiver: PushReceiver }

export interface OtlpPort {
  readonly url: string
  readonly log: RecordingLogger
  /** Of each export, as the metric counts them. */
  readonly outcomes: readonly string[]
  post(
    body: string | Uint8Array<ArrayBuffer>,
    headers?: Readonly<Record<string, string>>,
    path?: string,
  ): Promise<Response>
  close(): void
}

/** The port for OTLP over HTTP, in plain text, and what posts to it. */
export async function startOtlp(settings: Settings): Promise<OtlpPort> {
  const log = new RecordingLogger()
  const outcomes: string[] = []
  const listener = await otlpOverHttp({
    ...{ clock: systemClock, log, proof: { kind: 'none' } },
    paces: pacesOf({}),
    observe: (outcome) => outcomes.push(outcome),
    observePoints: () => undefined,
    ...settings,
  })
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...{ url, log, outcomes },
    post: (body, headers = {}, path = '/v1/metrics') =>
      fetch(`${url}${path}`, {
        ...{ method: 'POST', body },
        headers: { 'content-type': 'application/json', ...headers },
      }),
    close: () => server.close(),
  }
}

/** An export of one gauge, `depth`, of the pod `vision/v-0`. */
export function depthOf(value: number, nowMs: number): string {
  const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })
  const point = { timeUnixNano: `${nowMs}000000`, asDouble: value }
  const attributes = [text('k8s.namespace.name', 'vision'), text('k8s.pod.name', 'v-0')]
  // A field of a later version is not known, and no fault.
  const scope = { tomorrow: true, metrics: [{ name: 'depth', gauge: { dataPoints: [point] } }] }
  return JSON.stringify({ resourceMetrics: [{ resource: { attributes }, scopeMetrics: [scope] }] })
}
