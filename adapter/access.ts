import type { Clock, Component, Logger } from '../src/ports.ts'
import type { KubeClient } from './cluster/kubeClient.ts'
import type { ServeOptions } from './commandLine.ts'
import type { Authenticator, Authorizer } from './metrics-api/ports.ts'
import { AuthenticationSettings } from './cluster/authConfig.ts'
import { accessReviewPoster, tokenReviewPoster } from './cluster/reviews.ts'
import { delegatedAuthenticator } from './security/authenticate.ts'
import { delegatedAuthorizer } from './security/authorize.ts'
import { openStandalone } from './security/standalone.ts'
import { apiTokenReviewer } from './security/tokenReview.ts'

/** `metricsApi.auth` of the configuration. */
export type AuthSettings =
  | { readonly mode: 'delegated' }
  | { readonly mode: 'clientCertificates'; readonly caFile?: string | undefined }
  | { readonly mode: 'tokenFile'; readonly tokenFile: string }
  | { readonly mode: 'insecureOpen' }

export interface AccessDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly client: KubeClient | undefined
}

/** Who may read the metrics API: as proved by the cluster, or by files where there is none. */
export interface Access {
  readonly authenticator: Authenticator
  readonly authorizer: Authorizer
  readonly components: readonly Component[]
  ready(): boolean
}

export async function openAccess(
  options: Pick<ServeOptions, 'clientCaFile'>,
  auth: AuthSettings,
  deps: AccessDeps,
): Promise<Access> {
  const { clock, log } = deps
  if (auth.mode === 'delegated') return delegatedAccess(deps)
  const clientCaFile =
    auth.mode === 'clientCertificates' ? (auth.caFile ?? options.clientCaFile) : undefined
  const standalone = await openStandalone(
    {
      insecureOpen: auth.mode === 'insecureOpen',
      ...(clientCaFile === undefined ? {} : { clientCaFile }),
      ...(auth.mode === 'tokenFile' ? { tokenFile: auth.tokenFile } : {}),
    },
    { clock, log },
  )
  return { ...standalone, components: [standalone], ready: () => true }
}

function delegatedAccess({ clock, log, client }: AccessDeps): Access {
  if (client === undefined)
    throw new Error(
      'metricsApi.auth.mode is delegated and there is no cluster: run in a pod, give --kubeconfig, or choose clientCertificates or tokenFile',
    )
  const settings = new AuthenticationSettings({ client, clock, log })
  return {
    authenticator: delegatedAuthenticator({
      config: () => settings.current(),
      tokens: apiTokenReviewer({ post: tokenReviewPoster(client), clock }),
      clock,
    }),
    authorizer: delegatedAuthorizer({ post: accessReviewPoster(client), clock }),
    components: [settings],
    ready: () => settings.notSynced() === undefined,
  }
}
