import type { RequestOptions } from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import { messageOf, TidelineError } from '../../src/errors.ts'
import type { KubeConnection } from './kubeClient.ts'

/**
 * Where the API server is and how to prove who we are: from `kubeconfigFile`, else from the pod's service account.
 * Undefined where neither is there. Credentials are read anew for each request, so that rotated ones are used.
 * Throws `TidelineError` `not-configured` for a file that cannot be used.
 */
export function kubeConnection(options: {
  readonly kubeconfigFile?: string
  readonly inCluster: boolean
}): KubeConnection | undefined {
  const config = new KubeConfig()
  try {
    if (options.kubeconfigFile !== undefined) config.loadFromFile(options.kubeconfigFile)
    else if (options.inCluster) config.loadFromCluster()
    else return undefined
  } catch (error) {
    const from = options.kubeconfigFile ?? 'the service account'
    throw new TidelineError('not-configured', `cannot use ${from}: ${messageOf(error)}`, error)
  }
  const cluster = config.getCurrentCluster()
  if (cluster === null)
    throw new TidelineError(
      'not-configured',
      'the kubeconfig has no current context with a cluster',
    )
  const server = URL.parse(cluster.server)
  if (server === null)
    throw new TidelineError('not-configured', `not the URL of an API server: ${cluster.server}`)
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace?.trim()
  return {
    server,
    ...(namespace === undefined || namespace === '' ? {} : { namespace }),
    async options() {
      const applied: RequestOptions = { headers: {} }
      await config.applyToHTTPSOptions(applied)
      // The agent it makes keeps the CA it began with for ever; only a proxy needs it.
      if (cluster.proxyUrl === undefined) delete applied.agent
      return applied
    },
  }
}
