import { TidelineError } from '../../errors.ts'
import { failureOf } from '../failure.ts'
import { addressFrom, formatAddress } from './address.ts'
import type { Address } from './address.ts'
import { openLink } from './link.ts'
import type { Command, Credentials, Link } from './link.ts'
import { valueOf } from './reply.ts'
import type { Reply } from './reply.ts'

/** What is asked of one key: commands that must run on the node that has it. */
export interface Question {
  readonly key: string
  readonly commands: readonly Command[]
}

/** The replies to a question, or why there are none. */
export type Answer = readonly Reply[] | TidelineError

export type Answered = (index: number, answer: Answer) => void

/** How keys are reached: one server, the master that Sentinels name, or the nodes of a cluster. */
export interface Route {
  /**
   * Asks all at once: one round trip for each node. `answered` is told of each question once, by its index, as
   * its node answers; not of those that a rejection leaves open.
   */
  ask(questions: readonly Question[], answered: Answered, signal: AbortSignal): Promise<void>
  /** Closes every connection. `ask` may follow, on new ones. */
  close(): void
}

/** Reads the credentials; called for each new connection. */
export type ReadCredentials = (signal: AbortSignal) => Promise<Credentials>

/** A connection for each address, opened when it is first asked for and replaced when it broke. */
export class Links {
  readonly #links = new Map<string, Link>()
  /** Of those that are being opened: who asks for one at the same time gets the same. */
  readonly #opening = new Map<string, Promise<Link>>()
  readonly #credentials: ReadCredentials

  constructor(credentials: ReadCredentials) {
    this.#credentials = credentials
  }

  async to(address: Address, signal: AbortSignal): Promise<Link> {
    const name = formatAddress(address)
    const known = this.#links.get(name)
    if (known?.open === true) return known
    const opening = this.#opening.get(name) ?? this.#open(name, address, signal)
    this.#opening.set(name, opening)
    try {
      return await opening
    } finally {
      this.#opening.delete(name)
    }
  }

  async #open(name: string, address: Address, signal: AbortSignal): Promise<Link> {
    this.#links.get(name)?.close()
    this.#links.delete(name)
    const link = await openLink(address, await this.#credentials(signal), signal)
    if (signal.aborted) link.close()
    this.#links.set(name, link)
    return link
  }

  /** Closes the connections to all other addresses. */
  keep(addresses: ReadonlySet<string>): void {
    for (const [name, link] of this.#links)
      if (!addresses.has(name)) {
        link.close()
        this.#links.delete(name)
      }
  }

  close(): void {
    this.keep(new Set())
  }
}

/** One server at a fixed address. */
export function singleRoute(address: Address, credentials: ReadCredentials): Route {
  const links = new Links(credentials)
  return {
    async ask(questions, answered, signal) {
      const answers = await askAll(await links.to(address, signal), questions, signal)
      for (const [index, answer] of answers.entries()) answered(index, answer)
    },
    close: () => links.close(),
  }
}

export interface Sentinels {
  readonly master: string
  readonly nodes: readonly Address[]
  /** Of the Sentinels themselves. */
  readonly credentials: ReadCredentials
}

/**
 * The master that the Sentinels name. That it still is one is asked along with each collect (ROLE); after it, a
 * Sentinel is asked whether it names another, so that a master that was cut off and does not know it is left
 * too. Sentinels that do not answer leave the master in use.
 */
export function sentinelRoute(sentinels: Sentinels, credentials: ReadCredentials): Route {
  return new SentinelRoute(sentinels, credentials)
}

class SentinelRoute implements Route {
  readonly #sentinels: Sentinels
  readonly #links: Links
  #sentinel: Link | undefined
  #master: Address | undefined

  constructor(sentinels: Sentinels, credentials: ReadCredentials) {
    this.#sentinels = sentinels
    this.#links = new Links(credentials)
  }

  async ask(
    questions: readonly Question[],
    answered: Answered,
    signal: AbortSignal,
  ): Promise<void> {
    const known = this.#master
    const master = known ?? (await this.#findMaster(signal))
    this.#master = undefined // until it has proved right
    this.#links.keep(new Set([formatAddress(master)]))
    const link = await this.#links.to(master, signal)
    const role = { key: '', commands: [['ROLE']] } as const
    const [roleAnswer, ...answers] = await askAll(link, [role, ...questions], signal)
    refuseReplica(roleAnswer, formatAddress(master))
    this.#master = master
    for (const [index, answer] of answers.entries()) answered(index, answer)
    if (known !== undefined) await this.#confirm(master, signal)
  }

  async #confirm(master: Address, signal: AbortSignal): Promise<void> {
    try {
      const named = await this.#findMaster(signal)
      if (formatAddress(named) !== formatAddress(master)) this.#master = undefined
    } catch {
      this.#sentinel?.close()
      this.#sentinel = undefined
    }
  }

  /** Asks the Sentinel that answered before, or else whichever answers first. */
  async #findMaster(signal: AbortSignal): Promise<Address> {
    const { nodes, master, credentials } = this.#sentinels
    const ask = (link: Link, stop: AbortSignal) => masterNamedBy(link, master, stop)
    if (this.#sentinel?.open === true) return ask(this.#sentinel, signal)
    const { link, answer } = await askAny({ nodes, credentials }, signal, ask)
    this.#sentinel = link
    return answer
  }

  close(): void {
    this.#master = undefined
    this.#sentinel?.close()
    this.#sentinel = undefined
    this.#links.close()
  }
}

/** A user that may not ask ROLE is taken at the Sentinels' word. */
function refuseReplica(answer: Answer | undefined, where: string): void {
  if (answer === undefined || answer instanceof TidelineError) return
  const [reply] = answer
  if (reply === undefined || 'error' in reply) return
  const role: unknown = Array.isArray(reply.value) ? reply.value[0] : undefined
  if (role !== 'master')
    throw new TidelineError(
      'unavailable',
      `${where} is no master any more: Sentinels are asked again`,
    )
}

async function masterNamedBy(link: Link, master: string, signal: AbortSignal): Promise<Address> {
  const where = `Sentinel ${formatAddress(link.address)}`
  const [reply] = await link.ask([['SENTINEL', 'get-master-addr-by-name', master]], signal)
  const found = valueOf(reply, where)
  if (found === null)
    throw new TidelineError('not-found', `${where} knows no master ${JSON.stringify(master)}`)
  if (!Array.isArray(found) || typeof found[0] !== 'string')
    throw new TidelineError('bad-response', `${where}: the reply is no address`)
  return addressFrom(found[0], found[1], link.address)
}

/**
 * What the first node that can be asked answers, and the connection to it, which is the caller's to close; the
 * first node's failure where all fail. All are asked at the same time, so that one that hangs keeps nobody
 * waiting.
 */
export async function askAny<T>(
  { nodes, credentials }: { nodes: readonly Address[]; credentials: ReadCredentials },
  signal: AbortSignal,
  ask: (link: Link, signal: AbortSignal) => Promise<T>,
): Promise<{ readonly link: Link; readonly answer: T }> {
  const enough = new AbortController()
  const stop = AbortSignal.any([signal, enough.signal])
  const known = await credentials(signal)
  const links: Link[] = []
  const attempts = nodes.map(async (node) => {
    const link = await openLink(node, known, stop)
    links.push(link)
    return { link, answer: await ask(link, stop) }
  })
  let winner: Link | undefined
  try {
    const first = await Promise.any(attempts)
    winner = first.link
    return first
  } catch (thrown) {
    throw thrown instanceof AggregateError ? failureOf(thrown.errors[0]) : thrown
  } finally {
    enough.abort()
    await Promise.allSettled(attempts)
    for (const link of links) if (link !== winner) link.close()
  }
}

/** All questions to one node in one round trip. */
export async function askAll(
  link: Link,
  questions: readonly Question[],
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const replies = await link.ask(
    questions.flatMap((question) => question.commands),
    signal,
  )
  let next = 0
  return questions.map(({ commands }) => replies.slice(next, (next += commands.length)))
}

/** The text of a redirection of a cluster (`MOVED 3999 127.0.0.1:6381`); undefined where there is none. */
export function redirectionIn(answer: Answer, word: 'MOVED' | 'ASK'): string | undefined {
  if (answer instanceof TidelineError) return undefined
  for (const reply of answer)
    if ('error' in reply && reply.error.startsWith(`${word} `)) return reply.error
  return undefined
}
