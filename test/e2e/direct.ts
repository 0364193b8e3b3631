import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { CertificateFiles } from '../controlPlane/authority.ts'
import type { World } from './world.ts'

export interface DirectAsk {
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly client?: CertificateFiles
}

export interface DirectAnswer {
  readonly status: number
  readonly text: string
  /** Serial number of the certificate that the adapter showed. */
  readonly serial: string
}

/** Asks the adapter itself, past the API server, and verifies it as the API server does. */
export function askDirectly(
  world: Pick<World, 'plane' | 'adapterPort'>,
  { path, headers = {}, client }: DirectAsk,
): Promise<DirectAnswer> {
  const identity =
    client === undefined ? {} : { cert: readFileSync(client.cert), key: readFileSync(client.key) }
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: world.adapterPort,
        servername: 'custom-metrics-adapter.monitoring.svc',
        ca: readFileSync(join(world.plane.folder, 'tls', 'ca.crt')),
        agent: false,
        path,
        headers,
        ...identity,
      },
      (response) => {
        const socket = response.socket as TLSSocket
        const serial = socket.getPeerCertificate().serialNumber
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => (text += part))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text, serial }))
      },
    )
    asked.on('error', reject)
    asked.end()
  })
}
