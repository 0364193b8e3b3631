import type { ControlPlane } from '../controlPlane/controlPlane.ts'

const EVERY_MS = 200

/** Waits until `look` gives what is `wanted`; throws what it gave last at the deadline. */
export async function becomes(
  look: () => Promise<unknown>,
  wanted: unknown,
  deadlineMs = 100_000,
): Promise<void> {
  const expected = JSON.stringify(wanted)
  const endMs = performance.now() + deadlineMs
  for (;;) {
    const seen = await look().then(JSON.stringify, String)
    if (seen === expected) return
    if (performance.now() > endMs)
      throw new Error(`after ${deadlineMs} ms ${seen}, wanted ${expected}`)
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
}

/** Looks again and again for `forMs`, and throws as soon as it sees anything else than `expected`. */
export async function stays(
  look: () => Promise<unknown>,
  expected: unknown,
  forMs: number,
): Promise<void> {
  const endMs = performance.now() + forMs
  while (performance.now() < endMs) {
    const seen = JSON.stringify(await look())
    if (seen !== JSON.stringify(expected))
      throw new Error(`became ${seen}, should have stayed ${JSON.stringify(expected)}`)
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
}

interface Deployment {
  readonly spec: { readonly replicas: number }
  readonly status: { readonly readyReplicas?: number }
}

/** Replicas of deployments of the namespace vision; where not all of them are ready, both numbers. */
export function replicas(plane: ControlPlane, names: readonly string[]) {
  return (): Promise<unknown> =>
    Promise.all(
      names.map(async (name) => {
        const path = `/apis/apps/v1/namespaces/vision/deployments/${name}`
        const { spec, status } = await plane.api<Deployment>('GET', path)
        const ready = status.readyReplicas ?? 0
        return ready === spec.replicas ? ready : `${ready} of ${spec.replicas}`
      }),
    )
}

interface Conditioned {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string
      readonly status: string
      readonly reason: string
      readonly message: string
    }[]
  }
}

/** One condition of an object, `undefined` while there is none. */
export async function condition(plane: ControlPlane, path: string, type: string) {
  const { status } = await plane.api<Conditioned>('GET', path)
  return status?.conditions?.find((one) => one.type === type)
}

export const hpaPath = (name: string) =>
  `/apis/autoscaling/v2/namespaces/vision/horizontalpodautoscalers/${name}`

export const apiServicePath = (name: string) =>
  `/apis/apiregistration.k8s.io/v1/apiservices/${name}`
