/**
 * Simulated vision pods: real HTTP servers with a metrics page, and work that is shared between those that
 * are ready. A pod takes time to start, as one that loads a model does.
 */
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

const CLASSES = ['person', 'car', 'bicycle'] as const
const SHARES: Readonly<Record<(typeof CLASSES)[number], number>> = {
  person: 2.1,
  car: 0.8,
  bicycle: 0.2,
}

const CAMERAS = 4
const CONFIDENCE_MIN_PERCENT = 75
const CONFIDENCE_STEPS = 25

/** What a vision service says of one thing that it saw. */
export interface Detection {
  readonly class: string
  readonly confidence: number
  readonly camera: string
  readonly pod: string
}

export interface Pod {
  readonly name: string
  readonly url: string
  ready: boolean
}

export interface Fleet {
  pods(): readonly Pod[]
  /** Starts or stops pods until there are `count`; new ones are ready `startMs` later. */
  scaleTo(count: number, nowMs: number): Promise<void>
  /** Lets `seconds` of load pass over the ready pods, and answers what they saw; what they cannot take waits. */
  work(requestsPerSecond: number, seconds: number, nowMs: number): readonly Detection[]
  waiting(): number
  close(): Promise<void>
}

interface LivePod extends Pod {
  readonly server: Server
  readonly readyAtMs: number
  requests: number
  readonly detections: Record<(typeof CLASSES)[number], number>
}

export interface FleetOptions {
  readonly startMs: number
  /** Requests a pod can do in a second. */
  readonly podCapacity: number
}

export function createFleet(options: FleetOptions): Fleet {
  const live: LivePod[] = []
  let started = 0
  let backlog = 0

  async function start(nowMs: number): Promise<void> {
    started += 1
    const name = `vision-${started}`
    const server = createServer((_request, response) => {
      const pod = live.find((one) => one.name === name)
      response.setHeader('content-type', 'text/plain; version=0.0.4')
      response.end(pod === undefined ? '' : metricsPage(pod))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    live.push({
      name,
      url: `http://127.0.0.1:${port}/metrics`,
      server,
      ready: false,
      readyAtMs: nowMs + options.startMs,
      requests: 0,
      detections: { person: 0, car: 0, bicycle: 0 },
    })
  }

  async function stop(): Promise<void> {
    const pod = live.pop()
    if (pod === undefined) return
    pod.server.closeAllConnections()
    await new Promise((resolve) => pod.server.close(resolve))
  }

  return {
    pods: () => live,
    async scaleTo(count, nowMs) {
      while (live.length < count) await start(nowMs)
      while (live.length > count) await stop()
    },
    work(requestsPerSecond, seconds, nowMs) {
      for (const pod of live) pod.ready ||= nowMs >= pod.readyAtMs
      const ready = live.filter((pod) => pod.ready)
      const arriving = requestsPerSecond * seconds
      backlog += arriving
      const share = Math.min(backlog / Math.max(1, ready.length), options.podCapacity * seconds)
      const seen: Detection[] = []
      for (const pod of ready) {
        // What is asked, not what is done: a full pod does no more, and would hide how many are missing.
        pod.requests += arriving / ready.length
        for (const name of CLASSES) seen.push(...detect(pod, name, share * SHARES[name]))
        backlog -= share
      }
      return seen
    },
    waiting: () => Math.max(0, backlog),
    async close() {
      while (live.length > 0) await stop()
    },
  }
}

/** Counts on the pod, and one detection for each that its page shows more than before. */
function detect(pod: LivePod, name: (typeof CLASSES)[number], more: number): Detection[] {
  const before = Math.floor(pod.detections[name])
  pod.detections[name] += more
  const count = Math.floor(pod.detections[name]) - before
  return Array.from({ length: count }, (_, index) => ({
    class: name,
    confidence: (CONFIDENCE_MIN_PERCENT + ((before + index) % CONFIDENCE_STEPS)) / 100,
    camera: `camera-${(before + index) % CAMERAS}`,
    pod: pod.name,
  }))
}

function metricsPage(pod: LivePod): string {
  const detections = CLASSES.map(
    (name) => `vision_detection_count_total{class="${name}"} ${Math.floor(pod.detections[name])}`,
  )
  return [
    '# TYPE http_requests_total counter',
    `http_requests_total{code="200"} ${Math.floor(pod.requests)}`,
    '# TYPE vision_detection_count_total counter',
    ...detections,
    '# TYPE vision_avg_confidence gauge',
    'vision_avg_confidence{class="person"} 0.87',
    '',
  ].join('\n')
}
