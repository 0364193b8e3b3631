/**
 * Joins the commands about loads that were recorded with the engine and with the servers that have them, as
 * `main.ts` does for what serves.
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { RangeOptions, ReplayOptions, WhyOptions } from './commandLine.ts'
import type { Connection } from './connectionFlags.ts'
import type { RecordOptions } from './recordFlags.ts'
import type { Load } from './replay.ts'
import { systemClock as clock } from '../src/clock.ts'
import { TidelineError } from '../src/errors.ts'
import type { FailureCode } from '../src/model.ts'
import { loadStabilization } from '../src/config/load.ts'
import { formatProblem } from '../src/config/problems.ts'
import type { AskedPolicy } from '../src/replay/policies.ts'
import { policiesToReplay } from '../src/replay/policies.ts'
import type { WindowWriter } from '../src/replay/replay.ts'
import { csvOf, parseTrace } from '../src/replay/traceText.ts'
import { study } from '../src/replay/study.ts'
import { ExpositionParser } from '../src/sources/exposition/parser.ts'
import { failureOf } from '../src/sources/failure.ts'
import { HttpClient, okBody } from '../src/sources/http.ts'
import { withDeadline } from '../src/sources/poll.ts'
import { fetchRange, seemingPaceMs } from '../src/sources/prometheusRange.ts'
import { rulesOf } from './behaviorEdge.ts'
import { secondsToWrite } from './hpa-behavior/decide.ts'
import { secretReader } from './cluster/secrets.ts'
import { observationsIn, WANTED } from './recording/observations.ts'
import { record } from './recording/record.ts'
import { loadsIn, writeReplay } from './replay.ts'
import { momentMs } from './timeFlags.ts'
import { whyText } from './why.ts'

export async function replayLoads(options: ReplayOptions): Promise<number> {
  let asked: AskedPolicy = options.policy
  let write: WindowWriter | undefined
  if (options.signal !== undefined) {
    const text = await readFile(options.signal, 'utf8')
    const loaded = loadStabilization({ path: options.signal, text })
    if (!loaded.ok) {
      for (const problem of loaded.problems) process.stderr.write(`${formatProblem(problem)}\n`)
      return 1
    }
    const { name: title, stabilize, act, behavior } = loaded
    asked = { name: 'signal', title, stabilize, ...(act === undefined ? {} : { act }) }
    const rules = rulesOf(behavior)
    write = (window, inForceS, sinceWriteMs) =>
      secondsToWrite(window, inForceS, { ...rules, sinceWriteMs })
  }
  const { policies, startDelayMs } = policiesToReplay(asked, options)
  const known = {
    startDelayMs,
    ...(write === undefined ? {} : { write }),
    ...(options.capacity === undefined ? {} : { capacity: options.capacity }),
  }
  const loads =
    options.range === undefined
      ? await loadsIn(options.traces, parseTrace)
      : [rangeLoad(options.range)]
  return await writeReplay(options, loads, (rows, say) => study(rows, policies, known, say), {
    out: process.stdout,
    progress: process.stderr,
  })
}

const BODY_BYTES_MAX = 32 * 1024 * 1024

/** Asks as the connection says; a failure names the server, and the flag that mends it. */
function clientOf({ url, auth, tls }: Connection): Pick<HttpClient, 'send' | 'close'> {
  const secrets = secretReader({ environment: process.env, clock })
  const { origin, protocol } = new URL(url)
  const client = new HttpClient({
    secrets,
    tls,
    bodyBytesMax: BODY_BYTES_MAX,
    ...(auth === undefined ? {} : { auth }),
  })
  return {
    close: () => client.close(),
    async send(request, signal) {
      try {
        return await client.send(request, signal)
      } catch (thrown) {
        const { code, message } = failureOf(thrown)
        const mends: Partial<Record<FailureCode, string>> = {
          unauthorized: '; see --ca-file, --server-name and --cert-file',
          ...(protocol === 'http:' ? { refused: '; or does it speak https?' } : {}),
        }
        throw new TidelineError(code, `${origin}: ${message}${mends[code] ?? ''}`, thrown)
      }
    },
  }
}

/** What Prometheus recorded. What a person should know of it is said as it comes. */
function rangeLoad({ connection, query, from, to, stepMs, save }: RangeOptions): Load {
  return {
    name: 'prometheus',
    async read(say) {
      const nowMs = clock.nowMs()
      const range = {
        server: connection,
        query,
        fromMs: momentMs(from, nowMs),
        toMs: momentMs(to, nowMs),
        stepMs,
      }
      if (range.fromMs >= range.toMs)
        throw new RangeError('--from is not before --to: it is the beginning of the range')
      const client = clientOf(connection)
      const fetched = await fetchRange(range, { client, clock }, (part, parts) =>
        say(`fetching ${part} of ${parts}`),
      )
      client.close()
      const { points, missing, notNumbers, warnings } = fetched
      for (const warning of warnings) say(`the server warns: ${warning}`)
      if (missing > 0)
        say(
          `${missing} of ${points.length + missing} steps have no sample${notNumbers > 0 ? ` (${notNumbers} no number)` : ''}: gaps, not zeros`,
        )
      const paceMs = seemingPaceMs(points, stepMs)
      if (paceMs !== undefined)
        say(
          `the value changes every ${paceMs / 1000} s at most, the step is ${stepMs / 1000} s: if the data comes at that pace, take --step ${paceMs / 1000}s`,
        )
      if (points.length < 2)
        throw new RangeError(
          `the query has ${points.length} samples in that time: check its metric and labels, --from and --to`,
        )
      if (save !== undefined) await writeFile(save, csvOf(points))
      return points
    },
  }
}

const LOOK_MS = 5000

/** What a running adapter holds, and why; exit code 1 where it has no signal of such a name. */
export async function explainReadings({ connection, signal }: WhyOptions): Promise<number> {
  const client = clientOf(connection)
  const { signal: never } = new AbortController()
  const url = urlOf(connection, '/readings')
  if (signal !== undefined) url.searchParams.set('signal', signal)
  try {
    const body = await withDeadline(clock, LOOK_MS, never, async (deadline) => {
      const answer = await client.send({ url: url.href, headers: connection.headers }, deadline)
      if (answer.status === 403) throw forbidden(url)
      return okBody(answer, url.href).toString('utf8')
    })
    const text = whyText(body, clock.nowMs())
    if (text === '') throw new Error(`${url.origin} has no signal ${signal ?? 'at all'}`)
    process.stdout.write(`${text}\n`)
    return 0
  } finally {
    client.close()
  }
}

function urlOf({ url }: Connection, path: string): URL {
  const found = new URL(url)
  found.pathname = `${found.pathname.replace(/\/+$/, '')}${path}`
  return found
}

function forbidden({ href, pathname }: URL): TidelineError {
  return new TidelineError(
    'unauthorized',
    `${href} answered 403: whoever asks must be allowed to get ${pathname}; see --token-file and --cert-file`,
  )
}

/** Exit code 1 where no row could be written. */
export async function recordLoads(options: RecordOptions): Promise<number> {
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  const client = clientOf(options.connection)
  const url = urlOf(options.connection, '/metrics')
  const parser = new ExpositionParser({
    limits: { lines: 1_000_000, series: 1_000_000, labels: 64 },
    wants: (metric) => WANTED.has(metric),
    labelsOf: (exposed) => Object.fromEntries(exposed),
    honorTimestamps: false,
  })
  const { headers } = options.connection
  const look = (signal: AbortSignal) =>
    withDeadline(clock, LOOK_MS, signal, async (deadline) => {
      try {
        const answer = await client.send({ url: url.href, headers }, deadline)
        if (answer.status === 403) throw forbidden(url)
        const body = okBody(answer, url.href).toString('utf8')
        const { framed } = answer
        const read = { body, format: 'text', atMs: clock.nowMs(), framed } as const
        return observationsIn(parser.parse(read))
      } catch (thrown) {
        throw failureOf(thrown)
      }
    })
  const { stdout: out, stderr: progress } = process
  const rows = await record(options, { clock, look, out, progress }, stopping.signal)
  client.close()
  return rows > 0 ? 0 : 1
}
