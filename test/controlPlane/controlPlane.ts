import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, freePort } from '../setup/running.ts'
import type { Authority, CertificateFiles } from './authority.ts'
import { createAuthority, createTokenKeys } from './authority.ts'
import type { Binaries } from './binaries.ts'
import { controlPlaneBinaries } from './binaries.ts'
import type { PodHost } from './fakeKubelet.ts'
import { runFakeKubelet } from './fakeKubelet.ts'
import type { KubeApi } from './kubeApi.ts'
import { createKubeApi } from './kubeApi.ts'
import type { Program } from './program.ts'
import { startProgram } from './program.ts'

export interface ControlPlaneOptions {
  /** What stands for the machines on which pods run. */
  readonly pods: PodHost
  /** How often the HPA controller looks, as Kubernetes writes durations; `2s` where left out. */
  readonly hpaSyncPeriod?: string
  /** Kept when the control plane stops; left out: a temporary folder that is removed. */
  readonly dataDir?: string
}

/** etcd, kube-apiserver and kube-controller-manager on 127.0.0.1, and a kubelet of our own. */
export interface ControlPlane extends Pick<KubeApi, 'api' | 'apply' | 'pathOf'> {
  readonly binaries: Binaries
  /** Of a member of system:masters. */
  readonly kubeconfig: string
  readonly server: string
  readonly folder: string
  /**
   * Whose client certificates the API server takes, that of the aggregator's own ones, and the key that tokens are
   * signed with.
   */
  readonly certs: {
    readonly cluster: Authority
    readonly frontProxy: Authority
    readonly tokens: { readonly key: string }
  }
  /** A kubeconfig of the service account, with a token of the API server. */
  accountKubeconfig(namespace: string, name: string): Promise<string>
  accountToken(namespace: string, name: string): Promise<string>
  /** What the API server logged so far. */
  apiServerLog(): string
  stop(): Promise<void>
}

/** The controllers that an HPA's way from a metric to pods needs, and those of what the manifests install. */
const CONTROLLERS = [
  'deployment-controller',
  'replicaset-controller',
  'statefulset-controller',
  'horizontal-pod-autoscaler-controller',
  'serviceaccount-controller',
  'serviceaccount-token-controller',
  'root-ca-certificate-publisher-controller',
  'namespace-controller',
  'garbage-collector-controller',
  'endpointslice-controller',
  'clusterrole-aggregation-controller',
]

/** Resolves when objects can be made and HPAs are looked at, after about five seconds. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const binaries = await controlPlaneBinaries()
  const folder = options.dataDir ?? mkdtempSync(join(tmpdir(), 'tideline-plane-'))
  for (const name of ['certs', 'log']) mkdirSync(join(folder, name), { recursive: true })
  const logOf = (name: string) => join(folder, 'log', `${name}.log`)
  const programs: Program[] = []
  const life = new AbortController()
  let kubelet = Promise.resolve()
  let kube: KubeApi | undefined

  async function stop(): Promise<void> {
    life.abort()
    await kubelet
    for (const program of programs.toReversed()) await program.kill()
    kube?.close()
    if (options.dataDir === undefined) rmSync(folder, { recursive: true, force: true })
  }

  try {
    const files = makeCertificates(join(folder, 'certs'))
    const run: Run = async (name, parameters, attempt) => {
      const program = startProgram(binaries[name], parameters, logOf(name))
      programs.push(program)
      await program.ready(attempt)
    }
    const etcdUrl = await runEtcd(run, folder)
    const port = await freePort()
    const client = createKubeApi({ port, ca: files.cluster.cert, client: files.admin })
    kube = client
    await runApiServer(run, { port, etcdUrl, files, client })
    const server = `https://127.0.0.1:${port}`
    const write = (name: string, user: object) =>
      writeKubeconfig(join(folder, name), { server, ca: files.cluster.cert, user })
    const kubeconfig = write('admin.kubeconfig', clientUser(files.admin))
    kubelet = runFakeKubelet(client, options.pods, life.signal)
    await runControllers(run, {
      files,
      folder,
      kubeconfig: write('controllers.kubeconfig', clientUser(files.controllers)),
      hpaSyncPeriod: options.hpaSyncPeriod ?? '2s',
    })
    // The first thing that the controllers made: from here on pods are admitted.
    const account = '/api/v1/namespaces/default/serviceaccounts/default'
    await eventually('the default service account', () => client.api('GET', account), 60_000)
    const accountToken = async (namespace: string, name: string) => {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
      return (await client.api<{ status: { token: string } }>('POST', path, body)).status.token
    }
    return {
      api: client.api,
      apply: client.apply,
      pathOf: client.pathOf,
      binaries,
      kubeconfig,
      server,
      folder,
      certs: files,
      accountToken,
      accountKubeconfig: async (namespace, name) =>
        write(`${namespace}-${name}.kubeconfig`, { token: await accountToken(namespace, name) }),
      apiServerLog: () => readFileSync(logOf('kube-apiserver'), 'utf8'),
      stop,
    }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

type Run = (
  name: Exclude<keyof Binaries, 'kubectl'>,
  parameters: readonly string[],
  attempt: () => Promise<unknown>,
) => Promise<void>

type Files = ReturnType<typeof makeCertificates>

function makeCertificates(folder: string) {
  const cluster = createAuthority(folder, 'cluster-ca')
  const frontProxy = createAuthority(folder, 'front-proxy-ca')
  const client = (name: string, subject: string) =>
    cluster.sign({ name, subject, use: 'clientAuth' })
  return {
    cluster,
    frontProxy,
    tokens: createTokenKeys(folder),
    apiServer: cluster.sign({
      name: 'apiserver',
      subject: '/CN=kube-apiserver',
      use: 'serverAuth',
      names: 'DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.0.0.1',
    }),
    admin: client('admin', '/O=system:masters/CN=admin'),
    controllers: client('controllers', '/CN=system:kube-controller-manager'),
    aggregator: frontProxy.sign({
      name: 'front-proxy-client',
      subject: '/CN=front-proxy-client',
      use: 'clientAuth',
    }),
  }
}

async function runEtcd(run: Run, folder: string): Promise<string> {
  const url = `http://127.0.0.1:${await freePort()}`
  const peer = `http://127.0.0.1:${await freePort()}`
  const parameters = [
    '--name=test',
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=test=${peer}`,
    '--unsafe-no-fsync',
  ]
  await run('etcd', parameters, () => healthy(`${url}/health`))
  return url
}

/** Fails while a GET is not answered by 200. */
export function healthy(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      response.resume()
      if (response.statusCode === 200) resolve()
      else reject(new Error(`${url}: ${response.statusCode}`))
    }).on('error', reject)
  })
}

interface ApiServerNeeds {
  readonly port: number
  readonly etcdUrl: string
  readonly files: Files
  readonly client: KubeApi
}

function runApiServer(run: Run, { port, etcdUrl, files, client }: ApiServerNeeds): Promise<void> {
  const parameters = [
    `--etcd-servers=${etcdUrl}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--tls-cert-file=${files.apiServer.cert}`,
    `--tls-private-key-file=${files.apiServer.key}`,
    `--client-ca-file=${files.cluster.cert}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${files.tokens.public}`,
    `--service-account-signing-key-file=${files.tokens.key}`,
    `--requestheader-client-ca-file=${files.frontProxy.cert}`,
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    '--requestheader-uid-headers=X-Remote-Uid',
    `--proxy-client-cert-file=${files.aggregator.cert}`,
    `--proxy-client-key-file=${files.aggregator.key}`,
  ]
  return run('kube-apiserver', parameters, () => client.api('GET', '/readyz'))
}

interface ControllersNeeds {
  readonly files: Files
  readonly folder: string
  readonly kubeconfig: string
  readonly hpaSyncPeriod: string
}

async function runControllers(run: Run, needs: ControllersNeeds): Promise<void> {
  const { files, folder, kubeconfig, hpaSyncPeriod } = needs
  const parameters = [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${await freePort()}`,
    `--cert-dir=${join(folder, 'certs', 'controllers')}`,
    '--leader-elect=false',
    // The HPA controller then asks as its own service account, with the rights that Kubernetes gives it.
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${files.tokens.key}`,
    `--root-ca-file=${files.cluster.cert}`,
    `--horizontal-pod-autoscaler-sync-period=${hpaSyncPeriod}`,
    '--horizontal-pod-autoscaler-downscale-stabilization=5s',
    '--horizontal-pod-autoscaler-initial-readiness-delay=1s',
    '--horizontal-pod-autoscaler-cpu-initialization-period=1s',
    `--controllers=${CONTROLLERS.join(',')}`,
  ]
  await run('kube-controller-manager', parameters, () => Promise.resolve())
}

function clientUser({ cert, key }: CertificateFiles) {
  return { 'client-certificate': cert, 'client-key': key }
}

interface Access {
  readonly server: string
  readonly ca: string
  readonly user: object
}

/** JSON is YAML. */
function writeKubeconfig(path: string, { server, ca, user }: Access): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': ca } }],
    users: [{ name: 'user', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
    'current-context': 'test',
  }
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 })
  return path
}
