import { parseArgs } from 'node:util'
import type { Connection } from './connectionFlags.ts'
import type { LogLevel } from './log.ts'
import type { Moment } from './timeFlags.ts'
import { CONNECTION_FLAGS, CONNECTION_USAGE, connectionOf } from './connectionFlags.ts'
import { LOG_LEVELS } from './log.ts'
import type { RecordOptions } from './recordFlags.ts'
import { RECORD_FLAGS, RECORD_USAGE, recordOptions } from './recordFlags.ts'
import { momentOf, spanOf } from './timeFlags.ts'

export const USAGE = `tideline: autoscaling metrics adapter for Kubernetes

  tideline [serve] --config FILE_OR_FOLDER ...   serve the metrics APIs
  tideline check --config FILE_OR_FOLDER ...     say whether a configuration is right, and stop
  tideline replay --trace FILE.csv ...           say what policies would have answered to recorded loads, and cost
  tideline record --adapter URL --signal NAME    write what a signal of a running adapter observes, to be replayed
  tideline why --adapter URL [--signal NAME]     say what a running adapter answers and why, in words
  tideline restore [--kubeconfig FILE]           take back all scale-down windows that were written to HPAs
  tideline schema                                print the JSON Schema of the configuration

Options of replay
  --trace FILE           recorded load: t_seconds,value (mean of the interval that ends then); or the JSON
                         of a Prometheus range query; a folder of them, or several times
  --prometheus URL       ask a server with the Prometheus API for the load instead, by
    --query PROMQL       a query that gives one series, such as 'sum(rate(http_requests_total[1m]))'
    --from TIME          a duration ago or a time with its zone (7d)
    --to TIME            the same (now: 0s)
    --step DURATION      pace of the rows (15s)
    --save FILE.csv      keep what was fetched as a trace
  --out FILE             answers, one row for each of the trace; a folder where there are several traces
  --html FILE            one page with the curves, to look at in a browser
  --policy POLICY        predictive, table or fixed:SECONDS (predictive)
  --signal FILE.yaml     policy and bounds as this Signal's stabilize says
  --start-delay SECONDS  from the order of a pod to its service (the signal's, or 90)
  --capacity LOAD        what one replica serves, where it is known
  --words                write sentences in the column why, not numbers

${RECORD_USAGE}
${CONNECTION_USAGE}
Options of serve (environment in brackets)
  --tls-cert-file FILE   serving certificate, PEM [ADAPTER_TLS_CERT]
  --tls-key-file FILE    its private key, PEM [ADAPTER_TLS_KEY]
  --tls-ca-file FILE     CA of client certificates without a cluster, PEM [ADAPTER_TLS_CA]
  --self-signed NAMES    make a certificate for these comma-separated names; for a trial only
  --address ADDRESS      listen there instead of metricsApi.address
  --port PORT            listen there instead of metricsApi.port
  --kubeconfig FILE      cluster to work with [KUBECONFIG]; in a pod its own
  --log-level LEVEL      debug, info, warn or error (info)
`

export interface ServeOptions {
  readonly command: 'serve'
  readonly config: readonly string[]
  readonly tls:
    | { readonly kind: 'files'; readonly certFile: string; readonly keyFile: string }
    | { readonly kind: 'self-signed'; readonly names: readonly string[] }
  readonly clientCaFile?: string
  readonly address?: string
  readonly port?: number
  readonly kubeconfig?: string
  readonly logLevel: LogLevel
}

export interface ReplayOptions {
  readonly command: 'replay'
  /** Files, or folders of them. */
  readonly traces: readonly string[]
  /** Where the load is asked for, when no file has it. */
  readonly range?: RangeOptions
  readonly out?: string
  /** A page with the curves. */
  readonly html?: string
  readonly policy: ReplayPolicy
  /** File of a Signal, whose policy and bounds are taken. */
  readonly signal?: string
  readonly startDelayMs?: number
  readonly capacity?: number
  readonly words: boolean
}

export interface WhyOptions {
  readonly command: 'why'
  readonly connection: Connection
  /** Undefined: all. */
  readonly signal?: string
}

export interface RangeOptions {
  readonly connection: Connection
  readonly query: string
  readonly from: Moment
  readonly to: Moment
  readonly stepMs: number
  /** File that keeps what was fetched. */
  readonly save?: string
}

export type ReplayPolicy =
  | { readonly name: 'predictive' }
  | { readonly name: 'table' }
  | { readonly name: 'fixed'; readonly windowMs: number }

export type CommandLine =
  | ServeOptions
  | ReplayOptions
  | RecordOptions
  | WhyOptions
  | { readonly command: 'check'; readonly config: readonly string[] }
  | { readonly command: 'restore'; readonly kubeconfig?: string }
  | { readonly command: 'schema' }
  | { readonly command: 'help' }

type Environment = Readonly<Record<string, string | undefined>>

/** Reads arguments and environment; a flag wins over its variable. Throws `RangeError` naming the flag. */
export function parseCommandLine(args: readonly string[], env: Environment): CommandLine {
  const { values, positionals } = parse(args)
  if (values.help === true) return { command: 'help' }
  const [command = 'serve', extra] = positionals
  if (extra !== undefined) throw new RangeError(`unknown argument "${extra}"`)
  if (command === 'schema') return { command }
  const kubeconfig = values.kubeconfig ?? env['KUBECONFIG']
  if (command === 'restore') return { command, ...(kubeconfig === undefined ? {} : { kubeconfig }) }
  if (command === 'replay') return replayOptions(values)
  if (command === 'record') return recordOptions(values)
  if (command === 'why') return whyOptions(values)
  if (command !== 'serve' && command !== 'check')
    throw new RangeError(
      `unknown command "${command}": serve, check, replay, record, why, restore or schema`,
    )
  const config = values.config ?? []
  if (config.length === 0)
    throw new RangeError(
      '--config is missing: name a file or folder with MetricsAdapter and Signals',
    )
  if (command === 'check') return { command, config }
  const clientCaFile = values['tls-ca-file'] ?? env['ADAPTER_TLS_CA']
  return {
    command,
    config,
    tls: tlsOf(values, env),
    logLevel: levelOf(values['log-level']),
    ...(clientCaFile === undefined ? {} : { clientCaFile }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(values.address === undefined ? {} : { address: values.address }),
    ...(values.port === undefined ? {} : { port: portOf(values.port) }),
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', multiple: true },
        'tls-cert-file': { type: 'string' },
        'tls-key-file': { type: 'string' },
        'tls-ca-file': { type: 'string' },
        'self-signed': { type: 'string' },
        address: { type: 'string' },
        port: { type: 'string' },
        kubeconfig: { type: 'string' },
        'log-level': { type: 'string' },
        trace: { type: 'string', multiple: true },
        out: { type: 'string' },
        html: { type: 'string' },
        signal: { type: 'string', multiple: true },
        ...RECORD_FLAGS,
        policy: { type: 'string' },
        'start-delay': { type: 'string' },
        capacity: { type: 'string' },
        words: { type: 'boolean' },
        prometheus: { type: 'string' },
        query: { type: 'string' },
        from: { type: 'string' },
        to: { type: 'string' },
        step: { type: 'string' },
        save: { type: 'string' },
        ...CONNECTION_FLAGS,
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (thrown) {
    throw new RangeError(thrown instanceof Error ? thrown.message : String(thrown), {
      cause: thrown,
    })
  }
}

function whyOptions({ adapter, signal: [signal, extra] = [], ...values }: Values): WhyOptions {
  if (adapter === undefined)
    throw new RangeError('why needs --adapter, such as https://127.0.0.1:6443')
  if (extra !== undefined)
    throw new RangeError('--signal is there twice: why takes one, or none for all')
  const connection = connectionOf('--adapter', adapter, values)
  return { command: 'why', connection, ...(signal === undefined ? {} : { signal }) }
}

type Values = ReturnType<typeof parse>['values']

function replayOptions(values: Values): ReplayOptions {
  const { trace, out, html, signal: [signal, extra] = [], capacity, policy } = values
  const startDelay = values['start-delay']
  if (signal !== undefined && policy !== undefined)
    throw new RangeError('--signal and --policy: give one, the signal names its policy')
  if (extra !== undefined) throw new RangeError('--signal is there twice: replay takes one')
  const range = rangeOptions(values)
  if (trace === undefined && range === undefined)
    throw new RangeError('replay needs --trace FILE, or --prometheus URL and --query PROMQL')
  if (trace !== undefined && range !== undefined)
    throw new RangeError('--trace and --prometheus: give one')
  return {
    command: 'replay',
    traces: trace ?? [],
    ...(range === undefined ? {} : { range }),
    ...(out === undefined ? {} : { out }),
    ...(html === undefined ? {} : { html }),
    policy: policyOf(policy ?? 'predictive'),
    ...(signal === undefined ? {} : { signal }),
    ...(startDelay === undefined
      ? {}
      : { startDelayMs: positiveOf('--start-delay', startDelay) * 1000 }),
    ...(capacity === undefined ? {} : { capacity: positiveOf('--capacity', capacity) }),
    words: values.words === true,
  }
}

const ONLY_WITH_PROMETHEUS = ['query', 'from', 'to', 'step', 'save'] as const

function rangeOptions(values: Values): RangeOptions | undefined {
  const { prometheus, query, from = '7d', to = '0s', step = '15s', save } = values
  if (prometheus === undefined) {
    const lost = ONLY_WITH_PROMETHEUS.find((name) => values[name] !== undefined)
    if (lost === undefined) return undefined
    throw new RangeError(`--${lost} says nothing without --prometheus URL`)
  }
  if (query === undefined || query.trim() === '')
    throw new RangeError("--prometheus needs --query, such as 'sum(rate(http_requests_total[1m]))'")
  return {
    connection: connectionOf('--prometheus', prometheus, values),
    query,
    from: momentOf('--from', from),
    to: momentOf('--to', to),
    stepMs: spanOf('--step', step),
    ...(save === undefined ? {} : { save }),
  }
}

function policyOf(text: string): ReplayPolicy {
  if (text === 'predictive' || text === 'table') return { name: text }
  const [name, seconds, extra] = text.split(':')
  if (name !== 'fixed' || seconds === undefined || extra !== undefined)
    throw new RangeError(`--policy is "${text}": predictive, table or fixed:SECONDS`)
  return { name, windowMs: positiveOf('--policy fixed', seconds) * 1000 }
}

function positiveOf(flag: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new RangeError(`${flag} is "${text}": a number above 0`)
  return value
}

function tlsOf(
  values: { 'tls-cert-file'?: string; 'tls-key-file'?: string; 'self-signed'?: string },
  env: Environment,
): ServeOptions['tls'] {
  if (values['self-signed'] !== undefined) {
    const names = values['self-signed'].split(',').map((name) => name.trim())
    if (names.includes(''))
      throw new RangeError(
        `--self-signed is "${values['self-signed']}": comma-separated names, such as localhost`,
      )
    return { kind: 'self-signed', names }
  }
  const certFile = values['tls-cert-file'] ?? env['ADAPTER_TLS_CERT']
  const keyFile = values['tls-key-file'] ?? env['ADAPTER_TLS_KEY']
  if (certFile === undefined || keyFile === undefined)
    throw new RangeError(
      'no certificate: give --tls-cert-file and --tls-key-file (or ADAPTER_TLS_CERT and ADAPTER_TLS_KEY), or --self-signed localhost for a trial',
    )
  return { kind: 'files', certFile, keyFile }
}

function levelOf(text: string | undefined): LogLevel {
  if (text === undefined) return 'info'
  const level = LOG_LEVELS.find((one) => one === text)
  if (level === undefined)
    throw new RangeError(`--log-level is "${text}": ${LOG_LEVELS.join(', ')}`)
  return level
}

function portOf(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new RangeError(`--port is "${text}": a number from 0 to 65535`)
  return port
}
