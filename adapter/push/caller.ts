import { status } from '@grpc/grpc-js'
import type { ServerUnaryCall } from '@grpc/grpc-js'
import { messageOf } from '../../src/errors.ts'
import type { PushServerDeps } from './ports.ts'
import { MOMENT_MS, Refusal } from './refusal.ts'

/** Of whom a caller may report. */
export interface Caller {
  readonly name: string
  /** Undefined: all. */
  readonly namespaces: ReadonlySet<string> | undefined
  /** Undefined: every pod of the namespaces. */
  readonly pod: string | undefined
}

/** What a caller shows of himself, empty where it is nothing. */
export interface Shown {
  /** Of a client certificate that was proved. */
  readonly commonName: string
  /** The header `authorization`. */
  readonly authorization: string
}

type Call = Pick<ServerUnaryCall<unknown, unknown>, 'getAuthContext' | 'metadata'>

export function shownBy(call: Call): Shown {
  return {
    commonName: String(call.getAuthContext().sslPeerCertificate?.subject.CN ?? ''),
    authorization: String(call.metadata.get('authorization')[0] ?? ''),
  }
}

/** Kubernetes puts it into tokens that are bound to a pod, as all that the kubelet mounts are. */
const POD_NAME = 'authentication.kubernetes.io/pod-name'
const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):[^:]+$/

/** Throws `Refusal`: `UNAUTHENTICATED` without proof, `UNAVAILABLE` while it cannot be examined. */
export async function callerOf(proof: PushServerDeps['proof'], shown: Shown): Promise<Caller> {
  if (proof.kind === 'none') return { name: 'anybody', namespaces: undefined, pod: undefined }
  if (proof.kind === 'certificate') {
    if (shown.commonName === '')
      throw new Refusal(status.UNAUTHENTICATED, 'show a client certificate of the CA for services')
    const name = `certificate ${JSON.stringify(shown.commonName)}`
    const namespaces = proof.namespaces.get(shown.commonName)
    if (namespaces === undefined)
      throw new Refusal(status.PERMISSION_DENIED, `${name} is not in push.auth.namespaces`)
    return { name, namespaces, pod: undefined }
  }
  const token = /^Bearer +(\S+)$/i.exec(shown.authorization)?.[1]
  if (token === undefined)
    throw new Refusal(status.UNAUTHENTICATED, 'send authorization: Bearer TOKEN')
  const verdict = await reviewed(() => proof.review(token))
  if (!verdict.authenticated) throw new Refusal(status.UNAUTHENTICATED, verdict.message)
  const { name, extra } = verdict.user
  const namespace = SERVICE_ACCOUNT.exec(name)?.[1]
  const pod = extra[POD_NAME]?.[0]
  if (namespace === undefined || pod === undefined)
    throw new Refusal(
      status.PERMISSION_DENIED,
      `${name} is no ServiceAccount with a token bound to a pod: use the one that is mounted in the pod`,
    )
  return { name, namespaces: new Set([namespace]), pod }
}

async function reviewed<T>(review: () => T | Promise<T>): Promise<T> {
  try {
    return await review()
  } catch (thrown) {
    const message = `the token cannot be reviewed now: ${messageOf(thrown)}`
    throw new Refusal(status.UNAVAILABLE, message, MOMENT_MS)
  }
}

/** The pod that is reported for, as claimed and as proved. What is not claimed is taken from the proof. */
export function podOf(
  caller: Caller,
  claimed: { readonly namespace: string; readonly pod: string },
): { readonly namespace: string; readonly pod: string } {
  const [only] = caller.namespaces?.size === 1 ? caller.namespaces : []
  const namespace = claimed.namespace === '' ? (only ?? '') : claimed.namespace
  const pod = claimed.pod === '' ? (caller.pod ?? '') : claimed.pod
  const may =
    (caller.namespaces?.has(namespace) ?? true) && (caller.pod === undefined || caller.pod === pod)
  if (may) return { namespace, pod }
  const allowed =
    caller.namespaces === undefined || caller.namespaces.size === 0
      ? 'none'
      : `${[...caller.namespaces].join(', ')}/${caller.pod ?? '*'}`
  throw new Refusal(
    status.PERMISSION_DENIED,
    `the report is for ${namespace}/${pod}, and ${caller.name} may report for ${allowed}`,
  )
}
