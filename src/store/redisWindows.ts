import { TidelineError } from '../errors.ts'
import type { Clock, WindowPosition, WindowState, WindowStore } from '../ports.ts'
import type { Reply } from '../sources/redis/reply.ts'
import { failureOfReply, valueOf } from '../sources/redis/reply.ts'
import type { Answer, Question, Route } from '../sources/redis/routes.ts'
import { failureOf } from '../sources/failure.ts'
import { abortable, withDeadline } from '../sources/poll.ts'
import type { Script } from './redisScripts.ts'
import { CHANGES, COMMIT } from './redisScripts.ts'

export interface RedisWindowsSettings {
  readonly route: Route
  readonly clock: Clock
  /** Before every key, with what sets this store apart from others in the same Redis. */
  readonly prefix: string
  /** What is not changed for so long is forgotten. */
  readonly keepMs: number
}

/** Long enough for the whole state of a hundred partitions, which a process reads when it starts. */
const TIMEOUT_MS = 3000
const POSITION_FIELDS = 4

/**
 * Windows in Redis, for all replicas of the adapter. Each partition has four keys in one slot, which one script
 * reads or changes. One round trip is under way at a time; what is asked meanwhile goes together in the next one.
 *
 * Replication is asynchronous: a fail-over may bring back a position that was left already. Buckets go back with
 * it, so its writer meets a conflict, reads on from there, and comes to the same counts.
 */
export function redisWindows(settings: RedisWindowsSettings): WindowStore {
  const { prefix, keepMs } = settings
  const rounds = new Rounds(settings)
  const keysOf = (partition: string) =>
    ['position', 'buckets', 'changed', 'starts'].map((part) => `${prefix}{${partition}}:${part}`)

  async function run(
    script: Script,
    partition: string,
    parameters: readonly string[],
    signal: AbortSignal,
  ): Promise<unknown> {
    const keys = keysOf(partition)
    const [key = ''] = keys
    const ask = async (command: string, which: string) => {
      const commands = [[command, which, String(keys.length), ...keys, ...parameters] as const]
      const answer = await rounds.ask({ key, commands }, signal)
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

  async function read(
    partition: string,
    since: { readonly lineage: string; readonly offset: number } | undefined,
    signal: AbortSignal,
  ): Promise<(WindowState & { readonly whole: boolean }) | undefined> {
    const parameters = [since?.lineage ?? '', String(since?.offset ?? 0)]
    return stateOf(await run(CHANGES, partition, parameters, signal), partition)
  }

  return {
    shared: true,
    load: (partition, signal) => read(partition, undefined, signal),
    async commit(partition, { expected, next, buckets, keepFromMs }, signal) {
      const answer = await run(
        COMMIT,
        partition,
        [
          ...[expected?.lineage ?? '', String(expected?.offset ?? 0)],
          ...[next.lineage, String(next.offset), String(next.throughMs), next.memo],
          ...[String(keepFromMs), String(keepMs)],
          ...[...buckets].flatMap(([startMs, content]) => [String(startMs), content]),
        ],
        signal,
      )
      if (answer === 1) return 'done'
      return { conflict: positionOf(answer, partition) }
    },
    async changes(asked, signal) {
      const found = await Promise.all(
        [...asked].map(
          async ([partition, since]) => [partition, await read(partition, since, signal)] as const,
        ),
      )
      return new Map(found.flatMap(([name, state]) => (state === undefined ? [] : [[name, state]])))
    },
    close() {
      settings.route.close()
      return Promise.resolve()
    },
  }
}

function isUnknownScript(reply: Reply | undefined): boolean {
  return reply !== undefined && 'error' in reply && reply.error.startsWith('NOSCRIPT')
}

function stateOf(answer: unknown, partition: string) {
  const position = positionOf(answer, partition)
  if (position === undefined) return undefined
  const [whole, pairs]: readonly unknown[] = Array.isArray(answer)
    ? answer.slice(POSITION_FIELDS)
    : []
  if (!Array.isArray(pairs)) throw unreadable(partition)
  const buckets = new Map<number, string>()
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    const [startMs, content]: readonly unknown[] = [Number(pairs[index]), pairs[index + 1]]
    if (!Number.isFinite(startMs) || typeof content !== 'string') throw unreadable(partition)
    buckets.set(Number(startMs), content)
  }
  return { position, buckets, whole: whole === 1 }
}

function positionOf(answer: unknown, partition: string): WindowPosition | undefined {
  if (!Array.isArray(answer)) throw unreadable(partition)
  if (answer.length === 0) return undefined
  const [lineage, offset, through, memo]: readonly unknown[] = answer
  const position = { offset: Number(offset), throughMs: Number(through) }
  if (
    typeof lineage !== 'string' ||
    typeof memo !== 'string' ||
    typeof offset !== 'string' ||
    typeof through !== 'string' ||
    !Number.isSafeInteger(position.offset) ||
    !Number.isFinite(position.throughMs)
  )
    throw unreadable(partition)
  return { lineage, memo, ...position }
}

function unreadable(partition: string): TidelineError {
  return new TidelineError(
    'bad-response',
    `the window of ${partition} in Redis was not written by this version: delete its keys`,
  )
}

interface Asked {
  readonly question: Question
  readonly answered: (answer: Answer) => void
}

/** Puts what is asked at one time into one round trip. */
class Rounds {
  readonly #settings: RedisWindowsSettings
  #waiting: Asked[] = []
  #running = false

  constructor(settings: RedisWindowsSettings) {
    this.#settings = settings
  }

  ask(question: Question, signal: AbortSignal): Promise<Answer> {
    const asked = new Promise<Answer>((answered) => this.#waiting.push({ question, answered }))
    if (!this.#running) void this.#run()
    return abortable(asked, signal)
  }

  async #run(): Promise<void> {
    this.#running = true
    // Whoever asks in this very step goes along.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const round = this.#waiting
      this.#waiting = []
      await this.#round(round)
    }
    this.#running = false
  }

  async #round(round: readonly Asked[]): Promise<void> {
    const { route, clock } = this.#settings
    const questions = round.map(({ question }) => question)
    const answered = (index: number, answer: Answer) => round[index]?.answered(answer)
    await withDeadline(clock, TIMEOUT_MS, undefined, async (deadline) => {
      try {
        await route.ask(questions, answered, deadline)
      } catch (thrown) {
        const failure = deadline.aborted
          ? new TidelineError('timeout', `Redis had no answer within ${TIMEOUT_MS} ms`, thrown)
          : failureOf(thrown)
        for (const one of round) one.answered(failure)
      }
    })
  }
}
