/**
 * How long pods take to start, as a real API server tells of them: bound to a node by it, made ready by a kubelet that
 * takes its time. The adapter watches with the rights of the manifests, and no other.
 */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ControlPlane } from '../controlPlane/controlPlane.ts'
import { startControlPlane } from '../controlPlane/controlPlane.ts'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { startAdapter } from '../setup/adapterProcess.ts'
import { kustomize } from './objects.ts'
import { becomes, stays } from './observe.ts'

const PODS = '/api/v1/namespaces/vision/pods'
/** How long pods of a name take to become ready. */
const READY_AFTER_MS = new Map([
  ['early', 2000],
  ['slow', 6000],
  ['crashing', 9000],
  ['other', 9000],
])

let plane: ControlPlane
let adapter: AdapterProcess | undefined
const load = createServer((_request, response) => {
  response.setHeader('content-type', 'text/plain')
  response.end('waiting 7\n')
})

beforeAll(async () => {
  await new Promise<void>((resolve) => load.listen(0, '127.0.0.1', resolve))
  const start = async ({ metadata: { name } }: { metadata: { name: string } }) => ({
    ip: '127.0.0.1',
    readyAfterMs: READY_AFTER_MS.get(name) ?? 0,
  })
  plane = await startControlPlane({ pods: { start, stop: async () => undefined } })
  const rights = new Set(['Namespace', 'ServiceAccount', 'ClusterRole', 'ClusterRoleBinding'])
  const base = kustomize(plane.binaries.kubectl, 'base')
  await plane.apply(base.filter(({ kind }) => rights.has(kind)))
  await plane.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'vision' } }])
  const account = '/api/v1/namespaces/vision/serviceaccounts/default'
  await becomes(async () => (await plane.api('GET', account)) !== undefined, true)
  writeFileSync(join(plane.folder, 'tokens'), 't0ken,me\n')
  writeFileSync(join(plane.folder, 'tideline.yaml'), configText())
})
afterAll(async () => {
  await adapter?.stop('SIGKILL')
  await plane?.stop()
  load.close()
})

function configText(): string {
  const { port } = load.address() as AddressInfo
  const { folder } = plane
  return `
apiVersion: tideline.dev/v1alpha1
kind: MetricsAdapter
metadata: {name: test}
spec:
  metricsApi: {auth: {mode: tokenFile, tokenFile: ${folder}/tokens}, drain: 0s}
  state: {file: ${folder}/state, every: 500ms}
  sources:
    - name: pods
      scrape:
        interval: 500ms
        timeout: 400ms
        targets: [{url: 'http://127.0.0.1:${port}/metrics', labels: {namespace: vision, pod: v-0}}]
---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: waiting, namespace: vision}
spec:
  source: pods
  select: {metric: waiting}
  stabilize: {startDelay: 45s, startUp: {pods: {labelSelector: app=vision}, quantile: 1}}
  expose: {external: {name: waiting}}
`
}

async function startTheAdapter(): Promise<void> {
  const own = await plane.accountKubeconfig('monitoring', 'custom-metrics-adapter')
  adapter = await startAdapter([
    ...['--config', join(plane.folder, 'tideline.yaml'), '--kubeconfig', own],
    ...['--self-signed', 'localhost', '--address', '127.0.0.1', '--port', '0'],
  ])
}

/** A pod that the API server binds to a node. */
async function startPod(name: string, app = 'vision'): Promise<void> {
  const container = { name: 'c', image: 'registry.example/vision:1.0' }
  const spec = { containers: [container], terminationGracePeriodSeconds: 0 }
  const metadata = { name, labels: { app } }
  await plane.api('POST', PODS, { apiVersion: 'v1', kind: 'Pod', metadata, spec })
  const target = { apiVersion: 'v1', kind: 'Node', name: 'nowhere' }
  const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target }
  await plane.api('POST', `${PODS}/${name}/binding`, binding)
}

interface Status {
  readonly conditions: readonly {
    readonly type: string
    readonly status: string
    readonly lastTransitionTime: string
  }[]
  readonly containerStatuses: readonly object[]
}

const statusOf = async (name: string) =>
  (await plane.api<{ status: Status }>('GET', `${PODS}/${name}`)).status
const isReady = (name: string) => async () =>
  (await statusOf(name)).conditions?.find(({ type }) => type === 'Ready')?.status

async function patchStatus(name: string, change: (status: Status) => Partial<Status>) {
  const status = change(await statusOf(name))
  await plane.api('PATCH', `${PODS}/${name}/status`, { status }, 'application/merge-patch+json')
}

/** As a readiness probe makes it a minute later. */
async function turn(name: string, ready: boolean): Promise<void> {
  const lastTransitionTime = `${new Date(Date.now() + 60_000).toISOString().slice(0, 19)}Z`
  await patchStatus(name, ({ conditions }) => ({
    conditions: conditions.map((one) =>
      one.type === 'Ready' ? { ...one, status: ready ? 'True' : 'False', lastTransitionTime } : one,
    ),
  }))
}

/** What the API server says of a pod that was ready once. */
async function tookSeconds(name: string): Promise<number> {
  const { conditions } = await statusOf(name)
  const since = (wanted: string) =>
    Date.parse(conditions.find(({ type }) => type === wanted)?.lastTransitionTime ?? '')
  return (since('Ready') - since('PodScheduled')) / 1000
}

const seconds = (of: string) => async () => {
  const answer = await adapter?.get('/metrics', { headers: { authorization: 'Bearer t0ken' } })
  const name = `tideline_start_up_seconds{namespace="vision",signal="waiting",of="${of}"} `
  const line = answer?.text.split('\n').find((one) => one.startsWith(name))
  return line === undefined ? 'none' : Number(line.split(' ').at(-1))
}
const measured = seconds('measured')

/** The longest that the first adapter saw. */
let longest: number

test('before a pod was seen, what is configured; then what the API server tells of the first', async () => {
  await startTheAdapter()
  await becomes(seconds('configured'), 45)
  expect(await measured()).toBe('none')
  await startPod('early')
  await becomes(isReady('early'), 'True')
  longest = await tookSeconds('early')
  expect(longest).toBeGreaterThan(0)
  await becomes(measured, longest)
})

test('one that takes longer counts, one of other pods does not', async () => {
  await startPod('other', 'else')
  await startPod('slow')
  await becomes(isReady('slow'), 'True')
  longest = Math.max(longest, await tookSeconds('slow'))
  await becomes(measured, longest)
  await becomes(isReady('other'), 'True')
  await stays(measured, longest, 1000)
})

test('a pod that is not ready for a while, or crashes later, took no longer than it did', async () => {
  await startPod('crashing')
  await becomes(isReady('crashing'), 'True')
  longest = Math.max(longest, await tookSeconds('crashing'))
  await becomes(measured, longest)
  await turn('early', false)
  await patchStatus('crashing', ({ containerStatuses }) => ({
    containerStatuses: containerStatuses.map((one) => ({ ...one, restartCount: 3 })),
  }))
  await turn('early', true)
  expect(await tookSeconds('early')).toBeGreaterThan(longest)
  await stays(measured, longest, 2000)
})

test('what another adapter finds counts as far as it can be known without what was remembered', async () => {
  await adapter?.stop('SIGKILL')
  writeFileSync(join(plane.folder, 'tideline.yaml'), configText().replace(/ {2}state: .*\n/, ''))
  await startTheAdapter()
  // Of `early` the time of its flip alone is known now, a minute too late, and of `crashing` nothing.
  await becomes(measured, await tookSeconds('slow'))
})

test('what was seen is remembered over the end of a process, and of the pods', async () => {
  await adapter?.stop('SIGKILL')
  for (const name of READY_AFTER_MS.keys()) await plane.api('DELETE', `${PODS}/${name}`)
  await becomes(async () => (await plane.api<{ items: unknown[] }>('GET', PODS)).items.length, 0)
  writeFileSync(join(plane.folder, 'tideline.yaml'), configText())
  await startTheAdapter()
  await becomes(measured, longest)
})
