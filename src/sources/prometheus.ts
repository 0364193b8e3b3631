import { TidelineError } from '../errors.ts'
import type { Component, SecretReader, SourceDeps, SourceType } from '../ports.ts'
import { HttpClient } from './http.ts'
import { abortable, Gate, poll } from './poll.ts'
import { prometheusConfigSchema } from './prometheusConfig.ts'
import type { PrometheusConfig, QueryConfig } from './prometheusConfig.ts'
import { apiUrl, resultIn, samplesOf } from './prometheusAnswer.ts'

const TIMEOUT_MS = 10_000
/** Queries of one source that are open at one time. */
const QUERIES_OPEN_MAX = 8

/**
 * Asks a server that speaks Prometheus's query API (Prometheus, Thanos, Mimir, VictoriaMetrics) for the present
 * value of each query. Each query is an origin. An empty result is a complete batch without samples: its series
 * end and are absent, never 0. A sample's time is that of the evaluation; how old the data under it may be is
 * the server's look-back (5 min by default) and the query's own range.
 */
export const prometheusSource: SourceType<PrometheusConfig> = {
  type: 'prometheus',
  summary: 'Asks a server with the Prometheus query API for the value of queries.',
  schema: prometheusConfigSchema,
  create: (config, deps): Component => ({
    async run(signal) {
      const client = new HttpClient({
        secrets: deps.secrets,
        bodyBytesMax: config.limits.bodyBytes,
        ...(config.tls === undefined ? {} : { tls: config.tls }),
        ...(config.auth === undefined ? {} : { auth: config.auth }),
      })
      const gate = new Gate(QUERIES_OPEN_MAX)
      const loops = config.queries.map((query) =>
        follow({ config, deps, client, gate }, query, signal),
      )
      await Promise.all(loops)
      client.close()
    },
  }),
}

interface Shared {
  readonly config: PrometheusConfig
  readonly deps: SourceDeps
  readonly client: HttpClient
  readonly gate: Gate
}

/** Collects one query until `signal` aborts. */
function follow(shared: Shared, query: QueryConfig, signal: AbortSignal): Promise<void> {
  const { config, deps, client, gate } = shared
  const { name: source, clock, sink, log } = deps
  const origin = `query:${query.name}`
  const timeoutMs = config.timeout ?? Math.min(TIMEOUT_MS, config.interval)
  const url = apiUrl(config.url, 'query')
  const warnings = warningsLog({ deps, origin })
  let failing: string | undefined

  async function collect(collecting: AbortSignal): Promise<void> {
    const atMs = clock.nowMs()
    const headers = await headersOf(config, deps.secrets, collecting)
    const body = formOf(query, timeoutMs)
    const answer = await client.send({ method: 'POST', url, headers, body }, collecting)
    const result = resultIn(answer, url)
    const samples = samplesOf(result, query, config)
    collecting.throwIfAborted()
    warnings(result.warnings)
    sink.write({ source, origin, atMs, samples, complete: true })
    if (failing !== undefined) log.info('query-recovered', { source, origin })
    failing = undefined
  }

  function failed({ code, message }: TidelineError): void {
    sink.fail(source, origin, { code, message, atMs: clock.nowMs() })
    if (failing !== code) log.warn('query-failing', { source, origin, code, message })
    failing = code
  }

  const missed = (slots: number) => log.debug('query-slots-missed', { source, origin, slots })
  const key = `${source}/${query.name}`
  const intervalMs = config.interval
  return poll({ clock, intervalMs, timeoutMs, key, gate, failed, missed }, collect, signal)
}

/** HTTP API of Prometheus, "Instant queries". The time of evaluation is the server's own. */
function formOf(query: QueryConfig, timeoutMs: number): string {
  return new URLSearchParams({
    query: query.query,
    // So that the server gives up too.
    timeout: `${timeoutMs}ms`,
    // Of Thanos: an error in place of a sum over the stores that happened to answer. Others ignore it.
    partial_response: 'false',
  }).toString()
}

async function headersOf(
  config: PrometheusConfig,
  secrets: SecretReader,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const headers: Record<string, string> = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  }
  for (const [name, value] of Object.entries(config.headers)) {
    signal.throwIfAborted()
    headers[name] =
      typeof value === 'string'
        ? value
        : headerText(name, await abortable(secrets.read(value), signal))
  }
  return headers
}

function headerText(name: string, value: string): string {
  if (/^[\t\x20-\x7e]*$/.test(value)) return value
  throw new TidelineError('not-configured', `the value of the header ${name} is no plain text`)
}

/** Shows the server's warnings when they change, and not each time. */
function warningsLog({ deps, origin }: { deps: SourceDeps; origin: string }) {
  let shown = ''
  return (warnings: readonly string[]): void => {
    const text = warnings.join('\n')
    if (text === shown) return
    shown = text
    const fields = { source: deps.name, origin, warnings }
    if (warnings.length > 0) deps.log.warn('query-warnings', fields)
    else deps.log.info('query-warnings-over', fields)
  }
}
