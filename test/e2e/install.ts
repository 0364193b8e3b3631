/** What an administrator and a kubelet do so that the adapter runs, by the project's own scripts. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ControlPlane } from '../controlPlane/controlPlane.ts'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { startAdapter } from '../setup/adapterProcess.ts'
import { MANIFESTS } from './objects.ts'

/** The pods of the test answer meanwhile. A refusal is an error whose `stderr` is what kubectl said. */
export async function kubectl(plane: ControlPlane, parameters: readonly string[]): Promise<string> {
  const all = ['--kubeconfig', plane.kubeconfig, ...parameters]
  const { stdout } = await promisify(execFile)(plane.binaries.kubectl, all, {
    encoding: 'utf8',
    maxBuffer: 2 ** 24,
    // kubectl keeps what it discovered below HOME.
    env: { PATH: process.env['PATH'] ?? '', HOME: plane.folder },
  })
  return stdout
}

/** One of the scripts in manifests/. */
export function runScript({ binaries, kubeconfig, folder }: ControlPlane, name: string): void {
  const PATH = process.env['PATH'] ?? ''
  execFileSync(join(MANIFESTS, name), {
    env: { PATH, HOME: folder, KUBECTL: binaries.kubectl, KUBECONFIG: kubeconfig },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Brings a Secret of the adapter's namespace into a folder, as a kubelet would. */
export async function mountSecret(
  plane: ControlPlane,
  name: string,
  folder: string,
): Promise<void> {
  const path = `/api/v1/namespaces/monitoring/secrets/${name}`
  const { data } = await plane.api<{ data: Record<string, string> }>('GET', path)
  const entries = Object.entries(data).map(
    ([key, value]) => [key, Buffer.from(value, 'base64').toString()] as const,
  )
  writeFiles(folder, Object.fromEntries(entries))
}

export function writeFiles(folder: string, files: Readonly<Record<string, string>>): string {
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(folder, name), text, { mode: 0o600 })
  return folder
}

export interface AdapterPlace {
  readonly config: string
  readonly tls: string
  readonly port: number
}

/** With the rights that the manifests give its service account, and no other. */
export async function adapterStarter(
  plane: ControlPlane,
  { config, tls, port }: AdapterPlace,
): Promise<() => Promise<AdapterProcess>> {
  const own = await plane.accountKubeconfig('monitoring', 'custom-metrics-adapter')
  const parameters = [
    ...['--config', config, '--kubeconfig', own],
    ...['--tls-cert-file', join(tls, 'tls.crt'), '--tls-key-file', join(tls, 'tls.key')],
    ...['--address', '127.0.0.1', '--port', String(port)],
  ]
  return () => startAdapter(parameters)
}
