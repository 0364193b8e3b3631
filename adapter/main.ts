#!/usr/bin/env node
/**
 * The composition root: the only file that knows both the engine and the edges. It makes each part, hands
 * each what it asks for, and runs them until the process is told to stop.
 */
import type { Config } from '../src/config/load.ts'
import type { Logger, PushInlet, PushReceiver, SignalReader } from '../src/ports.ts'
import type { Labels } from '../src/model.ts'
import type { KubeClient } from './cluster/kubeClient.ts'
import type { ServeOptions } from './commandLine.ts'
import { systemClock as clock } from '../src/clock.ts'
import { createConfigFiles, readConfigFiles } from '../src/config/files.ts'
import { configJsonSchema } from '../src/config/jsonSchema.ts'
import { loadConfig } from '../src/config/load.ts'
import { formatProblem } from '../src/config/problems.ts'
import { messageOf } from '../src/errors.ts'
import { createSeriesStore } from '../src/series/store.ts'
import { admissibleRate } from '../src/signal/admission.ts'
import { createBoard } from '../src/signal/board.ts'
import { createEvaluator } from '../src/signal/evaluator.ts'
import { configuredSource } from '../src/sources/registry.ts'
import { createRunningSources } from '../src/sources/running.ts'
import { configuredWindows } from '../src/store/configured.ts'
import { openState } from '../src/store/stateFile.ts'
import { openAccess } from './access.ts'
import { kubeClient } from './cluster/kubeClient.ts'
import { PodWatch } from './cluster/pods.ts'
import { secretReader } from './cluster/secrets.ts'
import { fixedAtStart, openBehavior, restoreBehavior } from './behaviorEdge.ts'
import { parseCommandLine, USAGE } from './commandLine.ts'
import { awaited, firstData } from './firstData.ts'
import { createHttpsServer } from './httpsServer.ts'
import { createLogger } from './log.ts'
import { openKedaEdge } from './kedaEdge.ts'
import type { Edge } from './lifetime.ts'
import { live } from './lifetime.ts'
import { createMetricsApi } from './metrics-api/app.ts'
import { createInlet } from './push/inlet.ts'
import { openPushEdge } from './pushEdge.ts'
import { parseSelector, SelectorError } from './metrics-api/selector.ts'
import { readingsJson } from './readings.ts'
import { explainReadings, recordLoads, replayLoads } from './recordedLoads.ts'
import { openCertificate } from './servingCertificate.ts'
import type { SelfMetrics } from './selfMetrics.ts'
import { createSelfMetrics } from './selfMetrics.ts'
import { standalonePods } from './standalonePods.ts'
import { VERSION } from './version.ts'

const CONFIG_INTERVAL_MS = 2000

/** Pods are selected by the same rules as in requests, so a selector is checked by the same parser. */
const CHECKS = {
  selectorProblem(text: string): string | undefined {
    try {
      parseSelector(text)
      return undefined
    } catch (thrown) {
      if (thrown instanceof SelectorError) return thrown.message
      throw thrown
    }
  },
}

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseCommandLine(args, process.env)
    switch (options.command) {
      case 'help':
        process.stdout.write(USAGE)
        return 0
      case 'schema':
        process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`)
        return 0
      case 'replay':
        return await replayLoads(options)
      case 'record':
        return await recordLoads(options)
      case 'why':
        return await explainReadings(options)
      case 'restore':
        return await restoreBehavior(await connectCluster(options), process.stdout)
      case 'check':
        return await check(options.config)
      case 'serve':
        return await serve(options)
    }
  } catch (thrown) {
    process.stderr.write(`tideline: ${messageOf(thrown)}\n`)
    return thrown instanceof RangeError ? 2 : 1
  }
}

async function check(paths: readonly string[]): Promise<number> {
  const loaded = loadConfig(await readConfigFiles(paths), CHECKS)
  if (loaded.ok) {
    const { signals, adapter } = loaded.config
    process.stdout.write(`right: ${adapter.sources.length} sources, ${signals.length} signals\n`)
    return 0
  }
  for (const problem of loaded.problems) process.stderr.write(`${formatProblem(problem)}\n`)
  return 1
}

async function serve(options: ServeOptions): Promise<number> {
  const log = createLogger(clock, options.logLevel)
  const loaded = loadConfig(await readConfigFiles(options.config), CHECKS)
  if (!loaded.ok) {
    for (const problem of loaded.problems) process.stderr.write(`${formatProblem(problem)}\n`)
    return 1
  }
  const stopping = new AbortController()
  const stop = (name: NodeJS.Signals) => {
    log.info('stopping', { signal: name })
    stopping.abort(name)
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  await compose(options, loaded.config, log, stopping.signal)
  log.info('stopped')
  return 0
}

/** Makes and joins everything, serves until `stopping` aborts, then ends it in the order of its use. */
async function compose(
  options: ServeOptions,
  config: Config,
  log: Logger,
  stopping: AbortSignal,
): Promise<void> {
  const { metricsApi } = config.adapter
  const client = await connectCluster(options)
  const watched = client === undefined ? undefined : watchPods(client, config, log)
  const pushed = createInlet()
  const engine = await createEngine(options, config, { log, client, discovery: watched, pushed })
  const pods =
    watched ?? standalonePods(engine.store, () => engine.sources().map(({ name }) => name))
  const access = await openAccess(options, metricsApi.auth, { clock, log, client })
  const certificate = await openCertificate(options, { clock, log })
  const behavior = openBehavior(config.adapter.behavior, {
    client,
    reader: engine.board,
    clock,
    log,
    current: () => engine.adapter().behavior,
  })
  const selfMetrics = createSelfMetrics({
    ...engine.account,
    behavior: behavior.account,
    certificateNotAfterMs: () => certificate.notAfterMs(),
  })
  const knows = firstData({
    clock,
    names: () => awaited(engine.sources()),
    heardOf: (source) => engine.store.origins(source).size > 0,
  })
  const isReady = () => !stopping.aborted && engine.board.tick > 0 && knows() && access.ready()
  const app = createMetricsApi({
    reader: engine.board,
    ...access,
    pods,
    clock,
    log,
    version: VERSION,
    metricsText: selfMetrics.text,
    readingsText: (signal) => readingsJson(engine.board, signal),
    isReady,
    observe: selfMetrics.observeRequest,
  })
  const https = createHttpsServer(app, { clock, log, tls: certificate.tls })
  certificate.attach(https.server)
  const reader = engine.board
  const told = { log, client, isReady, reader, selfSigned: certificate.tls, pushed, selfMetrics }
  const grpc = await openGrpcEdges(options, config, told)

  const api: Edge = {
    components: certificate.components,
    listen: () => listen(https, options, metricsApi, log),
    close: (graceMs) => https.close(graceMs),
  }
  stopping.addEventListener('abort', () => https.drain(), { once: true })
  const parts = [
    ...engine.components,
    ...access.components,
    ...behavior.components,
    ...(watched ? [watched] : []),
  ]
  try {
    await live({ clock, stopping, edges: [...grpc, api], parts, drainMs: metricsApi.drain })
  } finally {
    client?.close()
  }
}

async function listen(
  https: ReturnType<typeof createHttpsServer>,
  options: ServeOptions,
  metricsApi: Config['adapter']['metricsApi'],
  log: Logger,
): Promise<void> {
  const address = options.address ?? metricsApi.address
  const port = await https.listen(address, options.port ?? metricsApi.port)
  log.info('listening', { address, port, version: VERSION, auth: metricsApi.auth.mode })
}

interface GrpcSurroundings extends Surroundings {
  readonly reader: SignalReader
  readonly pushed: PushReceiver
  readonly selfMetrics: SelfMetrics
  readonly selfSigned: { readonly cert: string; readonly key: string }
  isReady(): boolean
}

/** The port for KEDA and the port for reports. */
async function openGrpcEdges(
  options: ServeOptions,
  { adapter }: Config,
  { reader, pushed, selfMetrics, isReady, ...deps }: GrpcSurroundings,
): Promise<readonly Edge[]> {
  const { observeCall, observeReport, observePoints } = selfMetrics
  const asked = { ...deps, clock, reader, isReady, observe: observeCall }
  const admissible = (served: readonly Labels[]) => admissibleRate(reader, served)
  const told = {
    ...{ ...deps, clock, receiver: pushed, observe: observeReport, observePoints },
    admissibleRate: admissible,
  }
  return [
    await openKedaEdge(options, adapter.externalScaler, asked),
    await openPushEdge(options, adapter.push, told),
  ]
}

async function connectCluster(
  options: Pick<ServeOptions, 'kubeconfig'>,
): Promise<KubeClient | undefined> {
  const inCluster = process.env['KUBERNETES_SERVICE_HOST'] !== undefined
  if (options.kubeconfig === undefined && !inCluster) return undefined
  // Loaded only where there is a cluster: the client library costs half a second and 50 MB.
  const { kubeConnection } = await import('./cluster/kubeConfig.ts')
  const connection = kubeConnection({
    inCluster,
    ...(options.kubeconfig === undefined ? {} : { kubeconfigFile: options.kubeconfig }),
  })
  return connection === undefined ? undefined : kubeClient(connection, clock)
}

function watchPods(client: KubeClient, config: Config, log: Logger): PodWatch {
  return new PodWatch({
    client,
    clock,
    log,
    namespaces: config.adapter.podNamespaces ?? [],
    compileSelector: (text) => parseSelector(text).matches,
  })
}

interface Surroundings {
  readonly log: Logger
  readonly client: KubeClient | undefined
}

interface EngineSurroundings extends Surroundings {
  readonly discovery: PodWatch | undefined
  readonly pushed: PushInlet
}

/** Sources → store → evaluator → board, and the files that configure them. */
async function createEngine(
  options: ServeOptions,
  initial: Config,
  { log, client, discovery, pushed }: EngineSurroundings,
) {
  const store = seriesStore(initial.adapter.limits)
  const board = createBoard()
  const intervalMs = initial.adapter.evaluation.interval
  const startUps = discovery === undefined ? {} : { startUps: discovery }
  const evaluator = createEvaluator({ clock, view: store, board, log, intervalMs, ...startUps })
  const remembering = await openState(initial.adapter.state, evaluator, { clock, log })
  const secrets = secretReader({
    environment: process.env,
    clock,
    ...(client === undefined ? {} : { client }),
  })
  const windows = configuredWindows(initial.adapter.windowStore, { clock, secrets, log })
  const depsOf = (name: string) => ({
    name,
    windows: windows.of(name),
    clock,
    sink: store,
    secrets,
    log,
    pushed,
    ...(discovery === undefined ? {} : { discovery }),
  })
  const running = createRunningSources({ store, log, depsOf })
  let current = initial
  const configFiles = createConfigFiles({
    paths: options.config,
    clock,
    log,
    intervalMs: CONFIG_INTERVAL_MS,
    checks: CHECKS,
    apply: (config) => {
      warnOfRestart(current, config, log)
      current = config
      running.apply(config.adapter.sources.map(configuredSource))
      evaluator.setSignals(config.signals)
    },
  })
  await configFiles.load()
  const adapter = () => current.adapter
  const sources = () => adapter().sources
  return {
    store,
    board,
    adapter,
    sources,
    components: [running, evaluator, configFiles, ...remembering],
    account: {
      reader: board,
      nowMs: clock.nowMs,
      store: () => store.counters(),
      evaluator: () => evaluator.counters(),
      config: () => configFiles.state(),
      windowStore: windows.account,
      sources: () => sources().map(({ name }) => ({ name, origins: store.origins(name) })),
    },
  }
}

function seriesStore(limits: Config['adapter']['limits']) {
  return createSeriesStore(
    {
      seriesMax: limits.series,
      pointsPerSeriesMax: limits.pointsPerSeries,
      historyMs: limits.history,
      futureToleranceMs: 5000,
      labelsMax: 64,
      labelLengthMax: 1024,
    },
    clock,
  )
}

/** What is fixed when the process starts; a change of it is taken at the next start, and said so. */
const FIXED_AT_START = [
  'metricsApi',
  'externalScaler',
  'push',
  'limits',
  'evaluation',
  'podNamespaces',
  'windowStore',
  'behavior',
  'state',
] as const

function warnOfRestart(before: Config, after: Config, log: Logger): void {
  const fixed = ({ adapter }: Config, field: (typeof FIXED_AT_START)[number]) =>
    JSON.stringify(field === 'behavior' ? fixedAtStart(adapter.behavior) : adapter[field])
  const fields = FIXED_AT_START.filter((field) => fixed(before, field) !== fixed(after, field))
  if (fields.length > 0) log.warn('config-needs-restart', { fields })
}

process.exitCode = await main(process.argv.slice(2))
