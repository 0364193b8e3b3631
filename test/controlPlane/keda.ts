/** KEDA's operator and its metrics adapter, built from their Go module, as processes of their own. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { eventually, freePort } from '../setup/running.ts'
import { createAuthority } from './authority.ts'
import type { ControlPlane } from './controlPlane.ts'
import { healthy } from './controlPlane.ts'
import type { GoModule } from './goBuild.ts'
import { build, cacheFolder, inModule } from './goBuild.ts'
import type { KubeObject } from './kubeApi.ts'
import { startProgram } from './program.ts'

const VERSION = '2.20.2'
const NAMESPACE = 'keda'
const PATH = 'github.com/kedacore/keda/v2'
const FOLDER = join(import.meta.dirname, 'keda-tools')
const MODULE: GoModule = {
  what: `KEDA ${VERSION}`,
  name: 'keda',
  folder: FOLDER,
  flags: ['-mod=readonly', '-trimpath', '-ldflags', `-s -w -X ${PATH}/version.Version=${VERSION}`],
  finish(built) {
    const source = inModule(FOLDER, 'list', '-m', '-f', '{{.Dir}}', PATH)?.trim()
    if (source === undefined) throw new Error(`go does not know where ${PATH} is`)
    const from = join(source, 'config', 'crd', 'bases')
    const to = join(built, 'crds')
    mkdirSync(to)
    // Their content alone: Go keeps its modules read-only.
    for (const file of readdirSync(from))
      writeFileSync(join(to, file), readFileSync(join(from, file)))
  },
}

export interface Keda {
  /** What the operator logged so far. */
  operatorLog(): string
  stop(): Promise<void>
}

/** Resolves when the operator is ready and the API server takes external metrics from KEDA. */
export async function startKeda(plane: ControlPlane): Promise<Keda> {
  const programs = await kedaPrograms()
  const folder = join(plane.folder, 'keda')
  mkdirSync(folder)
  const ca = makeCertificates(folder)
  await applyObjects(plane, programs.crds)
  const ports = await freePorts()
  const log = join(plane.folder, 'log', 'keda-operator.log')
  const environment = {
    PATH: process.env['PATH'] ?? '',
    KUBECONFIG: plane.kubeconfig,
    POD_NAMESPACE: NAMESPACE,
    POD_NAME: 'keda-operator-0',
    KEDA_CLUSTER_OBJECT_NAMESPACE: NAMESPACE,
    WATCH_NAMESPACE: '',
  }
  const operator = startProgram(programs.operator, operatorFlags(folder, ports), log, environment)
  const adapter = startProgram(
    programs.adapter,
    adapterFlags(plane, folder, ports),
    join(plane.folder, 'log', 'keda-adapter.log'),
    environment,
  )
  const stop = async () => {
    await Promise.all([operator.kill(), adapter.kill()])
  }
  try {
    await operator.ready(() => healthy(`http://127.0.0.1:${ports.health}/readyz`))
    await plane.apply([apiService(ca, ports.api)])
    await adapter.ready(() => plane.api('GET', '/apis/external.metrics.k8s.io/v1beta1'))
  } catch (thrown) {
    await stop()
    throw thrown
  }
  return { operatorLog: () => readFileSync(log, 'utf8'), stop }
}

interface KedaPrograms {
  readonly operator: string
  readonly adapter: string
  /** Folder of its custom resource definitions. */
  readonly crds: string
}

async function kedaPrograms(): Promise<KedaPrograms> {
  const folder = cacheFolder(MODULE)
  if (folder === undefined) throw new Error('there is no Go (1.21 or later) to build KEDA')
  if (!existsSync(folder)) await build(MODULE, folder)
  const at = (name: string) => join(folder, name)
  return { operator: at('operator'), adapter: at('adapter'), crds: at('crds') }
}

/** Its parts know each other by one certificate, which its operator would renew by itself in a cluster. */
function makeCertificates(folder: string): string {
  const ca = createAuthority(folder, 'ca')
  ca.sign({
    name: 'tls',
    subject: '/CN=keda-operator',
    use: 'serverAuth,clientAuth',
    names: 'DNS:localhost,DNS:keda-metrics-apiserver.keda.svc,DNS:keda-operator.keda.svc',
  })
  return ca.cert
}

async function applyObjects(plane: ControlPlane, crds: string): Promise<void> {
  for (const file of readdirSync(crds))
    await plane.apply([parse(readFileSync(join(crds, file), 'utf8')) as KubeObject])
  await plane.apply([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'keda-metrics-apiserver', namespace: NAMESPACE },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    },
  ])
  await eventually('the API of KEDA', async () => {
    type Kinds = { readonly resources: readonly { readonly kind: string }[] }
    const { resources } = await plane.api<Kinds>('GET', '/apis/keda.sh/v1alpha1')
    const kinds = resources.map(({ kind }) => kind)
    for (const kind of ['ScaledObject', 'ClusterTriggerAuthentication'])
      if (!kinds.includes(kind)) throw new Error(`${kind} is not among ${kinds.join(', ')}`)
  })
}

type Ports = Awaited<ReturnType<typeof freePorts>>

async function freePorts() {
  return {
    metricsService: await freePort(),
    operatorMetrics: await freePort(),
    health: await freePort(),
    api: await freePort(),
    adapterMetrics: await freePort(),
  }
}

function operatorFlags(folder: string, ports: Ports): string[] {
  return [
    '--zap-log-level=info',
    '--zap-encoder=console',
    '--leader-elect=false',
    '--enable-cert-rotation=false',
    `--cert-dir=${folder}`,
    `--ca-dir=${folder}`,
    `--metrics-bind-address=127.0.0.1:${ports.operatorMetrics}`,
    `--health-probe-bind-address=127.0.0.1:${ports.health}`,
    `--metrics-service-bind-address=127.0.0.1:${ports.metricsService}`,
  ]
}

function adapterFlags({ kubeconfig, certs }: ControlPlane, folder: string, ports: Ports): string[] {
  return [
    '--bind-address=127.0.0.1',
    `--secure-port=${ports.api}`,
    `--cert-dir=${folder}`,
    `--tls-cert-file=${join(folder, 'tls.crt')}`,
    `--tls-private-key-file=${join(folder, 'tls.key')}`,
    `--client-ca-file=${certs.cluster.cert}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    `--lister-kubeconfig=${kubeconfig}`,
    `--metrics-service-address=localhost:${ports.metricsService}`,
    `--port=${ports.adapterMetrics}`,
    '--zap-log-level=error',
  ]
}

function apiService(ca: string, port: number): KubeObject {
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: 'v1beta1.external.metrics.k8s.io' },
    spec: {
      group: 'external.metrics.k8s.io',
      version: 'v1beta1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      caBundle: readFileSync(ca).toString('base64'),
      service: { name: 'keda-metrics-apiserver', namespace: NAMESPACE, port },
    },
  }
}
