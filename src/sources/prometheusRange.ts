import { TidelineError } from '../errors.ts'
import type { Clock } from '../ports.ts'
import { failureOf } from './failure.ts'
import type { HttpClient } from './http.ts'
import { withDeadline } from './poll.ts'
import { apiUrl, resultIn } from './prometheusAnswer.ts'
import { matrixOf, severalSeries } from './prometheusMatrix.ts'

/** Prometheus refuses to give more points of a series at one time. */
const POINTS_MAX = 11_000
/** Of one fetch: eleven weeks at 15 s are less than half of it. */
const POINTS_ALL_MAX = 1_000_000
const TIMEOUT_MS = 60_000

export interface RangeQuery {
  /** Base of the API, and headers to send along. */
  readonly server: { readonly url: string; readonly headers: Readonly<Record<string, string>> }
  /** PromQL that gives one series. */
  readonly query: string
  readonly fromMs: number
  readonly toMs: number
  readonly stepMs: number
}

export interface FetchedRange {
  readonly points: readonly { readonly seconds: number; readonly value: number }[]
  /** Steps of the range at which there was no sample, or one that is no number. */
  readonly missing: number
  /** Of the missing: no numbers. */
  readonly notNumbers: number
  /** What the server warned of. */
  readonly warnings: readonly string[]
}

/**
 * The one series of a query over a range of time, asked for in parts that the server gives (`/api/v1/query_range` of
 * the Prometheus HTTP API, "Range queries"). Steps lie on multiples of `stepMs`. Where the server has no sample
 * there is none. Rejects with `TidelineError`.
 */
export async function fetchRange(
  range: RangeQuery,
  deps: { readonly client: Pick<HttpClient, 'send'>; readonly clock: Clock },
  progress: (part: number, parts: number) => void,
): Promise<FetchedRange> {
  const { stepMs } = range
  const firstStep = Math.ceil(range.fromMs / stepMs)
  const steps = Math.floor(range.toMs / stepMs) + 1 - firstStep
  if (steps < 2) throw new RangeError('the range holds fewer than two steps: choose a longer one')
  if (steps > POINTS_ALL_MAX)
    throw new RangeError(
      `the range holds ${steps} steps, the limit is ${POINTS_ALL_MAX}: choose a longer step or a shorter range`,
    )
  const parts = Math.ceil(steps / POINTS_MAX)
  const points: { seconds: number; value: number }[] = []
  const names = new Set<string>()
  const warnings = new Set<string>()
  let notNumbers = 0
  for (let part = 0; part < parts; part++) {
    progress(part + 1, parts)
    const startMs = (firstStep + part * POINTS_MAX) * stepMs
    const endMs = (firstStep + Math.min(steps, (part + 1) * POINTS_MAX) - 1) * stepMs
    const result = await ask(range, { startMs, endMs }, deps)
    for (const text of result.warnings) warnings.add(text)
    for (const series of matrixOf(result.type, result.result)) {
      names.add(series.labels)
      if (names.size === 1) {
        for (const point of series.points) points.push(point)
        notNumbers += series.notNumbers
      }
    }
    if (names.size > 1) throw severalSeries([...names])
  }
  return { points, missing: steps - points.length, notNumbers, warnings: [...warnings] }
}

async function ask(
  { server, query, stepMs }: RangeQuery,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  { client, clock }: { readonly client: Pick<HttpClient, 'send'>; readonly clock: Clock },
) {
  const url = apiUrl(server.url, 'query_range')
  const form = new URLSearchParams({
    query,
    start: (startMs / 1000).toFixed(3),
    end: (endMs / 1000).toFixed(3),
    step: `${stepMs}ms`,
    timeout: `${TIMEOUT_MS}ms`,
    // Of Thanos: an error in place of a sum over the stores that happened to answer. Others ignore it.
    partial_response: 'false',
  })
  const headers = {
    ...server.headers,
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  }
  const request = { method: 'POST', url, headers, body: form.toString() } as const
  return await withDeadline(clock, TIMEOUT_MS, undefined, async (deadline) => {
    try {
      return resultIn(await client.send(request, deadline), url)
    } catch (thrown) {
      if (deadline.aborted)
        throw new TidelineError('timeout', `no whole answer within ${TIMEOUT_MS} ms`, thrown)
      const { code, message } = failureOf(thrown)
      const mend = code === 'too-large' ? ': write a query that gives one series' : ''
      throw new TidelineError(code, `${message}${mend}`, thrown)
    }
  })
}

/** Changes of a value that must be seen before its pace is told. */
const CHANGES_MIN = 10

/**
 * The pace at which the data under the points seems to come, where it is longer than their step: no two changes of
 * the value are nearer. Undefined where it is not, or there are too few changes to tell.
 */
export function seemingPaceMs(points: FetchedRange['points'], stepMs: number): number | undefined {
  let changes = 0
  let lastMs = NaN
  let paceMs = Infinity
  for (let at = 1; at < points.length; at++) {
    const [before, point] = [points[at - 1], points[at]]
    if (before === undefined || point === undefined || point.value === before.value) continue
    changes += 1
    const changeMs = Math.round(point.seconds * 1000)
    if (changeMs - lastMs < paceMs) paceMs = changeMs - lastMs
    lastMs = changeMs
  }
  return changes >= CHANGES_MIN && paceMs > stepMs ? paceMs : undefined
}
