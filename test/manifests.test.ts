/** Facts about manifests/ that must hold before anything is applied; the end-to-end tests apply the very files. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { loadConfig } from '../src/config/load.ts'

const ROOT = join(import.meta.dirname, '..')
const MANIFESTS = join(ROOT, 'manifests')
const NAME = 'custom-metrics-adapter'

interface Container {
  readonly image: string
  readonly args: readonly string[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly securityContext: Record<string, unknown>
  readonly resources: { readonly requests: unknown; readonly limits: unknown }
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
  readonly [probe: string]: unknown
}

interface Rule {
  readonly apiGroups?: readonly string[]
  readonly resources?: readonly string[]
  readonly nonResourceURLs?: readonly string[]
  readonly verbs: readonly string[]
}

/** The fields that are looked at; an object has those of its kind. */
interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly rules: readonly Rule[]
  readonly roleRef: { readonly name: string }
  readonly subjects: readonly { readonly name: string; readonly namespace: string }[]
  readonly data: Readonly<Record<string, string>>
  readonly spec: Record<string, unknown>
}

function manifests(folder: string): Manifest[] {
  const at = join(MANIFESTS, folder)
  const [kustomization] = documents(join(at, 'kustomization.yaml'))
  const { resources } = kustomization as unknown as { resources: readonly string[] }
  const files = readdirSync(at).filter((name) => name !== 'kustomization.yaml')
  const local = resources.filter((name) => !name.startsWith('..'))
  expect(local.toSorted(), `${folder}: every file is in the kustomization`).toEqual(
    files.toSorted(),
  )
  return local.flatMap((name) => documents(join(at, name)))
}

function documents(path: string): Manifest[] {
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => {
    expect(document.errors, path).toEqual([])
    return document.toJS() as Manifest
  })
}

function one(objects: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  )
  expect(found, `${kind} ${name ?? ''}`).toHaveLength(1)
  return found[0]!
}

const base = manifests('base')
const examples = manifests('examples')
const certManager = manifests('overlays/cert-manager')

const deployment = one(base, 'Deployment').spec as {
  replicas: number
  selector: { matchLabels: Record<string, string> }
  template: {
    metadata: { labels: Record<string, string> }
    spec: Record<string, unknown> & {
      containers: Container[]
      volumes: { name: string; configMap?: { name: string }; secret?: { secretName: string } }[]
    }
  }
}
const pod = deployment.template.spec
const adapter = pod.containers[0]!

const config = loadConfig(
  Object.entries(one(base, 'ConfigMap').data).map(([path, text]) => ({ path, text })),
)

describe('the base', () => {
  test('registers three API services with the one Service, none without verification', () => {
    const found = base
      .filter((object) => object.kind === 'APIService')
      .map((object) => [object.metadata.name, object.spec])
    const service = { name: NAME, namespace: 'monitoring', port: 443 }
    const group = (name: string, version: string, versionPriority: number) => [
      `${version}.${name}`,
      { group: name, version, groupPriorityMinimum: 100, versionPriority, service },
    ]
    expect(found).toEqual([
      group('custom.metrics.k8s.io', 'v1beta1', 15),
      group('custom.metrics.k8s.io', 'v1beta2', 30),
      group('external.metrics.k8s.io', 'v1beta1', 15),
    ])
  })

  test('the Service leads to the port on which the adapter listens', () => {
    const { ports, selector } = one(base, 'Service').spec as {
      ports: { port: number; targetPort: string }[]
      selector: unknown
    }
    expect(one(base, 'Service').metadata).toEqual({ name: NAME, namespace: 'monitoring' })
    expect(ports).toMatchObject([{ port: 443, targetPort: 'https' }])
    expect(selector).toEqual(deployment.selector.matchLabels)
    expect(deployment.template.metadata.labels).toMatchObject(deployment.selector.matchLabels)
    expect(adapter.ports).toEqual([{ name: 'https', containerPort: 6443 }])
    expect(adapter.args).toContain('--port=6443')
  })

  test('pods run with the least that they need, and one of them may always go', () => {
    expect(deployment.replicas).toBe(2)
    expect(pod['securityContext']).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(adapter.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(adapter.resources.requests).toHaveProperty('memory')
    expect(adapter.resources.limits).toHaveProperty('memory')
    expect(pod['topologySpreadConstraints']).toHaveLength(1)
    const budget = one(base, 'PodDisruptionBudget').spec
    expect(budget).toEqual({ minAvailable: 1, selector: deployment.selector })
  })

  test('probes ask over TLS whether it lives and whether it is ready', () => {
    const asks = (path: string) => ({ httpGet: { path, port: 'https', scheme: 'HTTPS' } })
    expect(adapter['startupProbe']).toMatchObject(asks('/livez'))
    expect(adapter['livenessProbe']).toMatchObject(asks('/livez'))
    expect(adapter['readinessProbe']).toMatchObject(asks('/readyz'))
  })

  test('pods outlive the drain and the answers in flight', () => {
    if (!config.ok) throw new Error('the configuration is wrong')
    const inFlightMs = 10_000
    const graceMs = Number(pod['terminationGracePeriodSeconds']) * 1000
    expect(graceMs).toBeGreaterThan(config.config.adapter.metricsApi.drain + inFlightMs)
  })

  test('files named in the arguments are mounted', () => {
    const mounted = adapter.volumeMounts.map((mount) => mount.mountPath)
    const paths = adapter.args.map((argument) => argument.split('=')[1] ?? '')
    for (const path of paths.filter((text) => text.startsWith('/')))
      expect(mounted.some((folder) => path === folder || path.startsWith(`${folder}/`))).toBe(true)
    const volumes = pod.volumes.map(
      ({ configMap, secret }) => configMap?.name ?? secret?.secretName,
    )
    expect(volumes).toEqual([one(base, 'ConfigMap').metadata.name, `${NAME}-tls`])
  })

  test('its configuration is right as it is', () => {
    expect(config).toMatchObject({ ok: true })
  })

  test('the network policy lets through what the configuration needs, and is a denial else', () => {
    if (!config.ok) throw new Error('the configuration is wrong')
    const policy = one(base, 'NetworkPolicy').spec as {
      podSelector: unknown
      policyTypes: string[]
      ingress: { ports: { port: number }[] }[]
      egress: { ports: { port: number }[] }[]
    }
    expect(policy.podSelector).toEqual(deployment.selector)
    expect(policy.policyTypes).toEqual(['Ingress', 'Egress'])
    expect(portsOf(policy.ingress)).toEqual([6443])
    const redis = config.config.adapter.sources.flatMap(({ redis: each }) =>
      each?.url === undefined ? [] : [Number(new URL(each.url).port)],
    )
    const scraped = pods('vision-service').flatMap((container) =>
      container.ports.map((port) => port.containerPort),
    )
    expect(portsOf(policy.egress)).toEqual(
      [53, 53, 443, 6443, ...scraped, ...redis].toSorted((a, b) => a - b),
    )
  })
})

describe('rights', () => {
  const all = [...base, ...examples]
  const bindings = all.filter((object) => object.kind.endsWith('RoleBinding'))

  test('no rule has a wildcard, none writes, none reads Secrets', () => {
    for (const { rules = [], metadata } of all)
      for (const rule of rules) {
        const words = [rule.apiGroups, rule.resources, rule.nonResourceURLs, rule.verbs].flat()
        expect(words, metadata.name).not.toContain('*')
        expect(words, metadata.name).not.toContain('secrets')
        for (const verb of rule.verbs) expect(['get', 'list', 'watch']).toContain(verb)
      }
  })

  test("the adapter's account is bound to three roles", () => {
    const own = bindings.filter(({ subjects }) => subjects.some((who) => who.name === NAME))
    expect(own.map((binding) => [binding.metadata.namespace, binding.roleRef.name])).toEqual([
      [undefined, 'system:auth-delegator'],
      ['kube-system', 'extension-apiserver-authentication-reader'],
      [undefined, `${NAME}:pods`],
    ])
    for (const { subjects } of own)
      expect(subjects).toEqual([{ kind: 'ServiceAccount', name: NAME, namespace: 'monitoring' }])
    expect(one(base, 'ClusterRole', `${NAME}:pods`).rules).toEqual([
      { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
    ])
    expect(pod['serviceAccountName']).toBe(NAME)
  })

  test('to write behaviours is a component of its own, and grants nothing else', () => {
    const rules = manifests('components/hpa-behavior').flatMap((object) => object.rules ?? [])
    expect(rules.map(({ resources, verbs }) => `${resources?.join()}: ${verbs.join()}`)).toEqual([
      'horizontalpodautoscalers: get,list,watch,patch',
      'scaledobjects: get,list,watch,patch',
      'events: create',
      'leases: create',
      'leases: get,update',
    ])
  })

  test('readers are granted metrics by name', () => {
    expect(one(examples, 'ClusterRole').rules).toEqual([
      {
        apiGroups: ['custom.metrics.k8s.io'],
        resources: ['pods/http_requests_per_second'],
        verbs: ['get'],
      },
      {
        apiGroups: ['external.metrics.k8s.io'],
        resources: ['vision_frames_waiting'],
        verbs: ['get', 'list'],
      },
    ])
  })
})

describe('certificates', () => {
  const name = `${NAME}.monitoring.svc`

  test('the script makes them for the name that the API server verifies', () => {
    const script = readFileSync(join(MANIFESTS, 'make-certificate.sh'), 'utf8')
    expect(script).toContain('subjectAltName=DNS:$SERVICE.$NAMESPACE.svc,')
    // The name under which services find the port for reports.
    expect(script).toContain(',DNS:$SERVICE-push.$NAMESPACE.svc,')
    expect(script).toMatch(/^NAMESPACE=monitoring$/m)
    expect(script).toMatch(new RegExp(`^SERVICE=${NAME}$`, 'm'))
    for (const each of base.filter((object) => object.kind === 'APIService'))
      expect(script).toContain(each.metadata.name)
  })

  test('cert-manager does so too, into the Secret that is mounted, and into the API services', () => {
    const { dnsNames, secretName } = one(certManager, 'Certificate', NAME).spec as {
      dnsNames: string[]
      secretName: string
    }
    expect(dnsNames).toContain(name)
    expect(dnsNames).toContain(`${NAME}-push.monitoring.svc`)
    expect(secretName).toBe(`${NAME}-tls`)
    const overlay = readFileSync(
      join(MANIFESTS, 'overlays/cert-manager/kustomization.yaml'),
      'utf8',
    )
    expect(overlay).toContain(`cert-manager.io/inject-ca-from: monitoring/${NAME}`)
  })

  test('verification is switched off nowhere', () => {
    const files = readdirSync(MANIFESTS, { recursive: true, encoding: 'utf8' })
    for (const file of files.filter((each) => /\.(yaml|sh)$/.test(each)))
      expect(readFileSync(join(MANIFESTS, file), 'utf8'), file).not.toContain('insecureSkip')
  })
})

describe('the examples', () => {
  interface Metric {
    readonly type: 'Pods' | 'External' | 'Object'
    readonly pods?: { readonly metric: { readonly name: string }; readonly target: unknown }
    readonly external?: { readonly metric: { readonly name: string } }
    readonly object?: {
      readonly metric: { readonly name: string }
      readonly describedObject: { readonly kind: string; readonly name: string }
    }
  }

  const hpas = examples.filter((object) => object.kind === 'HorizontalPodAutoscaler')
  const metrics = hpas.flatMap((hpa) => hpa.spec['metrics'] as Metric[])

  test('there is an HPA on each type of metric, whose scale-down is slow', () => {
    expect(metrics.map((metric) => metric.type)).toEqual(['Pods', 'External', 'Object'])
    expect(metrics[0]?.pods?.target).toEqual({ type: 'AverageValue', averageValue: '100m' })
    for (const { apiVersion, spec } of hpas) {
      expect(apiVersion).toBe('autoscaling/v2')
      expect(spec['behavior']).toMatchObject({
        scaleDown: {
          stabilizationWindowSeconds: 300,
          policies: [{ type: 'Percent', value: 10, periodSeconds: 60 }],
        },
      })
      const target = spec['scaleTargetRef'] as { name: string }
      const scaled = one(examples, 'Deployment', target.name)
      expect(scaled.spec, 'the HPA owns the replicas').not.toHaveProperty('replicas')
    }
  })

  test('each asks for a signal that the base serves', () => {
    if (!config.ok) throw new Error('the configuration is wrong')
    const exposed = config.config.signals
      .filter((signal) => signal.namespace === 'vision')
      .map((signal) => signal.expose)
    for (const { pods: perPod, external, object } of metrics) {
      const served = exposed.some(
        (expose) =>
          (external !== undefined && expose.external?.name === external.metric.name) ||
          (perPod !== undefined &&
            expose.custom?.on.resource === 'pods' &&
            expose.custom.name === perPod.metric.name) ||
          (object !== undefined &&
            expose.custom?.on.kind === object.describedObject.kind &&
            expose.custom.on.name === object.describedObject.name &&
            expose.custom.name === object.metric.name),
      )
      expect(served, JSON.stringify({ perPod, external, object })).toBe(true)
    }
  })

  test('the pods to scrape carry the label and the port name that the base looks for', () => {
    if (!config.ok) throw new Error('the configuration is wrong')
    const query = config.config.adapter.sources.find((source) => source.scrape)?.scrape?.pods
    const [label = '', value] = query?.labelSelector.split('=') ?? []
    const template = one(examples, 'Deployment', 'vision-service').spec['template'] as {
      metadata: { labels: Record<string, string> }
    }
    expect(template.metadata.labels[label]).toBe(value)
    expect(pods('vision-service')[0]?.ports[0]?.name).toBe(query?.port)
  })
})

test('the overlay for reports opens the ports that the configuration takes', () => {
  const overlay = ['kustomization.yaml', 'service.yaml']
    .map((name) => readFileSync(join(MANIFESTS, 'overlays/push', name), 'utf8'))
    .join('')
  const [[path, text] = ['', '']] = Object.entries(one(base, 'ConfigMap').data)
  const sources = 'push: { http: {} }\n  sources:\n    - { name: services, push: {} }'
  const loaded = loadConfig([{ path, text: `${text.split('spec:')[0]}spec:\n  ${sources}\n` }])
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { push } = loaded.config.adapter
  expect(push?.auth).toEqual({ mode: 'serviceAccountToken' })
  const ports = [...overlay.matchAll(/(?:port|containerPort): (\d+)/g)].map(([, port]) => port)
  const taken = [push?.port, push?.http?.port].map(String)
  expect(ports).toEqual([...taken, ...taken, ...taken])
})

test('the forecast that can be switched on measures the pods that the HPA scales', () => {
  const files = Object.entries(one(base, 'ConfigMap').data)
  const switchedOn = loadConfig(
    files.map(([path, text]) => ({ path, text: text.replace('# stabilize:', 'stabilize:') })),
  )
  if (!switchedOn.ok) throw new Error(JSON.stringify(switchedOn.problems))
  const found = switchedOn.config.signals.flatMap(({ stabilize }) =>
    stabilize?.policy === 'predictive' ? [stabilize.startUp?.labelSelector] : [],
  )
  const { template } = one(manifests('examples'), 'Deployment', 'vision-worker').spec as {
    template: { metadata: { labels: Readonly<Record<string, string>> } }
  }
  const labels = Object.entries(template.metadata.labels).map(([name, value]) => `${name}=${value}`)
  expect(found).toHaveLength(1)
  expect(labels).toContain(found[0])
})

describe('the overlay for state', () => {
  const [component] = documents(join(MANIFESTS, 'components/state/kustomization.yaml'))
  const [{ patch = '' } = {}] = (component as unknown as { patches: { patch?: string }[] }).patches
  const [steps] = parseAllDocuments(patch).map((one) => one.toJS() as { path: string; value: unknown }[]) // prettier-ignore
  const added = <T>(path: string) => steps?.find((step) => step.path === path)?.value as T

  test('the file is off until it is asked for, and is then on the volume', () => {
    const files = Object.entries(one(base, 'ConfigMap').data)
    const switchedOn = loadConfig(
      files.map(([path, text]) => ({ path, text: text.replace('# state:', 'state:') })),
    )
    if (!config.ok || !switchedOn.ok) throw new Error('the configuration is wrong')
    expect(config.config.adapter.state).toBeUndefined()
    const mount = added<{ name: string; mountPath: string; readOnly?: boolean }>(
      '/spec/template/spec/containers/0/volumeMounts/-',
    )
    expect(switchedOn.config.adapter.state?.file).toBe(`${mount.mountPath}/state`)
    expect(mount.readOnly).toBeUndefined()
    const claims = added<{ metadata: unknown }[]>('/spec/volumeClaimTemplates')
    expect(claims).toMatchObject([{ metadata: { name: mount.name } }])
  })

  test('the group of the container may write to the volume', () => {
    const { fsGroup, runAsGroup } = pod['securityContext'] as Record<string, number>
    expect(fsGroup).toBe(runAsGroup)
  })
})

describe('KEDA', () => {
  const keda = manifests('examples-keda')
  const overlay = readFileSync(join(MANIFESTS, 'overlays/keda/kustomization.yaml'), 'utf8')
  const files = Object.entries(one(base, 'ConfigMap').data)
  const switchedOn = loadConfig(
    files.map(([path, text]) => ({
      path,
      text: text.replace('# externalScaler', 'externalScaler'),
    })),
  )

  interface Trigger {
    readonly type: string
    readonly metadata: Readonly<Record<string, string>>
    readonly authenticationRef: { readonly kind: string; readonly name: string }
  }

  test('its port is off until it is asked for, and is then the one that the overlay opens', () => {
    if (!config.ok || !switchedOn.ok) throw new Error('the configuration is wrong')
    expect(config.config.adapter.externalScaler).toBeUndefined()
    const scaler = switchedOn.config.adapter.externalScaler
    expect(scaler?.auth).toEqual({
      mode: 'clientCertificates',
      caFile: '/var/run/tideline-keda/ca.crt',
    })
    expect(overlay.match(/port: \d+|containerPort: \d+/gi)).toEqual([
      `port: ${scaler?.port}`,
      `containerPort: ${scaler?.port}`,
      `port: ${scaler?.port}`,
    ])
    expect(overlay).toContain('mountPath: /var/run/tideline-keda')
  })

  test('each ScaledObject names a signal of its namespace, and has a target', () => {
    if (!config.ok) throw new Error('the configuration is wrong')
    const scaled = keda.filter((object) => object.kind === 'ScaledObject')
    expect(scaled).toHaveLength(2)
    const [authentication] = keda.filter(({ kind }) => kind === 'ClusterTriggerAuthentication')
    for (const { spec, metadata } of scaled)
      for (const trigger of spec['triggers'] as Trigger[]) {
        const { scalerAddress, signal: name, target } = trigger.metadata
        expect(scalerAddress).toBe(`${NAME}.monitoring.svc:6444`)
        const signal = config.config.signals.find(
          (each) => each.namespace === metadata.namespace && each.name === name,
        )
        expect(signal, name).toBeDefined()
        expect(target ?? signal?.expose.keda?.target, name).toBeDefined()
        expect(trigger.authenticationRef.name).toBe(authentication?.metadata.name)
        one(examples, 'Deployment', (spec['scaleTargetRef'] as { name: string }).name)
      }
  })

  test('the script makes the Secrets that are named', () => {
    const script = readFileSync(join(MANIFESTS, 'make-keda-certificate.sh'), 'utf8')
    expect(script).toContain('create secret generic $SERVICE-keda ')
    expect(overlay).toContain(`secretName: ${NAME}-keda`)
    expect(script).toContain('create secret generic tideline-client ')
  })
})

describe('the image', () => {
  const lines = readFileSync(join(ROOT, 'Containerfile'), 'utf8').split('\n')
  const read = (instruction: string) =>
    lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.split(' '))

  test('runs as nobody, on the pinned Node, without what is for development', () => {
    expect(read('USER')).toEqual([['USER', `${65532}:${65532}`]])
    for (const [, image] of read('FROM')) expect(image).toMatch(/^node:26-/)
    expect(lines.join('\n')).toContain('npm ci --omit=dev')
    expect(lines.join('\n')).not.toMatch(/curl|wget|apt-get/)
    expect(read('ENTRYPOINT')).toEqual([['ENTRYPOINT', '["node",', '"adapter/main.ts"]']])
  })
})

function pods(name: string): Container[] {
  const { template } = one(examples, 'Deployment', name).spec as {
    template: { spec: { containers: Container[] } }
  }
  return template.spec.containers
}

function portsOf(rules: readonly { readonly ports: readonly { readonly port: number }[] }[]) {
  return rules.flatMap((rule) => rule.ports.map((each) => each.port)).toSorted((a, b) => a - b)
}

describe('the example with Kafka', () => {
  const kafka = manifests('examples-kafka')
  const loaded = loadConfig(
    Object.entries(one(kafka, 'ConfigMap').data).map(([path, text]) => ({ path, text })),
  )

  test('its configuration is right, and takes the place of the base’s', () => {
    expect(loaded.ok ? [] : loaded.problems).toEqual([])
    const { name, namespace } = one(base, 'ConfigMap').metadata
    expect(one(kafka, 'ConfigMap').metadata).toMatchObject({ name, namespace })
  })

  test('its network policy adds what its configuration needs', () => {
    if (!loaded.ok) throw new Error('the configuration is wrong')
    const policy = one(kafka, 'NetworkPolicy').spec as {
      podSelector: unknown
      policyTypes: string[]
      egress: { ports: { port: number }[] }[]
    }
    const { sources, windowStore } = loaded.config.adapter
    const brokers = sources.flatMap(({ kafkaEvents, kafkaLag }) => [
      ...(kafkaEvents?.brokers ?? []),
      ...(kafkaLag?.brokers ?? []),
    ])
    const needed = [...brokers.map((each) => `kafka://${each}`), windowStore?.redis.url ?? '']
    const ports = new Set(needed.map((url) => Number(new URL(url).port)))
    expect(policy.podSelector).toEqual(one(base, 'Deployment').spec['selector'])
    expect(policy.policyTypes).toEqual(['Egress'])
    expect(portsOf(policy.egress)).toEqual([...ports].toSorted((a, b) => a - b))
  })

  test('its HPA asks for what the signals give', () => {
    const spec = one(kafka, 'HorizontalPodAutoscaler').spec
    const metrics = spec['metrics'] as { external: { metric: { name: string } } }[]
    const given = loaded.ok ? loaded.config.signals.map(({ expose }) => expose.external?.name) : []
    for (const { external } of metrics) expect(given).toContain(external.metric.name)
    const target = spec['scaleTargetRef'] as { name: string }
    expect(one(kafka, 'Deployment').metadata.name).toBe(target.name)
  })
})

describe('the example with reports', () => {
  const push = manifests('examples-push')
  const loaded = loadConfig(
    Object.entries(one(push, 'ConfigMap').data).map(([path, text]) => ({ path, text })),
  )

  test('its configuration is right, and takes the place of the base’s', () => {
    expect(loaded.ok ? [] : loaded.problems).toEqual([])
    const { name, namespace } = one(base, 'ConfigMap').metadata
    expect(one(push, 'ConfigMap').metadata).toMatchObject({ name, namespace })
  })

  test('its pods may report, must report, and have a token to do so that is good for nothing else', () => {
    const { template } = one(push, 'Deployment').spec as {
      template: {
        metadata: { labels: Record<string, string> }
        spec: {
          serviceAccountName: string
          automountServiceAccountToken: boolean
          volumes: { projected: { sources: { serviceAccountToken?: { audience: string } }[] } }[]
        }
      }
    }
    const query = loaded.ok ? loaded.config.adapter.sources[0]?.push?.pods : undefined
    const [label = '', value] = query?.labelSelector.split('=') ?? []
    expect(template.metadata.labels[label]).toBe(value)
    const overlay = readFileSync(join(MANIFESTS, 'overlays/push/kustomization.yaml'), 'utf8')
    expect(overlay).toContain(`matchLabels: { ${label}: "${value}" }`)
    expect(template.spec.automountServiceAccountToken).toBe(false)
    const auth = loaded.ok ? loaded.config.adapter.push?.auth : undefined
    const token = template.spec.volumes[0]?.projected.sources[0]?.serviceAccountToken
    expect(auth).toEqual({ mode: 'serviceAccountToken', audience: token?.audience })
    expect(one(push, 'ServiceAccount').metadata.name).toBe(template.spec.serviceAccountName)
    expect(push.filter(({ kind }) => /Role/.test(kind))).toEqual([])
  })

  test('its HPA asks for what the signals give', () => {
    const spec = one(push, 'HorizontalPodAutoscaler').spec
    const metrics = spec['metrics'] as { external: { metric: { name: string } } }[]
    const given = loaded.ok ? loaded.config.signals.map(({ expose }) => expose.external?.name) : []
    for (const { external } of metrics) expect(given).toContain(external.metric.name)
    const target = spec['scaleTargetRef'] as { name: string }
    expect(one(push, 'Deployment').metadata.name).toBe(target.name)
  })
})
