/** The configuration of the demo, as a user would write it. */
import type { Pod } from './pods.ts'

export interface AdapterDocument {
  readonly caFile: string
  readonly targetsFile: string
  readonly redisUrl: string | undefined
  readonly events: EventsTopic | undefined
}

/** Where the detections are published. */
export interface EventsTopic {
  readonly brokers: readonly string[]
  readonly topic: string
}

export function adapterYaml({ caFile, targetsFile, redisUrl, events }: AdapterDocument): string {
  const redis =
    redisUrl === undefined
      ? ''
      : `
    - name: queues
      redis:
        url: ${JSON.stringify(redisUrl)}
        interval: 1s
        keys:
          - {key: "tideline-demo:frames", as: list}
`
  const kafka =
    events === undefined
      ? ''
      : `
    - name: detections
      kafkaEvents:
        brokers: ${JSON.stringify(events.brokers)}
        topic: ${JSON.stringify(events.topic)}
        metric: vision_detections
        labels: {class: {field: class}}
        time: {field: ts, format: rfc3339}
        expect: [{class: person}]
        window: 1m
`
  return `apiVersion: tideline.dev/v1alpha1
kind: MetricsAdapter
metadata: {name: demo}
spec:
  metricsApi:
    auth: {mode: clientCertificates, caFile: ${JSON.stringify(caFile)}}
    drain: 0s
  sources:
    - name: vision-pods
      scrape:
        interval: 2s
        timeout: 1s
        targetsFile: ${JSON.stringify(targetsFile)}
${redis}${kafka}`
}

export function signalsYaml(withRedis: boolean, withKafka: boolean): string {
  const queue = `---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: queue, namespace: vision}
spec:
  source: queues
  select: {metric: redis_list_length, labels: {key: "tideline-demo:frames"}}
  freshFor: 10s
  expose: {external: {name: vision_queue_depth}}
`
  return `apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: requests, namespace: vision}
spec:
  source: vision-pods
  select: {metric: http_requests_total}
  window: {function: rate, duration: 10s}
  combine: {function: sum, by: [pod]}
  freshFor: 10s
  stabilize: {window: 20s}
  expose: {custom: {name: http_requests_per_second, on: pods}}
---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: persons, namespace: vision}
spec:
  ${withKafka ? EVENTS_SELECT : PODS_SELECT}
  window: {function: rate, duration: 10s}
  freshFor: 10s
  expose: {external: {name: vision_person_detections_per_second}}
${withRedis ? queue : ''}`
}

const PODS_SELECT = `source: vision-pods
  select: {metric: vision_detection_count_total, labels: {class: person}}`

const EVENTS_SELECT = `source: detections
  select: {metric: vision_detections, labels: {class: person}}`

/** The targets file: which pods there are now. */
export function targetsJson(pods: readonly Pod[]): string {
  const targets = pods.map(({ name, url }) => ({
    url,
    labels: { namespace: 'vision', pod: name, app: 'vision' },
  }))
  return JSON.stringify(targets, null, 2)
}
