import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { required } from './programs.ts'
import { freePort, start, temporaryFolder } from './running.ts'

export interface PrometheusServer {
  readonly port: number
  /** Replaces the web configuration; it holds from the next request on. */
  protect(web: Readonly<Record<string, unknown>>): void
  stop(): Promise<void>
}

export interface PrometheusServerOptions {
  /** Addresses (`host:port`) to scrape at `/metrics`. */
  readonly targets: readonly string[]
  readonly scrapeInterval: string
  /** Of exporter-toolkit: `basic_auth_users`, `tls_server_config`. */
  readonly web?: Readonly<Record<string, unknown>>
  /** What it knows from the start: OpenMetrics text with timestamps. */
  readonly past?: string
}

/** Starts a real Prometheus on 127.0.0.1 and a free port, and waits until it serves. */
export async function startPrometheus(options: PrometheusServerOptions): Promise<PrometheusServer> {
  const folder = temporaryFolder()
  const port = await freePort()
  const config = join(folder.path, 'prometheus.yml')
  const web = join(folder.path, 'web.yml')
  const protect = (content: Readonly<Record<string, unknown>>) =>
    writeFileSync(web, stringify(content))
  protect(options.web ?? {})
  const data = join(folder.path, 'data')
  if (options.past !== undefined) {
    const past = join(folder.path, 'past.txt')
    writeFileSync(past, options.past)
    const blocks = ['tsdb', 'create-blocks-from', 'openmetrics', '--quiet', past, data]
    execFileSync(required('promtool'), blocks, { stdio: 'pipe' })
  }
  const scrape = { job_name: 'test', static_configs: [{ targets: options.targets }] }
  writeFileSync(
    config,
    stringify({
      global: { scrape_interval: options.scrapeInterval, scrape_timeout: options.scrapeInterval },
      scrape_configs: [scrape],
    }),
  )
  const program = start(required('prometheus'), [
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}`,
    `--web.config.file=${web}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ])
  await program.says('Server is ready to receive web requests')
  return {
    port,
    protect,
    async stop() {
      await program.stop()
      folder.remove()
    },
  }
}
