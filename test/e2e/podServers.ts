import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import type { Pod, PodHost } from '../controlPlane/fakeKubelet.ts'

/** The pods of a workload as far as one can tell from outside: HTTP servers that share a load and count it. */
export interface PodServers extends PodHost {
  /** Requests per second to all pods of a workload together, shared evenly among those that run. */
  setLoad(workload: string, perSecond: number): void
  /** From now on no pod of the workload answers, though all take connections. */
  hang(workload: string): void
  resume(workload: string): void
}

interface Running {
  readonly workload: string
  readonly server: Server
  requests: number
}

/** Every pod gets an address of its own in 127.0.0.0/8, which Linux gives whole to the loopback, and this port. */
export function createPodServers(port: number): PodServers {
  const pods = new Map<string, Running>()
  const loads = new Map<string, number>()
  const hanging = new Set<string>()
  const unanswered = new Set<ServerResponse>()
  const network = `127.${100 + (process.pid % 100)}`
  let addresses = 0

  let countedMs = Date.now()

  /** Adds what came since it was called last: before each look, and before anything changes. */
  function count(): void {
    const nowMs = Math.max(countedMs, Date.now())
    for (const [workload, perSecond] of loads) {
      const running = [...pods.values()].filter((pod) => pod.workload === workload)
      const each = (perSecond * (nowMs - countedMs)) / 1000 / running.length
      for (const pod of running) pod.requests += each
    }
    countedMs = nowMs
  }

  function answer(pod: Running, response: ServerResponse): void {
    if (hanging.has(pod.workload)) return void unanswered.add(response)
    count()
    // They tell when they counted: the load is what it is, however late a busy machine lets them answer.
    response.setHeader('content-type', 'text/plain; version=0.0.4')
    response.end(
      [
        '# TYPE http_requests_total counter',
        `http_requests_total{path="/detect"} ${pod.requests} ${countedMs}`,
        '# TYPE vision_detection_count_total counter',
        `vision_detection_count_total{class="person"} ${pod.requests * 3} ${countedMs}`,
        '',
      ].join('\n'),
    )
  }

  return {
    setLoad(workload, perSecond) {
      count()
      loads.set(workload, perSecond)
    },
    hang: (workload) => void hanging.add(workload),
    resume(workload) {
      hanging.delete(workload)
      for (const response of unanswered) response.destroy()
      unanswered.clear()
    },
    async start(pod) {
      addresses += 1
      const ip = `${network}.${addresses >> 8}.${addresses & 255}`
      const workload = workloadOf(pod)
      const server = createServer((_request, response) => answer(running, response))
      const running: Running = { workload, server, requests: 0 }
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, ip, resolve)
      })
      count()
      pods.set(pod.metadata.uid, running)
      return { ip }
    },
    async stop(pod) {
      count()
      const running = pods.get(pod.metadata.uid)
      pods.delete(pod.metadata.uid)
      if (running === undefined) return
      running.server.closeAllConnections()
      await new Promise((resolve) => running.server.close(resolve))
    },
  }
}

function workloadOf(pod: Pod): string {
  return pod.metadata.labels?.['app.kubernetes.io/name'] ?? pod.metadata.name
}
