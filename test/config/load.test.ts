import { describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/load.ts'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problems.ts'

const ADAPTER = `apiVersion: tideline.dev/v1alpha1
kind: MetricsAdapter
metadata: {name: tideline}
spec:
  sources:
    - name: vision-pods
      scrape:
        pods: {labelSelector: app=vision, port: 8080}
    - name: queues
      namespaces: [vision]
      redis:
        url: redis://redis.vision.svc:6379
        keys: [{key: frames, as: list}]
`

function signal(spec: string, name = 'detections', namespace = 'vision'): string {
  return `---
apiVersion: tideline.dev/v1alpha1
kind: Signal
metadata: {name: ${name}, namespace: ${namespace}}
spec:
${spec
  .split('\n')
  .map((line) => `  ${line}`)
  .join('\n')}
`
}

const QUEUE = `source: queues
select: {metric: redis_list_length}
expose: {external: {name: queue_depth}}`

function load(text: string) {
  return loadConfig([{ path: 'tideline.yaml', text }])
}

function good(text: string): Config {
  const loaded = load(text)
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded.config
}

function problems(text: string): string[] {
  const loaded = load(text)
  return loaded.ok ? [] : loaded.problems.map(formatProblem)
}

describe('what is taken', () => {
  test('defaults for KEDA, named after the signal', () => {
    const spec = 'source: queues\nselect: {metric: m}\nexpose: {keda: {target: 5}}'
    const config = good(ADAPTER + signal(spec, 'frames.waiting'))
    expect(config.signals[0]?.expose).toEqual({
      keda: { name: 'frames-waiting', target: 5, activation: 0 },
    })
    expect(config.adapter.externalScaler).toBeUndefined()
  })

  test('an external scaler, with TLS both ways where nothing else is said', () => {
    const config = good(ADAPTER.replace('spec:', 'spec:\n  externalScaler: {}'))
    expect(config.adapter.externalScaler).toEqual({
      address: '::',
      port: 6444,
      auth: { mode: 'clientCertificates' },
    })
  })

  test('an external metric of detections per second by class', () => {
    const config = good(
      ADAPTER +
        signal(`source: vision-pods
select: {metric: vision_detection_count_total, matchers: ['class=~"person|car"']}
window: {function: rate, duration: 1m}
combine: {by: [class]}
whenStale: {answer: hold, maxAge: 5m}
stabilize: {window: 300s}
expose: {external: {name: vision_detections_per_second}}`),
    )
    expect(config.signals).toEqual([
      {
        id: 'vision/detections',
        namespace: 'vision',
        name: 'detections',
        selection: {
          source: 'vision-pods',
          metric: 'vision_detection_count_total',
          matchers: [{ label: 'class', operator: '=~', value: 'person|car' }],
          scope: { label: 'namespace', value: 'vision' },
        },
        window: { function: 'rate', durationMs: 60_000, quantile: 0 },
        combine: { function: 'sum', by: ['class'], minCoverage: 0.9 },
        freshForMs: 45_000,
        whenStale: { answer: 'hold', maxAgeMs: 300_000 },
        whenAbsent: { answer: 'error' },
        stabilize: { policy: 'fixed', windowMs: 300_000 },
        expose: { external: { name: 'vision_detections_per_second' } },
      },
    ])
  })

  test('a preset: one line makes the signals of an engine', () => {
    const { signals } = good(ADAPTER + signal('source: vision-pods\npreset: vllm', 'llm'))
    const waiting = signals.filter(({ selection }) =>
      selection.metric.includes('num_requests_waiting'),
    )
    expect(waiting.length).toBeGreaterThan(0)
    for (const one of signals) {
      expect(one.name).toMatch(/^llm-[a-z0-9-]+$/)
      expect(one.selection.scope).toEqual({ label: 'namespace', value: 'vision' })
    }
  })

  test.each([
    ['{window: 300s}', { policy: 'fixed', windowMs: 300_000 }],
    ['{policy: fixed, window: 60s}', { policy: 'fixed', windowMs: 60_000 }],
    ['{policy: table}', { policy: 'table', minWindowMs: 0, maxWindowMs: 3600_000 }],
    [
      '{}',
      {
        policy: 'predictive',
        minWindowMs: 0,
        maxWindowMs: 3600_000,
        maxHeadroom: 4,
        startDelayMs: 90_000,
      },
    ],
    [
      '{minWindow: 1m, maxWindow: 30m, maxHeadroom: 0.5, startDelay: 3m}',
      {
        policy: 'predictive',
        minWindowMs: 60_000,
        maxWindowMs: 1800_000,
        maxHeadroom: 0.5,
        startDelayMs: 180_000,
      },
    ],
    [
      '{startUp: {pods: {labelSelector: app=vision}, min: 2m}}',
      {
        policy: 'predictive',
        minWindowMs: 0,
        maxWindowMs: 3600_000,
        maxHeadroom: 4,
        startDelayMs: 120_000,
        startUp: {
          labelSelector: 'app=vision',
          quantile: 0.9,
          leastMs: 120_000,
          mostMs: 900_000,
        },
      },
    ],
    ['{policy: none}', undefined],
    ['{policy: none, window: 300s, minWindow: 2h, act: behavior}', undefined],
  ])('stabilize: %s', (written, stabilize) => {
    const [one] = good(ADAPTER + signal(`${QUEUE}\nstabilize: ${written}`)).signals
    expect(one?.stabilize).toEqual(stabilize)
  })

  test.each([
    ['{policy: fixed}', 'stabilize.window'],
    ['{policy: predictive, window: 300s}', 'stabilize.window'],
    ['{window: 300s, maxHeadroom: 1}', 'stabilize.maxHeadroom'],
    ['{policy: table, startDelay: 90s}', 'stabilize.startDelay'],
    ['{minWindow: 2h}', 'stabilize.minWindow'],
    ['{maxWindow: 25h}', 'stabilize.maxWindow'],
    ['{startDelay: 20m}', 'stabilize.startDelay'],
    ['{startUp: {}}', 'stabilize.startUp.pods: say which pods are scaled: source queues does'],
    ['{startUp: {pods: {labelSelector: ""}}}', 'stabilize.startUp.pods.labelSelector'],
    ['{startUp: {pods: {labelSelector: a=b, namespace: x}}}', 'stabilize.startUp.pods'],
    ['{startUp: {pods: {labelSelector: a=b}, quantile: 90}}', 'stabilize.startUp.quantile'],
    ['{startUp: {pods: {labelSelector: a=b}, quantile: 0}}', 'stabilize.startUp.quantile'],
    ['{startUp: {pods: {labelSelector: a=b}, max: 20m}}', 'stabilize.startUp.max'],
    ['{startUp: {pods: {labelSelector: a=b}, min: 2m, max: 1m}}', 'stabilize.startUp.min'],
    ['{startDelay: 1m, startUp: {pods: {labelSelector: a=b}, min: 2m}}', 'stabilize.startDelay'],
    ['{window: 1m, startUp: {pods: {labelSelector: a=b}}}', 'stabilize.startUp'],
    ['{policy: table, startUp: {pods: {labelSelector: a=b}}}', 'stabilize.startUp'],
  ])('stabilize: %s is refused', (written, field) => {
    const told = problems(ADAPTER + signal(`${QUEUE}\nstabilize: ${written}`))
    expect(told).toEqual([expect.stringContaining(field)])
  })

  test('the same name in two namespaces', () => {
    const pods = QUEUE.replace('queues', 'vision-pods')
    expect(
      good(ADAPTER + signal(pods, 'a', 'one') + signal(pods, 'a', 'two')).signals,
    ).toHaveLength(2)
  })
})

describe('what is refused names the place, the field, the value and the mend', () => {
  const cases: [name: string, spec: string, told: string][] = [
    [
      'a misspelt field',
      QUEUE.replace('select', 'selekt'),
      'tideline.yaml:18: Signal vision/detections: spec: unknown field "selekt": did you mean "select"?',
    ],
    [
      'a duration without a unit',
      `${QUEUE}\nfreshFor: 30`,
      'tideline.yaml:22: Signal vision/detections: spec.freshFor (is 30): 30 is not a duration: write a whole number and a unit (ms, s, m, h, d), such as 500ms, 15s, 1m or 1h30m',
    ],
    [
      'a source that is not there',
      QUEUE.replace('queues', 'qeues'),
      'spec.source (is qeues): no such source; did you mean "queues"?',
    ],
    [
      'nobody can ask',
      'source: queues\nselect: {metric: redis_list_length}',
      'spec.expose: give an external or a custom name or a KEDA target, or nobody can ask',
    ],
    [
      'values told of pods without a pod label',
      `source: vision-pods
select: {metric: m}
expose: {custom: {name: m, on: pods}}`,
      'spec.combine.by: must hold "pod" where values are told of pods',
    ],
    [
      'a matcher that does not parse',
      `source: queues
select: {metric: m, matchers: ['class==person']}
expose: {external: {name: m}}`,
      'spec.select.matchers.0 (is "class==person"): must be label=value with one of = != =~ !~ and the value in double quotes',
    ],
    [
      'a regular expression that does not parse',
      `source: queues
select: {metric: m, matchers: ['class=~"("']}
expose: {external: {name: m}}`,
      'spec.select.matchers.0 (is "class=~\\"(\\""): is not a regular expression',
    ],
    [
      'a name that cannot stand in a path',
      QUEUE.replace('queue_depth', '"queue/depth"'),
      'spec.expose.external.name (is "queue/depth"): must be a path segment: no "/", no "%", no space',
    ],
    [
      'a window longer than the history',
      `${QUEUE}\nwindow: {function: max, duration: 2h}`,
      'is longer than limits.history',
    ],
  ]
  test.each(cases)('%s', (_name, spec, told) => {
    const said = problems(ADAPTER + signal(spec))
    expect(
      said.some((line) => line.includes(told)),
      said.join('\n'),
    ).toBe(true)
  })

  test('two signals exposing one name', () => {
    expect(problems(ADAPTER + signal(QUEUE, 'a') + signal(QUEUE, 'b'))).toEqual([
      'tideline.yaml:29: Signal vision/b: spec.expose (is queue_depth): Signal vision/a already serves this name: choose another',
    ])
  })

  test('two signals with one name at KEDA', () => {
    const keda = (name: string) =>
      `source: queues\nselect: {metric: m}\nexpose: {keda: {name: ${name}, target: 5}}`
    expect(problems(ADAPTER + signal(keda('q'), 'a') + signal(keda('q'), 'b'))[0]).toContain(
      'spec.expose (is q): Signal vision/a already serves this name',
    )
    expect(problems(ADAPTER + signal(keda('Queue_Depth'), 'a'))[0]).toContain(
      'spec.expose.keda.name (is "Queue_Depth"): must be lower case letters, digits and "-"',
    )
  })

  test('a KEDA target that divides by nothing', () => {
    for (const target of ['0', '-1', '0.0001'])
      expect(
        problems(
          ADAPTER +
            signal(`source: queues\nselect: {metric: m}\nexpose: {keda: {target: ${target}}}`),
        )[0],
      ).toContain('spec.expose.keda.target')
  })

  test('an external scaler without a mode that is known', () => {
    const text = ADAPTER.replace('spec:', 'spec:\n  externalScaler: {auth: {mode: open}}')
    expect(problems(text)).toEqual([
      'tideline.yaml:5: MetricsAdapter tideline: spec.externalScaler.auth.mode (is "open"): must be one of clientCertificates, insecureOpen, insecurePlaintext',
    ])
  })

  test.each([
    [
      'metricsApi: {auth: {mode: opne}}',
      'spec.metricsApi.auth.mode (is "opne"): must be one of delegated, clientCertificates, tokenFile, insecureOpen',
    ],
    ['evaluation: {interval: 11s}', 'spec.evaluation.interval (is "11s"): must be 10s or less'],
    ['metricsApi: {auth: {mode: tokenFile}}', 'spec.metricsApi.auth.tokenFile: '],
  ])('MetricsAdapter with %s; its signals are not blamed for it', (field, told) => {
    const text = ADAPTER.replace('spec:', `spec:\n  ${field}`) + signal(QUEUE)
    expect(problems(text)).toEqual([expect.stringContaining(told)])
  })

  const EVENTS = 'brokers: [kafka:9092], topic: t, metric: m'
  test.each([
    ["group: ''", 'group (is ""): must not be empty'],
    [`group: ${'g'.repeat(201)}`, 'g…): must have 200 characters or less'],
    ['maxSeries: 0', 'maxSeries (is 0): must be 1 or more'],
    ['maxSeries: 100001', 'maxSeries (is 100001): must be 100000 or less'],
    ['where: [{field: a, in: []}]', 'where.0.in (is []): must not be empty'],
    [
      'where: [{field: a, min: 1, max: 0.5}]',
      'where.0.min (is 1): must not be above max, 0.5: no event has that',
    ],
    [
      'where: [{field: a, equals: 2, max: 1}]',
      'where.0.equals (is 2): must be a number within min and max: no event has that',
    ],
    [
      'where: [{field: a, equals: b, min: 1}]',
      'where.0.equals (is "b"): must be a number within min and max: no event has that',
    ],
    [
      'where: [{field: a, equals: b, in: [c, d]}]',
      'where.0.equals (is "b"): must be one of in: no event has that',
    ],
  ])('events of Kafka with %s: what to write instead', (field, told) => {
    const said = problems(`${ADAPTER}    - {name: e, kafkaEvents: {${EVENTS}, ${field}}}\n`)
    expect(said).toEqual([expect.stringContaining(told)])
    expect(said[0]).toMatch(/^tideline\.yaml:14: MetricsAdapter tideline: spec\.sources\.2\./)
  })

  test.each([
    'where: [{field: a, min: 1, max: 1}]',
    'where: [{field: a, equals: 1, in: ["1"], min: 0}]',
    'where: [{field: a, equals: b, in: [b]}]',
  ])('events of Kafka with %s: some event can have that', (field) =>
    expect(problems(`${ADAPTER}    - {name: e, kafkaEvents: {${EVENTS}, ${field}}}\n`)).toEqual([]),
  )

  test('no MetricsAdapter at all, as in a folder that was emptied', () => {
    const told = [expect.stringContaining('no MetricsAdapter document: ')]
    expect(loadConfig([])).toMatchObject({ ok: false })
    expect(problems('')).toEqual(told)
    expect(problems(signal(QUEUE))).toEqual(told)
    expect(problems(signal(QUEUE.replace('select', 'selekt')))).toHaveLength(2)
  })

  test('a selector of pods that does not parse, by the rules that are given', () => {
    const files = [{ path: 'tideline.yaml', text: ADAPTER.replace('app=vision', "'app in'") }]
    const selectorProblem = (text: string) => (text === 'app in' ? 'bad' : undefined)
    const loaded = loadConfig(files, { selectorProblem })
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([
      'tideline.yaml:8: MetricsAdapter tideline: spec.sources.0.scrape.pods.labelSelector (is "app in"): bad',
    ])
  })

  test('pods whose start-up is measured: a selector that does not parse, and pods that are not watched', () => {
    const startUp = '{pods: {labelSelector: app in}}'
    const adapter = ADAPTER.replace('spec:\n', 'spec:\n  podNamespaces: [elsewhere]\n')
    const text = adapter + signal(`${QUEUE}\nstabilize:\n  startUp: ${startUp}`)
    const selectorProblem = (selector: string) => (selector === 'app in' ? 'bad' : undefined)
    const loaded = loadConfig([{ path: 'tideline.yaml', text }], { selectorProblem })
    const field =
      'Signal vision/detections: spec.stabilize.startUp.pods.labelSelector (is "app in")'
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([
      `tideline.yaml:24: ${field}: bad`,
      expect.stringMatching(
        /:24: .*startUp .*: pods of namespace vision are not watched: add it to podNamespaces/,
      ),
    ])
    expect(problems(text.replace('[elsewhere]', '[vision]'))).toEqual([])
  })

  test('pods whose start-up is measured are those that the source finds, where it says which', () => {
    const measuring = QUEUE.replace('queues', 'vision-pods') + '\nstabilize: {startUp: {}}'
    const of = (text: string) => {
      const [{ stabilize } = {}] = good(text + signal(measuring)).signals
      return stabilize?.policy === 'predictive' ? stabilize.startUp?.labelSelector : undefined
    }
    expect(of(ADAPTER)).toBe('app=vision')
    const anyPod = ADAPTER.replace('app=vision', "''")
    const exporters = ADAPTER.replace('scrape:', 'scrape:\n        attribution: metric')
    for (const adapter of [anyPod, exporters])
      expect(problems(adapter + signal(measuring))).toEqual([
        expect.stringContaining('startUp.pods: say which pods are scaled: source vision-pods'),
      ])
  })

  test('of a text that is not YAML the first error alone', () => {
    expect(problems('a: [1, 2\nb: {\n  c: "d\n')).toHaveLength(1)
  })

  test('a source that is not open to the namespace', () => {
    expect(problems(ADAPTER + signal(QUEUE, 'a', 'other'))[0]).toContain(
      'is not open to namespace other',
    )
  })

  test('a source of two kinds, and one of none', () => {
    const both = ADAPTER.replace(
      '      namespaces: [vision]',
      '      scrape: {targets: [{url: http://127.0.0.1/metrics}]}',
    )
    expect(problems(both)[0]).toContain('must have exactly one of')
    expect(problems(ADAPTER.replace(/ {6}redis:[^]*$/, ''))[0]).toContain('it has none')
  })

  test('another kind or version', () => {
    expect(problems('apiVersion: v1\nkind: ConfigMap\n')[0]).toContain(
      'must be tideline.dev/v1alpha1',
    )
    expect(problems('apiVersion: tideline.dev/v1alpha1\nkind: Sginal\n')[0]).toContain(
      'kind (is "Sginal"): must be MetricsAdapter or Signal',
    )
  })

  test('text that is not YAML, a list, an alias bomb', () => {
    expect(problems('a: [1, 2')[0]).toMatch(/^tideline\.yaml:1: YAML/)
    expect(problems('- 1')[0]).toContain('must be a document with apiVersion')
    const bomb = 'a: &a [1,1]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n'
    expect(problems(bomb).length).toBeGreaterThan(0)
  })

  test('a credential is not shown', () => {
    const text = ADAPTER.replace('redis://redis.vision.svc:6379', 'redis://:hunter2@redis:6379')
    const said = problems(text).join('\n')
    expect(said).not.toBe('')
    expect(said).not.toContain('hunter2')
  })

  test('all mistakes at once, not the first alone', () => {
    const spec = 'source: nowhere\nfreshFor: 1\nwindow: {function: avarage}'
    expect(problems(ADAPTER + signal(spec)).length).toBeGreaterThanOrEqual(2)
  })
})
