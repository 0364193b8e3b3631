import { randomInt } from 'node:crypto'
import type { Clock, Logger } from '../../src/ports.ts'
import { messageOf, TidelineError } from '../../src/errors.ts'
import { KubeStatusError } from './kubeClient.ts'
import type { KubeClient } from './kubeClient.ts'
import { isRecord } from './reviews.ts'

/** A Kubernetes object as it came: `metadata.name` is known to be there, nothing else. */
export type KubeObject = Readonly<Record<string, unknown>> & {
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string }
}

export interface WatchRequest {
  /** Collection, such as `/api/v1/pods`. */
  readonly path: string
  /** `labelSelector`, `fieldSelector`. */
  readonly query?: Readonly<Record<string, string>>
}

/** Receives what is watched. It is called in order; each call is a whole, consistent step. */
export interface WatchReceiver {
  /** All objects there are; those known from before and not among them are gone. */
  replace(objects: readonly KubeObject[]): void
  put(object: KubeObject): void
  remove(object: KubeObject): void
  /** Undefined: connected and up to date; else why not, as a sentence. */
  trouble(message: string | undefined): void
}

export interface WatchDeps {
  readonly client: KubeClient
  readonly clock: Clock
  readonly log: Logger
}

const PAGE_OBJECTS_MAX = 500
/** Bookmarks come about once a minute; a connection that is silent for longer is taken for dead. */
const IDLE_MS = 150_000
/** The server ends a watch after this time, and it is resumed where it was. */
const SERVER_TIMEOUT_S = 300
const RETRY_FIRST_MS = 250
const RETRY_MAX_MS = 30_000
/** A connection that held for this long was a good one. */
const SETTLED_MS = 5_000

/**
 * Lists a collection, then follows it until `signal` aborts: resumes a watch that ended at its last resource
 * version, lists again where the server has forgotten it (410), and waits between failures from 250 ms, doubled
 * up to 30 s, with jitter. Settles within 1 s of the abort and never rejects.
 */
export async function watchCollection(
  request: WatchRequest,
  receiver: WatchReceiver,
  deps: WatchDeps,
  signal: AbortSignal,
): Promise<void> {
  const watch: Watch = { request, receiver, deps, signal }
  let version: string | undefined
  let failures = 0
  while (!signal.aborted) {
    let ended: Ended
    try {
      if (version === undefined) {
        const listed = await list(request, deps.client, signal)
        receiver.replace(listed.objects)
        version = listed.version
      }
      ended = await follow(watch, version)
    } catch (error) {
      ended = { version: undefined, heldMs: 0, fault: asError(error) }
    }
    if (signal.aborted) return
    version = ended.version
    failures = ended.heldMs >= SETTLED_MS ? 0 : failures + 1
    if (ended.fault !== undefined) {
      receiver.trouble(ended.fault.message)
      deps.log.warn('watch-failed', { path: request.path, cause: ended.fault.message, failures })
    }
    if (failures > 0) await deps.clock.sleep(retryMs(failures), signal)
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown))
}

interface Watch {
  readonly request: WatchRequest
  readonly receiver: WatchReceiver
  readonly deps: WatchDeps
  readonly signal: AbortSignal
}

function retryMs(failures: number): number {
  const fullMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 16))
  return fullMs * (randomInt(500, 1_001) / 1_000)
}

async function list(request: WatchRequest, client: KubeClient, signal: AbortSignal) {
  const objects: KubeObject[] = []
  let next = ''
  for (;;) {
    const query = { ...request.query, limit: String(PAGE_OBJECTS_MAX) }
    const page = await client.request(
      'GET',
      pathOf(request.path, next === '' ? query : { ...query, continue: next }),
      undefined,
      signal,
    )
    if (!isRecord(page) || !isRecord(page['metadata']) || !listOrNull(page['items']))
      throw new TidelineError('bad-response', `${request.path}: the answer is not a list`)
    for (const item of page['items'] ?? []) objects.push(kubeObject(item))
    const { resourceVersion, continue: more } = page['metadata']
    if (typeof more === 'string' && more !== '') {
      next = more
      continue
    }
    if (typeof resourceVersion !== 'string' || resourceVersion === '')
      throw new TidelineError('bad-response', `${request.path}: the list has no resourceVersion`)
    return { objects, version: resourceVersion }
  }
}

function listOrNull(value: unknown): value is readonly unknown[] | null | undefined {
  return value === null || value === undefined || Array.isArray(value)
}

/** `version`: where to resume; undefined where only a new list helps. `heldMs`: how long the connection stood. */
interface Ended {
  readonly version: string | undefined
  readonly heldMs: number
  readonly fault?: Error
}

/** One watch connection, from `version` until it ends. Cut when nothing comes for `IDLE_MS`. */
async function follow(watch: Watch, version: string): Promise<Ended> {
  const { request, receiver, deps, signal } = watch
  const { clock } = deps
  const progress: Progress = { version }
  const silent = new AbortController()
  const closed = new AbortController()
  let lastMs = clock.monotonicMs()
  let openedMs: number | undefined
  const watchdog = (async () => {
    for (let leftMs = IDLE_MS; leftMs > 0 && !closed.signal.aborted;) {
      await clock.sleep(leftMs, closed.signal)
      leftMs = lastMs + IDLE_MS - clock.monotonicMs()
    }
    if (!closed.signal.aborted) silent.abort()
  })()
  const ended = (at: string | undefined, fault?: Error): Ended => ({
    version: at,
    heldMs: openedMs === undefined ? 0 : clock.monotonicMs() - openedMs,
    ...(fault === undefined ? {} : { fault }),
  })
  try {
    await deps.client.lines(
      pathOf(request.path, watchQuery(request, version)),
      {
        onOpen: () => {
          openedMs = clock.monotonicMs()
          receiver.trouble(undefined)
        },
        onActivity: () => {
          lastMs = clock.monotonicMs()
        },
        onLine: (line) => take(line, progress, receiver),
      },
      AbortSignal.any([signal, silent.signal]),
    )
    return ended(progress.version)
  } catch (error) {
    if (silent.signal.aborted)
      return ended(
        progress.version,
        new TidelineError('timeout', `${request.path}: the watch was silent too long`),
      )
    const gone = error instanceof KubeStatusError && error.status === 410
    return ended(gone ? undefined : progress.version, asError(error))
  } finally {
    closed.abort()
    await watchdog
  }
}

function watchQuery(request: WatchRequest, version: string) {
  return {
    ...request.query,
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: version,
    timeoutSeconds: String(SERVER_TIMEOUT_S),
  }
}

interface Progress {
  version: string | undefined
}

/** One event: `{"type": "ADDED|MODIFIED|DELETED|BOOKMARK|ERROR", "object": …}`. */
function take(line: string, progress: Progress, receiver: WatchReceiver): void {
  // Whatever goes wrong from here on may have lost an event: only a new list helps then.
  const resumeAt = progress.version
  progress.version = undefined
  const event = parse(line)
  if (event.type === 'ERROR') {
    const { message } = event.object
    const said = typeof message === 'string' ? message : 'no message'
    throw new TidelineError('unavailable', `the watch ended: ${said}`)
  }
  const object = event.type === 'BOOKMARK' ? undefined : kubeObject(event.object)
  if (event.type === 'DELETED' && object !== undefined) receiver.remove(object)
  else if (object !== undefined) receiver.put(object)
  const metadata = event.object['metadata']
  const version = isRecord(metadata) ? metadata['resourceVersion'] : undefined
  progress.version = typeof version === 'string' && version !== '' ? version : resumeAt
}

const EVENT_TYPES: ReadonlySet<unknown> = new Set([
  'ADDED',
  'MODIFIED',
  'DELETED',
  'BOOKMARK',
  'ERROR',
])

function parse(line: string) {
  let event: unknown
  try {
    event = JSON.parse(line)
  } catch {
    throw new TidelineError('bad-response', 'a line of the watch is not JSON')
  }
  if (!isRecord(event) || !EVENT_TYPES.has(event['type']) || !isRecord(event['object']))
    throw new TidelineError('bad-response', 'a line of the watch is not an event')
  return { type: String(event['type']), object: event['object'] }
}

function kubeObject(value: unknown): KubeObject {
  const metadata = isRecord(value) ? value['metadata'] : undefined
  if (!isRecord(value) || !isRecord(metadata) || typeof metadata['name'] !== 'string')
    throw new TidelineError('bad-response', 'an object without metadata.name')
  return { ...value, metadata: { ...metadata, name: metadata['name'] } }
}

function pathOf(path: string, query: Readonly<Record<string, string>>): string {
  return `${path}?${new URLSearchParams(query).toString()}`
}
