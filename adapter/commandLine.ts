import { parseArgs } from 'node:util'
import type { LogLevel } from './log.ts'
import { LOG_LEVELS } from './log.ts'

export const USAGE = `tideline: autoscaling metrics adapter for Kubernetes

  tideline [serve] --config FILE_OR_FOLDER ...   serve the metrics APIs
  tideline check --config FILE_OR_FOLDER ...     say whether a configuration is right, and stop
  tideline schema                                print the JSON Schema of the configuration

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

export type CommandLine =
  | ServeOptions
  | { readonly command: 'check'; readonly config: readonly string[] }
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
  if (command !== 'serve' && command !== 'check')
    throw new RangeError(`unknown command "${command}": serve, check or schema`)
  const config = values.config ?? []
  if (config.length === 0)
    throw new RangeError(
      '--config is missing: name a file or folder with MetricsAdapter and Signals',
    )
  if (command === 'check') return { command, config }
  const clientCaFile = values['tls-ca-file'] ?? env['ADAPTER_TLS_CA']
  const kubeconfig = values.kubeconfig ?? env['KUBECONFIG']
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
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (thrown) {
    throw new RangeError(thrown instanceof Error ? thrown.message : String(thrown), {
      cause: thrown,
    })
  }
}

function tlsOf(
  values: { 'tls-cert-file'?: string; 'tls-key-file'?: string; 'self-signed'?: string },
  env: Environment,
): ServeOptions['tls'] {
  if (values['self-signed'] !== undefined)
    return { kind: 'self-signed', names: values['self-signed'].split(',') }
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
