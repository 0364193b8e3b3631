import { isAscii, isUtf8 } from 'node:buffer'
import { messageOf, TidelineError } from '../errors.ts'
import type { Target } from '../model.ts'
import type { Component, SourceDeps, SourceType } from '../ports.ts'
import { EXPOSITION_ACCEPT, formatOf } from './exposition/format.ts'
import { ExpositionParser } from './exposition/parser.ts'
import { failureOf } from './failure.ts'
import { HttpClient, okBody } from './http.ts'
import { Gate, poll } from './poll.ts'
import { metricFilter, scrapeConfigSchema, timeoutMsOf } from './scrapeConfig.ts'
import type { ScrapeConfig } from './scrapeConfig.ts'
import { targetLabels } from './targetLabels.ts'
import { followTargetsFile } from './targetsFile.ts'

/**
 * Each target is an origin; so is `discovery`, while it does not work. Beside what a target exposes, each collect
 * writes `up` with the target's own labels and the value 1; a collect that fails writes nothing, not 0.
 */
export const scrapeSource: SourceType<ScrapeConfig> = {
  type: 'scrape',
  summary: 'Reads Prometheus text and OpenMetrics from pods and other HTTP targets.',
  schema: scrapeConfigSchema,
  create: (config, deps): Component => ({ run: (signal) => new Scrape(config, deps).run(signal) }),
}

const DISCOVERY = 'discovery'
const DISCOVERY_RETRY_MS = 5000

interface Loop {
  readonly target: Target
  readonly stop: AbortController
  readonly done: Promise<void>
}

/** One run: a loop for each target that is present. */
class Scrape {
  readonly #config: ScrapeConfig
  readonly #deps: SourceDeps
  readonly #client: HttpClient
  readonly #gate: Gate
  /** Targets by how they were found. */
  readonly #found = new Map<'targets' | 'file' | 'pods', readonly Target[]>()
  readonly #loops = new Map<string, Loop>()
  /** Loops that were told to stop and may not have settled yet. */
  readonly #leaving = new Set<Promise<void>>()

  constructor(config: ScrapeConfig, deps: SourceDeps) {
    this.#config = config
    this.#deps = deps
    this.#gate = new Gate(config.concurrency)
    this.#client = new HttpClient({
      secrets: deps.secrets,
      bodyBytesMax: config.limits.bodyBytes,
      ...(config.tls === undefined ? {} : { tls: config.tls }),
      ...(config.auth === undefined ? {} : { auth: config.auth }),
    })
  }

  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    this.#found.set(
      'targets',
      this.#config.targets.map(({ url, labels }) => ({ id: url, url, labels })),
    )
    const stopAll = () => {
      for (const { stop } of this.#loops.values()) stop.abort()
    }
    signal.addEventListener('abort', stopAll, { once: true })
    this.#present()
    const aborted = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => aborted.resolve(), { once: true })
    await Promise.all([aborted.promise, this.#discover(signal), this.#followFile(signal)])
    await Promise.all([...[...this.#loops.values()].map(({ done }) => done), ...this.#leaving])
    this.#client.close()
  }

  async #discover(signal: AbortSignal): Promise<void> {
    const { discovery, clock } = this.#deps
    const { pods } = this.#config
    if (pods === undefined) return
    if (discovery === undefined) {
      const message = 'pods are found through a cluster, and there is none: write targets instead'
      this.#failed(DISCOVERY, new TidelineError('not-configured', message))
      return
    }
    const publish = (targets: readonly Target[]) => {
      if (signal.aborted) return
      this.#recovered(DISCOVERY)
      this.#found.set('pods', targets)
      this.#present()
    }
    while (!signal.aborted) {
      try {
        await discovery.watch(pods, publish, signal)
      } catch (thrown) {
        if (!signal.aborted) this.#failed(DISCOVERY, failureOf(thrown))
      }
      await clock.sleep(DISCOVERY_RETRY_MS, signal)
    }
  }

  async #followFile(signal: AbortSignal): Promise<void> {
    const path = this.#config.targetsFile
    if (path === undefined) return
    const publish = (targets: readonly Target[]) => {
      this.#recovered(DISCOVERY)
      this.#found.set('file', targets)
      this.#present()
    }
    const failed = (failure: TidelineError) => this.#failed(DISCOVERY, failure)
    await followTargetsFile({ path, clock: this.#deps.clock, publish, failed }, signal)
  }

  /** Makes the loops those of all targets that were found. */
  #present(): void {
    const wanted = new Map(
      [...this.#found.values()].flat().map((target) => [target.id, target] as const),
    )
    for (const [id, loop] of this.#loops) {
      const target = wanted.get(id)
      if (target === undefined || !same(target, loop.target)) this.#leave(id, loop)
    }
    for (const target of wanted.values())
      if (!this.#loops.has(target.id)) this.#loops.set(target.id, this.#follow(target))
  }

  #leave(id: string, loop: Loop): void {
    loop.stop.abort()
    this.#loops.delete(id)
    this.#leaving.add(loop.done)
    void loop.done.then(() => this.#leaving.delete(loop.done))
    this.#failing.delete(id)
    // Nothing is written after the abort, so the end may be told before the loop has settled.
    this.#deps.sink.end(this.#deps.name, id)
  }

  #follow(target: Target): Loop {
    const { name, clock, log } = this.#deps
    const { limits, honorTimestamps, metrics } = this.#config
    const parser = new ExpositionParser({
      limits,
      honorTimestamps,
      wants: metricFilter(metrics),
      labelsOf: targetLabels(target.labels, this.#config),
    })
    const stop = new AbortController()
    const done = poll(
      {
        clock,
        intervalMs: this.#config.interval,
        timeoutMs: timeoutMsOf(this.#config),
        key: `${name}/${target.id}`,
        gate: this.#gate,
        failed: (failure) => this.#failed(target.id, failure),
        missed: (slots) =>
          log.debug('scrape-slots-missed', { source: name, origin: target.id, slots }),
      },
      (signal) => this.#collect(target, parser, signal),
      stop.signal,
    )
    return { target, stop, done }
  }

  async #collect(target: Target, parser: ExpositionParser, signal: AbortSignal): Promise<void> {
    const { name, clock, sink } = this.#deps
    const atMs = clock.nowMs()
    const answer = await this.#client.send(
      { url: target.url, headers: { accept: EXPOSITION_ACCEPT } },
      signal,
    )
    const body = textOf(okBody(answer, placeOf(target.url)))
    const format = formatOf(answer.contentType, body)
    const samples = parser.parse({ body, format, atMs, framed: answer.framed })
    signal.throwIfAborted()
    const up = {
      metric: 'up',
      labels: target.labels,
      kind: 'gauge',
      value: 1,
      timestampMs: atMs,
    } as const
    sink.write({ source: name, origin: target.id, atMs, samples: [...samples, up], complete: true })
    this.#recovered(target.id)
  }

  /** Origins whose last collect failed, so that a log line is written for a change alone. */
  readonly #failing = new Map<string, string>()

  #failed(origin: string, failure: TidelineError): void {
    const { name, clock, sink, log } = this.#deps
    const { code } = failure
    const message = messageOf(failure)
    sink.fail(name, origin, { code, message, atMs: clock.nowMs() })
    if (this.#failing.get(origin) !== code)
      log.warn('scrape-failing', { source: name, origin, code, message })
    this.#failing.set(origin, code)
  }

  #recovered(origin: string): void {
    const { name, sink, log } = this.#deps
    if (!this.#failing.delete(origin)) return
    log.info('scrape-recovered', { source: name, origin })
    if (origin === DISCOVERY) sink.end(name, origin)
  }
}

function textOf(body: Buffer): string {
  // One byte a character where that is possible: half the memory, and quicker to search.
  if (isAscii(body)) return body.toString('latin1')
  if (!isUtf8(body)) throw new TidelineError('bad-response', 'the body is not UTF-8 text')
  return body.toString('utf8')
}

/** Where a target is, without its query, which may hold what is not for a log. */
function placeOf(url: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}

function same(a: Target, b: Target): boolean {
  const [left, right] = [Object.entries(a.labels), Object.entries(b.labels)]
  return (
    a.url === b.url &&
    left.length === right.length &&
    left.every(([name, value]) => b.labels[name] === value)
  )
}
