/** Who reads what, through the API server and straight at the adapter; and what kubectl shows. */
import { mkdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAuthority } from '../controlPlane/authority.ts'
import { askDirectly } from './direct.ts'
import { writeFiles } from './install.ts'
import { kustomize, MANIFESTS } from './objects.ts'
import { apiServicePath, becomes, condition } from './observe.ts'
import type { World } from './world.ts'
import { API_SERVICES, startWorld } from './world.ts'

const EXTERNAL = '/apis/external.metrics.k8s.io/v1beta1'
const CUSTOM = '/apis/custom.metrics.k8s.io/v1beta2'
const FRAMES = `${EXTERNAL}/namespaces/vision/vision_frames_waiting`
const PERSONS = `${EXTERNAL}/namespaces/vision/vision_person_detections_per_second`
const PODS = `${CUSTOM}/namespaces/vision/pods/*/http_requests_per_second`

let world: World

beforeAll(async () => {
  world = await startWorld()
  await world.redis.admin.rpush('vision:frames', 'a', 'b', 'c')
  // Less than two pods' share: the HPA keeps the two.
  world.pods.setLoad('vision-service', 0.1)
  await becomes(() => availability(), ['True', 'True', 'True'])
  await becomes(async () => values(FRAMES), ['3'])
  await becomes(async () => (await values(PODS)).length, 2)
})
afterAll(() => world?.stop())

function availability(): Promise<unknown> {
  const found = API_SERVICES.map((name) =>
    condition(world.plane, apiServicePath(name), 'Available'),
  )
  return Promise.all(found).then((all) => all.map((one) => one?.status))
}

interface ValueList {
  readonly items: readonly {
    readonly value: string
    readonly describedObject?: { readonly kind: string; readonly name: string }
  }[]
}

async function raw(path: string): Promise<ValueList> {
  return JSON.parse(await world.kubectl('get', '--raw', path)) as ValueList
}

async function values(path: string): Promise<readonly string[]> {
  return (await raw(path)).items.map((item) => item.value)
}

/** What kubectl says to a caller whom the API server takes for the account. */
async function refusal(account: string, path: string): Promise<string> {
  try {
    return await world.kubectl(
      'get',
      '--raw',
      path,
      '--as',
      `system:serviceaccount:vision:${account}`,
    )
  } catch (thrown) {
    return (thrown as { stderr: string }).stderr
  }
}

describe('what kubectl shows', () => {
  test('the groups and their versions, the preferred one first', async () => {
    const versions = (await world.kubectl('api-versions')).split('\n')
    for (const name of API_SERVICES) {
      const [version, ...group] = name.split('.')
      expect(versions).toContain(`${group.join('.')}/${version}`)
    }
    const group = JSON.parse(
      await world.kubectl('get', '--raw', '/apis/custom.metrics.k8s.io'),
    ) as unknown
    expect(group).toMatchObject({ preferredVersion: { version: 'v1beta2' } })
  })

  test('the metrics as resources', async () => {
    const { resources } = JSON.parse(await world.kubectl('get', '--raw', CUSTOM)) as {
      resources: { name: string }[]
    }
    const names = resources.map((resource) => resource.name)
    expect(names).toEqual(['namespaces/http_requests_per_second', 'pods/http_requests_per_second'])
    // kubectl leaves out names with a slash. The API server asks for these lists once a minute.
    const external = ['--api-group=external.metrics.k8s.io', '-o=name', '--cached=false']
    const listed = async () =>
      (await world.kubectl('api-resources', ...external)).split('\n').filter(Boolean)
    const group = 'external.metrics.k8s.io'
    await becomes(
      listed,
      [`vision_frames_waiting.${group}`, `vision_person_detections_per_second.${group}`],
      120_000,
    )
  })

  test('values, of pods by name', async () => {
    await becomes(
      async () => (await raw(PODS)).items.every((item) => Number.parseFloat(item.value) > 0),
      true,
    )
    const kinds = (await raw(PODS)).items.map((item) => item.describedObject?.kind)
    expect(kinds).toEqual(['Pod', 'Pod'])
    expect((await raw(PODS.replace('v1beta2', 'v1beta1'))).items).toHaveLength(2)
  })

  test('why there is no value', async () => {
    const said = await refusalOfAdmin(`${EXTERNAL}/namespaces/vision/nosuch`)
    expect(said).toContain('nosuch')
    expect(said).toMatch(/NotFound/)
  })
})

async function refusalOfAdmin(path: string): Promise<string> {
  try {
    return await world.kubectl('get', '--raw', path)
  } catch (thrown) {
    return (thrown as { stderr: string }).stderr
  }
}

describe('the manifests', () => {
  test.each(['base', 'examples', 'overlays/hpa-behavior', 'overlays/push', 'overlays/state'])(
    '%s is taken by the API server as it is',
    async (folder) => {
      const { plane } = world
      await plane.apply(kustomize(plane.binaries.kubectl, folder), true)
    },
  )

  test("the adapter's pods keep to the restricted standard that the namespace demands", async () => {
    const path = '/api/v1/namespaces/monitoring/pods'
    await becomes(
      async () => (await world.plane.api<{ items: unknown[] }>('GET', path)).items.length,
      2,
    )
  })

  test('with the overlay for state each replica has a volume of its own, and none waits for another', async () => {
    const { plane } = world
    const objects = kustomize(plane.binaries.kubectl, 'overlays/state')
    expect(objects.map(({ kind }) => kind)).not.toContain('Deployment')
    const set = objects.filter(({ kind }) => kind === 'StatefulSet')
    await plane.apply(set)
    const [path = ''] = await Promise.all(set.map((each) => plane.pathOf(each)))
    const claims = '/api/v1/namespaces/monitoring/persistentvolumeclaims'
    const namesAt = async (where: string) => {
      const { items } = await plane.api<{ items: { metadata: { name: string } }[] }>('GET', where)
      return items.map(({ metadata }) => metadata.name).filter((name) => /-\d$/.test(name))
    }
    const replicas = ['custom-metrics-adapter-0', 'custom-metrics-adapter-1']
    // Pods that broke the restricted standard would not be made.
    await becomes(() => namesAt('/api/v1/namespaces/monitoring/pods'), replicas)
    await becomes(
      () => namesAt(claims),
      replicas.map((name) => `state-${name}`),
    )
    await plane.api('DELETE', path)
    await becomes(() => namesAt('/api/v1/namespaces/monitoring/pods'), [])
  })

  test.each(['keda', 'push'])(
    'the component for state goes with the overlay %s',
    async (overlay) => {
      const { plane } = world
      const folder = join(plane.folder, `state-with-${overlay}`)
      const at = (path: string) => relative(folder, join(MANIFESTS, path))
      const kustomization = {
        resources: [at(`overlays/${overlay}`)],
        components: [at('components/state')],
      }
      // JSON is YAML.
      writeFiles(folder, { 'kustomization.yaml': JSON.stringify(kustomization) })
      const objects = kustomize(plane.binaries.kubectl, relative(MANIFESTS, folder))
      const sets = objects.filter(({ kind }) => kind === 'StatefulSet')
      expect(JSON.stringify(sets)).toContain(overlay)
      await plane.apply(sets, true)
    },
  )

  test('the overlay for cert-manager brings its CA to all three API services', () => {
    const services = kustomize(world.plane.binaries.kubectl, 'overlays/cert-manager').filter(
      (object) => object.kind === 'APIService',
    )
    const wanted = { 'cert-manager.io/inject-ca-from': 'monitoring/custom-metrics-adapter' }
    expect(services.map((each) => each.metadata['annotations'])).toEqual([wanted, wanted, wanted])
  })

  test('the adapter has the rights it was given and no other', async () => {
    const can = async (verb: string, resource: string) => {
      const body = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: 'system:serviceaccount:monitoring:custom-metrics-adapter',
          groups: ['system:serviceaccounts', 'system:authenticated'],
          resourceAttributes: { namespace: 'vision', verb, resource },
        },
      }
      const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews'
      const { status } = await world.plane.api<{ status: { allowed: boolean } }>('POST', path, body)
      return status.allowed
    }
    expect(await can('watch', 'pods')).toBe(true)
    expect(await can('delete', 'pods')).toBe(false)
    expect(await can('get', 'secrets')).toBe(false)
    expect(await can('list', 'configmaps')).toBe(false)
  })
})

describe('rights', () => {
  test('a user without rights gets 403, from the API server and from the adapter', async () => {
    for (const path of [FRAMES, PODS])
      expect(await refusal('default', path)).toContain('(Forbidden)')
    const authorization = `Bearer ${await world.plane.accountToken('vision', 'default')}`
    for (const path of [FRAMES, PODS]) {
      const answer = await askDirectly(world, { path, headers: { authorization } })
      expect(answer.status).toBe(403)
      expect(answer.text).toContain('system:serviceaccount:vision:default')
    }
  })

  test('a reader of two metrics reads these and no other', async () => {
    const authorization = `Bearer ${await world.plane.accountToken('vision', 'metric-reader')}`
    const direct = async (path: string) =>
      (await askDirectly(world, { path, headers: { authorization } })).status
    expect(await refusal('metric-reader', FRAMES)).toContain('"value":"3"')
    expect(await refusal('metric-reader', PODS)).toContain('"kind":"Pod"')
    expect(await refusal('metric-reader', PERSONS)).toContain('(Forbidden)')
    expect(await direct(FRAMES)).toBe(200)
    expect(await direct(PODS)).toBe(200)
    expect(await direct(PERSONS)).toBe(403)
    expect(await direct(FRAMES.replace('/vision/', '/default/'))).toBe(403)
    expect(await direct('/metrics')).toBe(403)
  })
})

describe('what is no metric of a workload', () => {
  test('everybody may ask whether the adapter lives and is ready', async () => {
    for (const path of ['/livez', '/readyz'])
      expect(await askDirectly(world, { path }), path).toMatchObject({ status: 200, text: 'ok' })
  })

  test("the adapter's own metrics are for whoever has the role of the base", async () => {
    const account = { name: 'collector', namespace: 'monitoring' }
    await world.plane.apply([
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: account },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: 'collector' },
        roleRef: {
          apiGroup: 'rbac.authorization.k8s.io',
          kind: 'ClusterRole',
          name: 'custom-metrics-adapter:self-metrics-reader',
        },
        subjects: [{ kind: 'ServiceAccount', ...account }],
      },
    ])
    const token = await world.plane.accountToken(account.namespace, account.name)
    const ask = (headers: Readonly<Record<string, string>>) =>
      askDirectly(world, { path: '/metrics', headers })
    expect((await ask({})).status).toBe(403)
    const own = await ask({ authorization: `Bearer ${token}` })
    expect(own.status).toBe(200)
    const readings = 'tideline_readings{namespace="vision",signal="frames-waiting",state="fresh"} 1'
    expect(own.text.split('\n')).toContain(readings)
  })
})

describe('forged identities, straight at the adapter', () => {
  const headers = { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' }
  const subject = '/CN=front-proxy-client'

  test('without a client certificate', async () => {
    expect((await askDirectly(world, { path: FRAMES, headers })).status).toBe(403)
    const both = { ...headers, authorization: 'Bearer forged' }
    expect((await askDirectly(world, { path: FRAMES, headers: both })).status).toBe(401)
  })

  test("with the aggregator's name, signed by nobody known", async () => {
    const folder = join(world.plane.folder, 'forged')
    mkdirSync(folder)
    const other = createAuthority(folder, 'front-proxy-ca')
    const client = other.sign({ name: 'forged', subject, use: 'clientAuth' })
    const answer = await askDirectly(world, { path: FRAMES, headers, client })
    expect([401, 403]).toContain(answer.status)
  })

  test("with the aggregator's name, signed by the CA of users", async () => {
    const client = world.plane.certs.cluster.sign({ name: 'a-user', subject, use: 'clientAuth' })
    const answer = await askDirectly(world, { path: FRAMES, headers, client })
    expect(answer.status).toBe(403)
    expect(answer.text).toContain('front-proxy-client')
  })

  test("with another name, signed by the aggregator's CA", async () => {
    const client = world.plane.certs.frontProxy.sign({
      name: 'another-proxy',
      subject: '/CN=another-proxy',
      use: 'clientAuth',
    })
    const answer = await askDirectly(world, { path: FRAMES, headers, client })
    expect([401, 403]).toContain(answer.status)
  })
})

test('a renewed certificate is taken without restart, and the API server never loses the adapter', async () => {
  const serial = async () => (await askDirectly(world, { path: '/livez' })).serial
  const before = await serial()
  await world.makeCertificate()
  // Not renewed yet in the adapter's memory: the API server trusts the CA before as well.
  expect(await values(FRAMES)).toEqual(['3'])
  const seen = async () => (await serial().catch(() => before)) !== before
  await becomes(seen, true)
  expect(await values(FRAMES)).toEqual(['3'])
  expect(await availability()).toEqual(['True', 'True', 'True'])
})
