import type { Server } from 'node:https'
import type { Clock, Component, Logger } from '../src/ports.ts'
import type { ServeOptions } from './commandLine.ts'
import { selfSignedServing } from './security/selfSigned.ts'
import { openServingCertificate } from './security/tlsMaterial.ts'

/** The Service that APIServices point to; its certificate must carry this name. */
const SERVICE_NAME = 'custom-metrics-adapter.monitoring.svc'

/** The certificate of every port, kept in step with its files. */
export interface Certificate {
  readonly tls: { readonly cert: string; readonly key: string }
  readonly components: readonly Component[]
  notAfterMs(): number
  attach(server: Server): void
}

export async function openCertificate(
  options: Pick<ServeOptions, 'tls'>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<Certificate> {
  if (options.tls.kind === 'self-signed') {
    const nowMs = clock.nowMs()
    const { serving, notAfterMs } = selfSignedServing(options.tls.names, nowMs)
    log.warn('self-signed-certificate', { names: options.tls.names, meaning: 'for a trial only' })
    return { tls: serving, components: [], notAfterMs: () => notAfterMs, attach: () => undefined }
  }
  const expectedNames = process.env['KUBERNETES_SERVICE_HOST'] === undefined ? [] : [SERVICE_NAME]
  const certificate = await openServingCertificate(options.tls, { clock, log, expectedNames })
  const { cert, key } = certificate.material
  return {
    tls: { cert, key },
    components: [certificate],
    notAfterMs: () => certificate.notAfterMs,
    attach: (server) => certificate.attach(server, {}),
  }
}
