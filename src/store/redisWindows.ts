import { TidelineError } from '../errors.ts'
import type { Clock, WindowChange, WindowPosition, WindowState, WindowStore } from '../ports.ts'
import { Gate } from '../sources/poll.ts'
import type { Reply } from '../sources/redis/reply.ts'
import { failureOfReply, valueOf } from '../sources/redis/reply.ts'
import type { Route } from '../sources/redis/routes.ts'
import { evictionIn, pageOf, positionOf } from './redisAnswers.ts'
import { Rounds } from './redisRounds.ts'
import type { Script } from './redisScripts.ts'
import { CHANGES, COMMIT } from './redisScripts.ts'

export interface RedisWindowsSettings {
  readonly route: Route
  readonly clock: Clock
  /** Before every key, with what sets this store apart from others in the same Redis. */
  readonly prefix: string
  /** What is not changed for so long is forgotten. */
  readonly keepMs: number
  /** Told when Redis may drop keys, and with undefined when it may not any more. */
  readonly evicts?: (policy: string | undefined) => void
}

/** Contents in one page: so many bytes come in time over a slow network, and Redis serves others between pages. */
const PAGE_BYTES = 1024 * 1024
/** Partitions whose whole state is read at one time. */
const WHOLE_READS = 4

/**
 * Windows in Redis, for all replicas of the adapter. Each partition has four keys in one slot, which one script
 * reads or changes. One round trip is under way at a time; what is asked meanwhile goes together in the next one.
 *
 * Replication is asynchronous: a fail-over may bring back a position that was left already. Buckets go back with
 * it, so its writer meets a conflict, reads on from there, and comes to the same counts.
 */
export function redisWindows(settings: RedisWindowsSettings): WindowStore {
  return new RedisWindows(settings)
}

type Since = Pick<WindowPosition, 'lineage' | 'offset'>
type Found = WindowState & { readonly whole: boolean }

class RedisWindows implements WindowStore {
  readonly shared = true
  readonly #settings: RedisWindowsSettings
  readonly #rounds: Rounds
  readonly #wholeReads = new Gate(WHOLE_READS)

  constructor(settings: RedisWindowsSettings) {
    this.#settings = settings
    this.#rounds = new Rounds(settings)
  }

  load(partition: string, signal: AbortSignal): Promise<WindowState | undefined> {
    void this.#lookForEviction(partition, signal).catch(() => undefined)
    return this.#readWhole(partition, signal)
  }

  async commit(
    partition: string,
    { expected, next, buckets, keepFromMs }: WindowChange,
    signal: AbortSignal,
  ): Promise<'done' | { readonly conflict: WindowPosition | undefined }> {
    const answer = await this.#run(
      COMMIT,
      partition,
      [
        ...[expected?.lineage ?? '', String(expected?.offset ?? 0)],
        ...[next.lineage, String(next.offset), String(next.throughMs), next.memo],
        ...[String(keepFromMs), String(this.#settings.keepMs)],
        ...[...buckets].flatMap(([startMs, content]) => [String(startMs), content]),
      ],
      signal,
    )
    if (answer === 1) return 'done'
    return { conflict: positionOf(answer, partition) }
  }

  async changes(
    asked: ReadonlyMap<string, Since | undefined>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Found>> {
    const read = (partition: string, since: Since | undefined) =>
      since === undefined
        ? this.#readWhole(partition, signal)
        : this.#read(partition, since, signal)
    const found = await Promise.all(
      [...asked].map(
        async ([partition, since]) => [partition, await read(partition, since)] as const,
      ),
    )
    return new Map(found.flatMap(([name, state]) => (state === undefined ? [] : [[name, state]])))
  }

  close(): Promise<void> {
    this.#settings.route.close()
    return Promise.resolve()
  }

  /** Whole states are large: a few at a time. */
  async #readWhole(partition: string, signal: AbortSignal): Promise<Found | undefined> {
    let found: Found | undefined
    const read = async () => void (found = await this.#read(partition, undefined, signal))
    await this.#wholeReads.pass(read, signal)
    signal.throwIfAborted()
    return found
  }

  async #read(
    partition: string,
    since: Since | undefined,
    signal: AbortSignal,
  ): Promise<Found | undefined> {
    const buckets = new Map<number, string>()
    let whole = false
    let known = since
    let last: readonly [score: string, start: string] = ['', '']
    for (;;) {
      const from = [known?.lineage ?? '', String(known?.offset ?? 0), ...last]
      const answer = await this.#run(CHANGES, partition, [...from, String(PAGE_BYTES)], signal)
      const page = pageOf(answer, partition)
      if (page === undefined) return undefined
      // Of another lineage, or gone back: what was read before is of no use.
      if (page.whole) buckets.clear()
      whole ||= page.whole
      for (const [startMs, content] of page.buckets) buckets.set(startMs, content)
      if (page.last[1] === '') return { position: page.position, buckets, whole }
      known = page.position
      last = page.last
    }
  }

  /** It makes no difference to what is read, so nothing waits for it and nothing fails with it. */
  async #lookForEviction(partition: string, signal: AbortSignal): Promise<void> {
    const [key = ''] = this.#keysOf(partition)
    const answer = await this.#rounds.ask({ key, commands: [['INFO', 'memory']] }, signal)
    const [reply] = answer instanceof TidelineError ? [] : answer
    if (reply === undefined || 'error' in reply) return
    this.#settings.evicts?.(evictionIn(String(reply.value)))
  }

  async #run(
    script: Script,
    partition: string,
    parameters: readonly string[],
    signal: AbortSignal,
  ): Promise<unknown> {
    const keys = this.#keysOf(partition)
    const [key = ''] = keys
    const ask = async (command: string, which: string) => {
      const commands = [[command, which, String(keys.length), ...keys, ...parameters] as const]
      const answer = await this.#rounds.ask({ key, commands }, signal)
      if (answer instanceof TidelineError) throw answer
      return answer[0]
    }
    let reply = await ask('EVALSHA', script.digest)
    if (isUnknownScript(reply)) reply = await ask('EVAL', script.text)
    if (reply !== undefined && 'error' in reply && reply.error.startsWith('WRONGTYPE'))
      throw new TidelineError('wrong-type', `${key} or a key beside it was not written by Tideline`)
    if (reply !== undefined && 'error' in reply) throw failureOfReply(reply.error, key)
    return valueOf(reply, key)
  }

  #keysOf(partition: string): readonly string[] {
    const { prefix } = this.#settings
    return ['position', 'buckets', 'changed', 'starts'].map(
      (part) => `${prefix}{${partition}}:${part}`,
    )
  }
}

function isUnknownScript(reply: Reply | undefined): boolean {
  return reply !== undefined && 'error' in reply && reply.error.startsWith('NOSCRIPT')
}
