import { createServer } from 'node:http'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AddressInfo } from 'node:net'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { startAdapter } from '../setup/adapterProcess.ts'
import { eventually, temporaryFolder } from '../setup/running.ts'

const folder = temporaryFolder()
const configFile = join(folder.path, 'tideline.yaml')
const tokenFile = join(folder.path, 'tokens')
const TOKEN = { authorization: 'Bearer t0ken' }
const EXTERNAL = '/apis/external.metrics.k8s.io/v1beta1/namespaces/vision'

let waiting = 7
const pod = createServer((_request, response) => {
  response.setHeader('content-type', 'text/plain')
  response.end(`waiting ${waiting}\n`)
})
let adapter: AdapterProcess

function configText(name = 'queue_depth'): string {
  const { port } = pod.address() as AddressInfo
  return `
apiVersion: tideline.dev/v1alpha1
kind: MetricsAdapter
metadata: {name: test}
spec:
  metricsApi:
    auth: {mode: tokenFile, tokenFile: ${tokenFile}}
    drain: 0s
  evaluation: {interval: 50ms}
  sources:
    - name: pods
      scrape:
        interval: 100ms
        timeout: 90ms
        targets:
          - url: http://127.0.0.1:${port}/metrics
            labels: {namespace: vision, pod: v-0, app: vision}
---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: queue, namespace: vision}
spec:
  source: pods
  select: {metric: waiting}
  freshFor: 1s
  expose: {external: {name: ${name}}}
---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: per-pod, namespace: vision}
spec:
  source: pods
  select: {metric: waiting}
  combine: {by: [pod]}
  freshFor: 1s
  expose: {custom: {name: waiting, on: pods}}
`
}

beforeAll(async () => {
  await new Promise<void>((resolve) => pod.listen(0, '127.0.0.1', resolve))
  writeFileSync(tokenFile, 't0ken,hpa\n')
  writeFileSync(configFile, configText())
  adapter = await startAdapter([
    ...['--config', configFile, '--self-signed', 'localhost'],
    ...['--address', '127.0.0.1', '--port', '0'],
  ])
})

afterAll(async () => {
  await adapter?.stop()
  pod.closeAllConnections()
  pod.close()
  folder.remove()
})

interface List {
  readonly items: readonly { readonly value: string }[]
}

/** Values of a list, or the status and message of an error. */
async function told(path: string): Promise<readonly string[] | string> {
  const { status, json } = await adapter.get(path, { headers: TOKEN })
  if (status === 200) return (json as List).items.map((item) => item.value)
  return `${status} ${(json as { message: string }).message}`
}

function becomes(path: string, expected: unknown): Promise<void> {
  return eventually(`${path} becomes ${JSON.stringify(expected)}`, async () =>
    expect(await told(path)).toEqual(expected),
  )
}

describe('the adapter as its own process', () => {
  test('what a pod says arrives at both metrics APIs', async () => {
    await becomes(`${EXTERNAL}/queue_depth`, ['7'])
    waiting = 0
    await becomes(`${EXTERNAL}/queue_depth`, ['0'])
    const path = '/apis/custom.metrics.k8s.io/v1beta2/namespaces/vision/pods/%2A/waiting'
    await becomes(`${path}?labelSelector=app%3Dvision`, ['0'])
    expect(await told(`${path}?labelSelector=app%3Dother`)).toMatch(/^404 /)
  })

  test('nobody without credentials reads a value; probes need none', async () => {
    expect((await adapter.get(`${EXTERNAL}/queue_depth`)).status).toBe(403)
    const wrong = { headers: { authorization: 'Bearer other' } }
    expect((await adapter.get(`${EXTERNAL}/queue_depth`, wrong)).status).toBe(401)
    expect((await adapter.get('/readyz')).text).toBe('ok')
  })

  test('a new configuration is taken without restart, a bad one refused, the last good one goes on', async () => {
    writeFileSync(configFile, configText('renamed'))
    await becomes(`${EXTERNAL}/renamed`, ['0'])
    writeFileSync(configFile, configText('renamed').replace('freshFor', 'freshfor'))
    const refusal = await eventually('the refusal is logged', async () => {
      const found = adapter.log.find((entry) => entry['event'] === 'config-refused')
      if (found === undefined) throw new Error('not yet')
      return found
    })
    expect(JSON.stringify(refusal)).toContain('did you mean \\"freshFor\\"?')
    expect(await told(`${EXTERNAL}/renamed`)).toEqual(['0'])
    const metrics = await adapter.get('/metrics', { headers: TOKEN })
    expect(metrics.text).toContain('tideline_config_refused 1')
    writeFileSync(configFile, configText())
    await becomes(`${EXTERNAL}/queue_depth`, ['0'])
  })

  test('its own metrics tell of sources and readings', async () => {
    const { text } = await adapter.get('/metrics', { headers: TOKEN })
    expect(text).toContain('tideline_source_origins{source="pods",state="ok"} 1')
    expect(text).toContain('tideline_readings{namespace="vision",signal="queue",state="fresh"} 1')
    expect(text).toContain('tideline_request_duration_seconds_count')
  })

  test('a source that goes away makes an error with the cause, never a zero', async () => {
    waiting = 5
    await becomes(`${EXTERNAL}/queue_depth`, ['5'])
    pod.closeAllConnections()
    const { port } = pod.address() as AddressInfo
    await new Promise((resolve) => pod.close(resolve))
    await eventually('the reading is stale', async () => {
      expect(await told(`${EXTERNAL}/queue_depth`)).toMatch(/^503 .*refused/)
    })
    expect((await adapter.get('/readyz')).status).toBe(200)
    await new Promise<void>((resolve) => pod.listen(port, '127.0.0.1', resolve))
    await becomes(`${EXTERNAL}/queue_depth`, ['5'])
  })

  test('it ends cleanly when told to', async () => {
    expect(await adapter.stop('SIGTERM')).toBe(0)
    expect(adapter.log.at(-1)).toMatchObject({ event: 'stopped' })
  })
})

describe('a start that cannot be', () => {
  const start = (args: readonly string[]) => startAdapter(args).then(() => 'started', String)

  test('says what is missing on the command line', async () => {
    expect(await start([])).toContain('--config is missing')
    expect(await start(['--config', configFile])).toContain('--tls-cert-file')
    expect(await start(['--confg', configFile])).toContain('confg')
  })

  test('says what is wrong in the configuration, with its place', async () => {
    writeFileSync(configFile, configText().replace('kind: Signal', 'kind: Singal'))
    const said = await start(['--config', configFile, '--self-signed', 'localhost'])
    expect(said).toContain(`${configFile}:`)
    expect(said).toContain('must be MetricsAdapter or Signal')
  })
})
