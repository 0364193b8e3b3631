/** A loop that reads the metrics API as the HPA does and decides by the HPA's rule. */
import { Agent, request } from 'node:https'

export interface Api {
  /** GET; resolves with status and parsed body, rejects where there is no answer. */
  get(path: string): Promise<{ readonly status: number; readonly body: unknown }>
  close(): void
}

export interface ApiOptions {
  readonly port: number
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const ANSWER_TIMEOUT_MS = 3000

export function connectApi(options: ApiOptions): Api {
  const { port, ...tls } = options
  const agent = new Agent({ ...tls, keepAlive: true, servername: 'localhost' })
  return {
    get: (path) =>
      new Promise((resolve, reject) => {
        const asked = request(
          { host: '127.0.0.1', port, path, agent, timeout: ANSWER_TIMEOUT_MS },
          (response) => {
            let text = ''
            response.setEncoding('utf8')
            response.on('data', (part: string) => (text += part))
            response.on('error', reject)
            response.on('end', () => {
              resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as unknown })
            })
          },
        )
        asked.on('timeout', () => asked.destroy(new Error('no answer in time')))
        asked.on('error', reject)
        asked.end()
      }),
    close: () => agent.destroy(),
  }
}

/** A Quantity as the API prints it, in plain units. */
export function quantityValue(text: string): number {
  const [, digits = '0', suffix = ''] = /^(-?[0-9.]+)([mkMG]?)$/.exec(text) ?? []
  const scale = { '': 1, m: 1e-3, k: 1e3, M: 1e6, G: 1e9 }[suffix] ?? 1
  return Number(digits) * scale
}

const TOLERANCE = 0.1

/**
 * The HPA's rule for an average per pod: replicas follow the ratio of value and target, and nothing happens
 * within a tolerance of 10 %.
 */
export function desiredReplicas(total: number, target: number, replicas: number): number {
  const ratio = total / (target * replicas)
  return Math.abs(ratio - 1) <= TOLERANCE ? replicas : Math.ceil(total / target)
}

/** What one round asked of the API and was told. */
export interface Asked {
  readonly ok: boolean
  readonly path: string
  readonly answer: string
  readonly others: readonly { readonly name: string; readonly answer: string }[]
}

const BASE = '/apis/custom.metrics.k8s.io/v1beta2/namespaces/vision'
/** What the loop asks, as the HPA of a Pods metric does. */
export const PODS_PATH = `${BASE}/pods/*/http_requests_per_second?labelSelector=app%3Dvision`
