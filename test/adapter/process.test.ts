import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { Agent, get } from 'node:https'
import { connect } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AddressInfo } from 'node:net'
import type { AdapterProcess } from '../setup/adapterProcess.ts'
import { startAdapter } from '../setup/adapterProcess.ts'
import { eventually, temporaryFolder } from '../setup/running.ts'

const folder = temporaryFolder()
const configFile = join(folder.path, 'tideline.yaml')
const tokenFile = join(folder.path, 'tokens')
const MAIN = join(import.meta.dirname, '../../adapter/main.ts')
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
    drain: 2s
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

/** Asks whether it is ready as a client that would keep its connection. */
function probe(port: number): Promise<{ status?: number; connection?: string }> {
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false })
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/readyz', agent }, (response) => {
      const { statusCode: status = 0, headers } = response.resume()
      resolve({ status, connection: headers.connection ?? '' })
      response.once('end', () => agent.destroy())
    }).on('error', reject)
  })
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
    expect(await probe(adapter.port)).toEqual({ status: 200, connection: 'keep-alive' })
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

  test('it goes on where nobody reads its log any more', async () => {
    const args = ['--config', configFile, '--self-signed', 'localhost']
    const child = spawn(
      process.execPath,
      [MAIN, ...args, '--address', '127.0.0.1', '--port', '0', '--log-level', 'debug'],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    const exit = new Promise((resolve) => child.once('exit', resolve))
    let text = ''
    child.stderr.on('data', (part: Buffer) => (text += part.toString()))
    const port = await eventually('it listens', async () => {
      const [, found] = /"event":"listening".*"port":(\d+)/.exec(text) ?? []
      if (found === undefined) throw new Error(text)
      return Number(found)
    })
    child.stderr.destroy()
    child.kill('SIGTERM')
    // It has said by then that it stops, and could not.
    await eventually('readiness is off', async () =>
      expect(await probe(port)).toMatchObject({ status: 503 }),
    )
    expect(await exit).toBe(0)
  })

  test('its own metrics tell of sources and readings', async () => {
    const { text } = await adapter.get('/metrics', { headers: TOKEN })
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    for (const sample of samples) expect(sample).toMatch(/^\w+(\{.*\})? -?[\d.e+-]+$/)
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

  test('it ends cleanly when told to, whoever holds a connection without asking', async () => {
    const silent = connect(adapter.port, '127.0.0.1')
    const greeted = connectTls({
      host: '127.0.0.1',
      port: adapter.port,
      rejectUnauthorized: false,
    })
    const ended = [silent, greeted].map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.on('error', () => undefined)
          socket.once('close', () => resolve())
        }),
    )
    await Promise.all([
      new Promise((resolve) => silent.once('connect', resolve)),
      new Promise((resolve) => greeted.once('secureConnect', resolve)),
    ])
    const startMs = performance.now()
    const stopped = adapter.stop('SIGTERM')
    // While others learn that it goes, it answers, and each answer ends its connection.
    await eventually('readiness is off', async () => {
      const { status, connection } = await probe(adapter.port)
      expect({ status, connection }).toEqual({ status: 503, connection: 'close' })
    })
    expect(await stopped).toBe(0)
    // The drain of 2 s, and not the 10 s more that requests in flight are given.
    expect(performance.now() - startMs).toBeLessThan(12_000)
    await Promise.all(ended)
    expect(adapter.log.at(-1)).toMatchObject({ event: 'stopped' })
  })
})

describe('a start that cannot be', () => {
  const start = (args: readonly string[]) => startAdapter(args).then(() => 'started', String)

  test('says what is missing on the command line', async () => {
    expect(await start([])).toContain('--config is missing')
    expect(await start(['--config', configFile])).toContain('--tls-cert-file')
    expect(await start(['--confg', configFile])).toContain('confg')
    const unnamed = ['--config', configFile, '--self-signed', '']
    expect(await start(unnamed)).toContain('--self-signed is ""')
  })

  test('says that its port is taken', async () => {
    const { port } = pod.address() as AddressInfo
    const at = ['--address', '127.0.0.1', '--port', String(port)]
    const said = await start(['--config', configFile, '--self-signed', 'localhost', ...at])
    expect(said).toContain('EADDRINUSE')
  })

  test('says that a selector of pods does not parse', async () => {
    const pods = "scrape: {pods: {labelSelector: 'app in', port: 80}}"
    writeFileSync(
      configFile,
      configText().replace('sources:', `sources:\n    - name: p\n      ${pods}`),
    )
    // Named twice, told once.
    const said = await start(['check', '--config', configFile, '--config', configFile])
    expect(said.split('labelSelector')).toHaveLength(2)
    expect(said).toContain('spec.sources.0.scrape.pods.labelSelector (is "app in"): ')
    writeFileSync(configFile, configText())
  })

  test('says what is wrong in the configuration, with its place', async () => {
    writeFileSync(configFile, configText().replace('kind: Signal', 'kind: Singal'))
    const said = await start(['--config', configFile, '--self-signed', 'localhost'])
    expect(said).toContain(`${configFile}:`)
    expect(said).toContain('must be MetricsAdapter or Signal')
  })
})
