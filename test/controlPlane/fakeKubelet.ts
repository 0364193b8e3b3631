import type { KubeApi } from './kubeApi.ts'
import { ApiFailure } from './kubeApi.ts'

export interface Pod {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly uid: string
    readonly labels?: Readonly<Record<string, string>>
    readonly deletionTimestamp?: string
  }
  readonly spec: {
    readonly nodeName?: string
    readonly serviceAccountName?: string
    readonly containers: readonly { readonly name: string; readonly image: string }[]
  }
  readonly status: {
    readonly phase?: string
    readonly podIP?: string
    readonly conditions?: readonly { readonly type: string; readonly lastTransitionTime: string }[]
  }
}

/** Where the containers of pods would run. */
export interface PodHost {
  /** Brings what answers at the pod's address; the pod is told ready `readyAfterMs` later. */
  start(pod: Pod): Promise<{ readonly ip: string; readonly readyAfterMs?: number }>
  stop(pod: Pod): Promise<void>
}

interface Event {
  readonly type: string
  readonly object: Pod
}

/**
 * Does a kubelet's part for pods that have a node: they become Running and Ready, and those being deleted go
 * away. Runs until `signal` aborts.
 */
export async function runFakeKubelet(
  kube: KubeApi,
  host: PodHost,
  signal: AbortSignal,
): Promise<void> {
  const started = new Map<string, Pod>()

  async function handle({ type, object: pod }: Event): Promise<void> {
    if (type === 'BOOKMARK' || pod.spec.nodeName === undefined) return
    const { uid, deletionTimestamp } = pod.metadata
    if (type === 'DELETED') return stop(uid)
    if (deletionTimestamp !== undefined) {
      await stop(uid)
      await forgiving(kube.api('DELETE', `${pathOf(pod)}?gracePeriodSeconds=0`))
      return
    }
    if (started.has(uid)) return
    started.set(uid, pod)
    const takenUp = wholeSecond()
    const { ip, readyAfterMs = 0 } = await host.start(pod)
    if (readyAfterMs > 0) {
      await patch(pod, statusOf(pod, ip, { takenUp }))
      await pause(readyAfterMs)
    }
    if (started.has(uid)) await patch(pod, statusOf(pod, ip, { takenUp, ready: wholeSecond() }))
  }

  async function stop(uid: string): Promise<void> {
    const pod = started.get(uid)
    started.delete(uid)
    if (pod !== undefined) await host.stop(pod)
  }

  const patch = (pod: Pod, status: unknown) =>
    forgiving(
      kube.api('PATCH', `${pathOf(pod)}/status`, { status }, 'application/merge-patch+json'),
    )

  const settle = (event: Event) => {
    handle(event).catch((error: unknown) => {
      if (!signal.aborted) console.error('fake kubelet:', error)
    })
  }

  while (!signal.aborted) {
    try {
      const { metadata, items } = await kube.api<{
        metadata: { resourceVersion: string }
        items: Pod[]
      }>('GET', '/api/v1/pods')
      for (const object of items) settle({ type: 'ADDED', object })
      const since = `resourceVersion=${metadata.resourceVersion}&allowWatchBookmarks=true`
      const event = (line: unknown) => settle(line as Event)
      await kube.watch(`/api/v1/pods?watch=true&${since}`, event, signal)
    } catch (thrown) {
      if (!signal.aborted) console.error('fake kubelet:', thrown)
    }
    if (!signal.aborted) await pause(200)
  }
  await Promise.all([...started.values()].map((pod) => host.stop(pod)))
}

function pathOf({ metadata: { namespace, name } }: Pod): string {
  return `/api/v1/namespaces/${namespace}/pods/${name}`
}

/** A pod that is gone, or changed meanwhile, is told of by the watch. */
async function forgiving(call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (thrown) {
    if (!(thrown instanceof ApiFailure && (thrown.status === 404 || thrown.status === 409)))
      throw thrown
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** As objects carry times. */
function wholeSecond(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`
}

interface Times {
  readonly takenUp: string
  /** Left out: it is not. */
  readonly ready?: string
}

/** Each condition has the time at which it became so; `PodScheduled` that of the API server, where it set it. */
function statusOf(pod: Pod, ip: string, { takenUp, ready }: Times) {
  const bound = pod.status.conditions?.find(({ type }) => type === 'PodScheduled')
  const condition = (type: string, since: string | undefined) => ({
    type,
    status: since === undefined ? 'False' : 'True',
    lastTransitionTime: since ?? takenUp,
  })
  return {
    phase: 'Running',
    startTime: takenUp,
    podIP: ip,
    podIPs: [{ ip }],
    hostIP: '127.0.0.1',
    conditions: [
      condition('PodScheduled', bound?.lastTransitionTime ?? takenUp),
      condition('Initialized', takenUp),
      condition('ContainersReady', ready),
      condition('Ready', ready),
    ],
    containerStatuses: pod.spec.containers.map(({ name, image }) => ({
      name,
      image,
      imageID: '',
      ready: ready !== undefined,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: takenUp } },
    })),
  }
}
