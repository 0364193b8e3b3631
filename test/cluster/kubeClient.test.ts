import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { KubeConfig } from '@kubernetes/client-node'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AuthenticationSettings, settingsOf } from '../../adapter/cluster/authConfig.ts'
import { kubeClient } from '../../adapter/cluster/kubeClient.ts'
import type { KubeClient } from '../../adapter/cluster/kubeClient.ts'
import { kubeConnection } from '../../adapter/cluster/kubeConfig.ts'
import { accessReviewPoster, tokenReviewPoster } from '../../adapter/cluster/reviews.ts'
import { secretReader } from '../../adapter/cluster/secrets.ts'
import { selfSignedServing } from '../../adapter/security/selfSigned.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { until } from '../kit/until.ts'
import { event, fastClock, FakeApiServer, json, list } from './fakeApiServer.ts'

let server: FakeApiServer
let client: KubeClient
const never = new AbortController().signal

beforeEach(async () => {
  server = new FakeApiServer((_, answer) => json(answer, 200, {}))
  await server.start()
  client = kubeClient(server.connection(), fastClock(100))
})
afterEach(async () => {
  client.close()
  await server.stop()
})

describe('kubeClient', () => {
  test('sends credentials and JSON, and gives JSON', async () => {
    server.answer = (asked, answer) => json(answer, 201, { got: asked.body })
    expect(await client.request('POST', '/x?y=1', { a: 1 }, never)).toEqual({ got: { a: 1 } })
    expect(server.asked[0]).toMatchObject({
      method: 'POST',
      path: '/x',
      headers: { authorization: 'Bearer t', accept: 'application/json' },
    })
  })

  test.each([
    [401, 'unauthorized'],
    [403, 'unauthorized'],
    [404, 'not-found'],
    [429, 'unavailable'],
    [500, 'unavailable'],
    [302, 'bad-response'],
  ])('status %i is %s', async (status, code) => {
    server.answer = (_, answer) => json(answer, status, { kind: 'Status', message: 'because' })
    await expect(client.request('GET', '/x', undefined, never)).rejects.toMatchObject({
      code,
      status,
      message: `GET /x: ${status} because`,
    })
  })

  test('no JSON, an endless body, a cut, nothing, and nobody there', async () => {
    const code = async (using = client) =>
      using.request('GET', '/x', undefined, never).then(
        () => 'answered',
        (error: { code: unknown }) => error.code,
      )
    server.answer = (_, answer) => answer.end('<html>')
    expect(await code()).toBe('bad-response')
    server.answer = (_, answer) => {
      const more = () => {
        while (!answer.destroyed && answer.write(Buffer.alloc(1 << 20)));
        if (!answer.destroyed) answer.once('drain', more)
      }
      more()
    }
    expect(await code(kubeClient(server.connection(), fastClock(1)))).toBe('too-large')
    server.answer = (_, answer) => {
      answer.write('{"a":')
      answer.socket?.destroy()
    }
    expect(await code()).toBe('refused')
    server.answer = () => undefined
    expect(await code()).toBe('timeout')
    const { server: url, ...credentials } = server.connection()
    const stranger = kubeClient(
      { server: url, options: async () => ({ ...(await credentials.options()), ca: '' }) },
      fastClock(1),
    )
    expect(await code(stranger)).toBe('bad-response')
    await server.stop()
    expect(await code()).toBe('refused')
    await server.start()
  })

  test('an abort ends a request at once', async () => {
    server.answer = () => undefined
    const stop = new AbortController()
    const asked = client.request('GET', '/x', undefined, stop.signal)
    const seen = expect(asked).rejects.toMatchObject({ name: 'TidelineError' })
    await until('asked', () => server.asked.length === 1)
    stop.abort()
    await seen
  })
})

describe('kubeConnection', () => {
  test('reads a kubeconfig file; nothing where nothing is there', async () => {
    expect(kubeConnection({ inCluster: false })).toBeUndefined()
    const folder = mkdtempSync(join(tmpdir(), 'tideline-kubeconfig-'))
    try {
      const file = join(folder, 'config')
      expect(() => kubeConnection({ kubeconfigFile: file, inCluster: false })).toThrow(file)
      const config = new KubeConfig()
      const { server: url, ...credentials } = server.connection()
      config.loadFromOptions({
        clusters: [
          {
            name: 'c',
            server: url.href,
            caData: Buffer.from(String((await credentials.options()).ca)).toString('base64'),
          },
        ],
        users: [{ name: 'u', token: 'sesame' }],
        contexts: [{ name: 'x', cluster: 'c', user: 'u', namespace: 'ns' }],
        currentContext: 'x',
      })
      writeFileSync(file, config.exportConfig())
      const connection = kubeConnection({ kubeconfigFile: file, inCluster: false })
      if (connection === undefined) throw new Error('no connection')
      const own = kubeClient(connection, fastClock(1))
      expect(own.namespace).toBe('ns')
      await own.request('GET', '/version', undefined, never)
      expect(server.asked.at(-1)?.headers.authorization).toBe('Bearer sesame')
      own.close()
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('reviews', () => {
  test('a TokenReview', async () => {
    const status = {
      authenticated: true,
      user: { username: 'u', uid: '1', groups: ['g'], extra: { k: ['v'] } },
    }
    server.answer = (_, answer) => json(answer, 201, { kind: 'TokenReview', status })
    const post = tokenReviewPoster(client)
    expect(await post('sesame', never)).toEqual(status)
    expect(server.asked[0]).toMatchObject({
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: { kind: 'TokenReview', spec: { token: 'sesame' } },
    })
    server.answer = (_, answer) =>
      json(answer, 201, { kind: 'TokenReview', status: { error: 'x' } })
    expect(await post('sesame', never)).toMatchObject({ authenticated: false, error: 'x' })
    server.answer = (_, answer) => json(answer, 201, { kind: 'Other' })
    await expect(post('sesame', never)).rejects.toMatchObject({ code: 'bad-response' })
  })

  test('a TokenReview for an audience; who does not say that it looked at that did not', async () => {
    const post = tokenReviewPoster(client, 'tideline')
    const answerWith = (audiences?: readonly string[]) => {
      const status = { authenticated: true, user: { username: 'u' }, audiences }
      server.answer = (_, answer) => json(answer, 201, { kind: 'TokenReview', status })
    }
    answerWith(['tideline'])
    expect(await post('sesame', never)).toMatchObject({ authenticated: true })
    expect(server.asked.at(-1)).toMatchObject({
      body: { spec: { token: 'sesame', audiences: ['tideline'] } },
    })
    for (const others of [undefined, [], ['vault']]) {
      answerWith(others)
      expect(await post('sesame', never)).toMatchObject({
        authenticated: false,
        error: 'it is not for the audience tideline',
      })
    }
  })

  test('a SubjectAccessReview; an answer without a verdict is none', async () => {
    const post = accessReviewPoster(client)
    const answerWith = (status: unknown) => {
      server.answer = (_, answer) => json(answer, 201, { kind: 'SubjectAccessReview', status })
    }
    answerWith({ allowed: true, reason: 'RBAC' })
    expect(await post({ user: 'u' }, never)).toEqual({
      allowed: true,
      denied: false,
      reason: 'RBAC',
    })
    answerWith({ allowed: false, denied: true })
    expect(await post({ user: 'u' }, never)).toMatchObject({ allowed: false, denied: true })
    answerWith({})
    await expect(post({ user: 'u' }, never)).rejects.toMatchObject({ code: 'bad-response' })
  })
})

describe('secretReader', () => {
  test('reads files, the environment and Secrets, without trailing newlines', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tideline-secret-'))
    try {
      writeFileSync(join(folder, 'password'), ' pass word\r\n\n')
      const encoded = Buffer.from('s3cret\n').toString('base64')
      server.answer = (_, answer) => json(answer, 200, { data: { password: encoded } })
      const secrets = secretReader({ environment: { P: 'p' }, clock: fastClock(1), client })
      expect(await secrets.read({ file: join(folder, 'password') })).toBe(' pass word')
      expect(await secrets.read({ env: 'P' })).toBe('p')
      const secret = { name: 'redis', key: 'password' }
      expect(await secrets.read({ secret })).toBe('s3cret')
      expect(await secrets.read({ secret })).toBe('s3cret')
      expect(server.asked.map(({ path }) => path)).toEqual([
        '/api/v1/namespaces/monitoring/secrets/redis',
      ])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('what cannot be had is not-configured and named', async () => {
    const secrets = secretReader({ environment: {}, clock: fastClock(1), client })
    const secret = { namespace: 'n', name: 'redis', key: 'password' }
    const refused = { code: 'not-configured' }
    await expect(secrets.read({ file: '/nowhere/x' })).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('/nowhere/x'),
    })
    await expect(secrets.read({ env: 'P' })).rejects.toMatchObject(refused)
    await expect(secrets.read({ secret })).rejects.toThrow('secret n/redis, key password')
    const alone = secretReader({ environment: {}, clock: fastClock(1) })
    await expect(alone.read({ secret })).rejects.toMatchObject(refused)
    server.answer = (_, answer) =>
      json(answer, 200, { data: { password: Buffer.from('later').toString('base64') } })
    expect(await secrets.read({ secret })).toBe('later')
  })
})

describe('AuthenticationSettings', () => {
  const ca = (name: string) => selfSignedServing([name], Date.now()).authority.cert
  const data = (clientCa: string) => ({
    'client-ca-file': clientCa,
    'requestheader-client-ca-file': ca('proxy'),
    'requestheader-allowed-names': '["front-proxy-client"]',
    'requestheader-username-headers': '["X-Remote-User"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
  })
  const configMap = (fields: object, version: string) => ({
    metadata: { name: 'extension-apiserver-authentication', resourceVersion: version },
    data: fields,
  })

  test('follows the ConfigMap, live; a broken or removed one keeps the last good one', async () => {
    const [first, second] = [ca('one'), ca('two')]
    let write = (_: string) => {}
    server.answer = (asked, answer) => {
      if (!asked.query.has('watch'))
        return json(answer, 200, list('1', [configMap(data(first), '1')]))
      answer.writeHead(200).flushHeaders()
      write = (line) => void answer.write(line)
    }
    const log = new RecordingLogger()
    const settings = new AuthenticationSettings({ client, clock: fastClock(10), log })
    expect(settings.current()).toBeUndefined()
    expect(settings.notSynced()).toContain('extension-apiserver-authentication')
    const stop = new AbortController()
    const running = settings.run(stop.signal)
    await until('settings', () => settings.current())
    expect(settings.notSynced()).toBeUndefined()
    expect(settings.current()).toMatchObject({
      clientCa: first,
      requestHeader: { allowedNames: ['front-proxy-client'], uidHeaders: [] },
    })
    expect(server.asked[0]?.path).toBe('/api/v1/namespaces/kube-system/configmaps')
    const before = settings.current()
    await until('watching', () => server.watches.length === 1)
    write(event('MODIFIED', configMap({ 'client-ca-file': 'broken' }, '2')))
    await until('refusal', () => log.entries.some(({ event: name }) => name.endsWith('-refused')))
    write(event('DELETED', configMap({}, '3')))
    await until('missing', () => log.entries.some(({ event: name }) => name.endsWith('-missing')))
    expect(settings.current()).toBe(before)
    write(event('ADDED', configMap(data(second), '4')))
    await until('rotation', () => settings.current()?.clientCa === second)
    stop.abort()
    await running
  })

  test('lists that are no lists are refused by key', () => {
    expect(() => settingsOf({ ...data(ca('x')), 'requestheader-allowed-names': '"x"' })).toThrow(
      'requestheader-allowed-names',
    )
    expect(settingsOf({})).toEqual({})
    const shared = data(ca('x'))
    shared['requestheader-client-ca-file'] = shared['client-ca-file']
    expect(settingsOf(shared).requestHeader?.allowedNames).toEqual(['front-proxy-client'])
    expect(() => settingsOf({ ...shared, 'requestheader-allowed-names': '[]' })).toThrow(
      'share a CA',
    )
  })
})
