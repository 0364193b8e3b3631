/** Tokens of pods, as a kubelet mounts them and as somebody might come by them. */
import { sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ControlPlane } from '../controlPlane/controlPlane.ts'

export interface PodIdentity {
  readonly namespace: string
  readonly account: string
  readonly pod: string
  readonly uid: string
}

/**
 * Bound to the pod, where one is named: it is good for as long as that is there. For the API server where no
 * audience is named.
 */
export async function podToken(
  plane: ControlPlane,
  identity: PodIdentity | Pick<PodIdentity, 'namespace' | 'account'>,
  audiences?: readonly string[],
): Promise<string> {
  const { namespace, account } = identity
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`
  const bound =
    'pod' in identity
      ? { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: identity.pod, uid: identity.uid } }
      : {}
  const { status } = await plane.api<{ status: { token: string } }>('POST', path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { ...bound, ...(audiences === undefined ? {} : { audiences }) },
  })
  return status.token
}

/** The same token as the API server would have signed it a day before, good for an hour. */
export function aDayOld({ certs }: ControlPlane, token: string): string {
  const [header = '', payload = ''] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { iat: number }
  const iat = claims.iat - 86_400
  const old = { ...claims, iat, nbf: iat, exp: iat + 3600 }
  const signed = `${header}.${Buffer.from(JSON.stringify(old)).toString('base64url')}`
  const key = { key: readFileSync(certs.tokens.key), dsaEncoding: 'ieee-p1363' } as const
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`
}
