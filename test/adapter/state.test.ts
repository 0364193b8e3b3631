/** Holds over the end of a process: the adapter is killed, started again, and answers as if nothing had been. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { startAdapter } from '../setup/adapterProcess.ts'
import { eventually, temporaryFolder } from '../setup/running.ts'

const folder = temporaryFolder()
const configFile = join(folder.path, 'tideline.yaml')
const stateFile = join(folder.path, 'state')
const tokenFile = join(folder.path, 'tokens')
const POLICIES = {
  fixed: '{window: 300s}',
  table: '{policy: table, minWindow: 300s}',
  predictive: '{policy: predictive, minWindow: 300s}',
} as const

let waiting = 7
const pod = createServer((_request, response) => {
  response.setHeader('content-type', 'text/plain')
  response.end(`waiting ${waiting}\n`)
})
let adapter: AdapterProcess | undefined

function configText(): string {
  const { port } = pod.address() as AddressInfo
  const signals = Object.entries(POLICIES).map(
    ([name, stabilize]) => `
---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: ${name}, namespace: vision}
spec:
  source: pods
  select: {metric: waiting}
  freshFor: 2s
  stabilize: ${stabilize}
  expose: {external: {name: ${name}}}`,
  )
  return `
apiVersion: tideline.dev/v1alpha1
kind: MetricsAdapter
metadata: {name: test}
spec:
  metricsApi:
    auth: {mode: tokenFile, tokenFile: ${tokenFile}}
    drain: 0s
  evaluation: {interval: 50ms}
  state: {file: ${stateFile}, every: 200ms}
  sources:
    - name: pods
      scrape:
        interval: 100ms
        timeout: 90ms
        targets:
          - url: http://127.0.0.1:${port}/metrics
            labels: {namespace: vision, pod: v-0, app: vision}
${signals.join('')}
`
}

async function start(): Promise<AdapterProcess> {
  adapter = await startAdapter([
    ...['--config', configFile, '--self-signed', 'localhost'],
    ...['--address', '127.0.0.1', '--port', '0'],
  ])
  return adapter
}

/** What is served of a signal; undefined while nothing is. */
async function valueOf(of: AdapterProcess, name: string): Promise<string | undefined> {
  const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/${name}`
  const { json } = await of.get(path, { headers: { authorization: 'Bearer t0ken' } })
  return (json as { items?: { value: string }[] }).items?.[0]?.value
}

async function valuesOf(of: AdapterProcess): Promise<readonly (string | undefined)[]> {
  return Promise.all(Object.keys(POLICIES).map((name) => valueOf(of, name)))
}

const logged = (of: AdapterProcess, event: string) =>
  of.log.filter((entry) => entry['event'] === event)

beforeAll(async () => {
  await new Promise<void>((resolve) => pod.listen(0, '127.0.0.1', resolve))
  writeFileSync(tokenFile, 't0ken,hpa\n')
  writeFileSync(configFile, configText())
})

afterEach(async () => {
  await adapter?.stop('SIGKILL')
})

afterAll(() => {
  pod.close()
  folder.remove()
})

test('holds go on after the process was killed, and a damaged file is moved aside', async () => {
  waiting = 100
  const first = await start()
  await eventually('all are served', async () => expect(await valuesOf(first)).toEqual(ALL_HELD))
  const before = readState()
  await eventually('written again', async () => expect(readState()).not.toBe(before))
  waiting = 10
  await first.stop('SIGKILL')

  const second = await start()
  expect(logged(second, 'holds-recalled')).toHaveLength(3)
  await eventually('served again', async () => expect(await valueOf(second, 'fixed')).toBeDefined())
  expect(await valuesOf(second)).toEqual(ALL_HELD)
  expect(await second.stop()).toBe(0)

  const damaged = readFileSync(stateFile)
  const middle = damaged.length >> 1
  damaged[middle] = ~(damaged[middle] ?? 0)
  writeFileSync(stateFile, damaged)
  const third = await start()
  expect(logged(third, 'state-corrupt')).toHaveLength(1)
  expect(existsSync(`${stateFile}.corrupt`)).toBe(true)
  await eventually('begun anew', async () => expect(await valueOf(third, 'fixed')).toBe('10'))
})

/** What is predicted may lead a little, once a slot has ended. */
const ALL_HELD = ['100', '100', expect.stringMatching(/^1[0-4]\d(\d{3}m)?$/)]

function readState(): string {
  return existsSync(stateFile) ? readFileSync(stateFile, 'base64') : ''
}
