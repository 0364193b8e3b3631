import { TidelineError } from '../../errors.ts'
import { failureOf } from '../failure.ts'
import { addressFrom, formatAddress, parseAddress } from './address.ts'
import type { Address } from './address.ts'
import { countOf, valueOf } from './reply.ts'
import { askAll, askAny, Links, redirectionIn } from './routes.ts'
import type { Answer, Answered, Question, ReadCredentials, Route } from './routes.ts'
import { slotOf, SLOTS } from './slot.ts'

interface SlotRange {
  readonly from: number
  readonly to: number
  readonly master: Address
}

/**
 * The masters of a Redis Cluster, each asked for its own keys in one round trip, all at the same time. The
 * table of slots is read when first needed and again after a node redirects (MOVED) or fails; a slot that is
 * just being moved (ASK) is asked at its new node. A node that fails fails its own keys alone.
 */
export function clusterRoute(seeds: readonly Address[], credentials: ReadCredentials): Route {
  return new ClusterRoute(seeds, credentials)
}

interface Numbered extends Question {
  readonly index: number
}

type Verdict = (answer: Answer) => boolean

const isMoved: Verdict = (answer) => redirectionIn(answer, 'MOVED') !== undefined
const isFailure: Verdict = (answer) => answer instanceof TidelineError

interface Round {
  readonly table: readonly SlotRange[]
  readonly answered: Answered
  readonly signal: AbortSignal
}

class ClusterRoute implements Route {
  readonly #seeds: readonly Address[]
  readonly #credentials: ReadCredentials
  readonly #links: Links
  #table: readonly SlotRange[] | undefined

  constructor(seeds: readonly Address[], credentials: ReadCredentials) {
    this.#seeds = seeds
    this.#credentials = credentials
    this.#links = new Links(credentials)
  }

  async ask(
    questions: readonly Question[],
    answered: Answered,
    signal: AbortSignal,
  ): Promise<void> {
    const numbered = questions.map((question, index) => ({ ...question, index }))
    const old = this.#table
    const table = old ?? (await this.#readTable(signal))
    this.#table = undefined // until it has proved right
    const round = { table, signal, answered }
    // A failed node may have a successor, which only a new table names.
    const stale: Verdict = (answer) => isMoved(answer) || (old !== undefined && isFailure(answer))
    const { again, failed } = await this.#round(numbered, stale, round)
    if (again.length === 0) {
      if (!failed) this.#table = table
      return
    }
    const renewed = await this.#readTable(signal)
    const second = await this.#round(again, () => false, { ...round, table: renewed })
    if (!second.failed) this.#table = renewed
  }

  /** Asks each node once. What is `stale` is handed back in place of being told. */
  async #round(
    questions: readonly Numbered[],
    stale: Verdict,
    { table, signal, answered }: Round,
  ): Promise<{ again: readonly Numbered[]; failed: boolean }> {
    const again: Numbered[] = []
    let failed = false
    const take = (question: Numbered, answer: Answer) => {
      if (stale(answer)) return void again.push(question)
      failed ||= isFailure(answer) || isMoved(answer)
      answered(question.index, answer)
    }
    const groups = new Map<string, { master: Address; asked: Numbered[] }>()
    for (const question of questions) {
      const master = masterOf(table, slotOf(question.key))
      if (master === undefined) {
        take(question, new TidelineError('unavailable', 'no node of the cluster serves the slot'))
        continue
      }
      const name = formatAddress(master)
      const group = groups.get(name)
      if (group === undefined) groups.set(name, { master, asked: [question] })
      else group.asked.push(question)
    }
    const work = [...groups.values()].map(async ({ master, asked }) => {
      const answers = await this.#askNode(master, asked, signal)
      for (const [place, question] of asked.entries()) take(question, answers[place] ?? [])
    })
    for (const settled of await Promise.allSettled(work))
      if (settled.status === 'rejected') throw settled.reason
    return { again, failed }
  }

  /** Throws only where `signal` aborted: that concerns the whole collect. */
  async #askNode(
    master: Address,
    questions: readonly Question[],
    signal: AbortSignal,
  ): Promise<readonly Answer[]> {
    try {
      const link = await this.#links.to(master, signal)
      const answers = await askAll(link, questions, signal)
      return await Promise.all(
        answers.map((answer, index) => this.#followAsk(answer, questions[index], master, signal)),
      )
    } catch (thrown) {
      if (signal.aborted) throw thrown
      const failure = failureOf(thrown)
      return questions.map(() => failure)
    }
  }

  async #followAsk(
    answer: Answer,
    question: Question | undefined,
    asked: Address,
    signal: AbortSignal,
  ): Promise<Answer> {
    const redirection = redirectionIn(answer, 'ASK')?.split(' ')[2]
    if (redirection === undefined || question === undefined) return answer
    // ASKING holds for the one command that follows it.
    const commands = question.commands.flatMap((command) => [['ASKING'] as const, command])
    try {
      const link = await this.#links.to(redirectedTo(redirection, asked), signal)
      const replies = await link.ask(commands, signal)
      return replies.filter((_, index) => index % 2 === 1)
    } catch (thrown) {
      if (signal.aborted) throw thrown
      return failureOf(thrown)
    }
  }

  async #readTable(signal: AbortSignal): Promise<readonly SlotRange[]> {
    const from = { nodes: this.#seeds, credentials: this.#credentials }
    const { link, answer: table } = await askAny(from, signal, async (node, stop) => {
      const [reply] = await node.ask([['CLUSTER', 'SLOTS']], stop)
      return rangesOf(valueOf(reply, `node ${formatAddress(node.address)}`), node.address)
    })
    link.close()
    this.#links.keep(new Set(table.map(({ master }) => formatAddress(master))))
    return table
  }

  close(): void {
    this.#table = undefined
    this.#links.close()
  }
}

function masterOf(table: readonly SlotRange[], slot: number): Address | undefined {
  return table.find(({ from, to }) => slot >= from && slot <= to)?.master
}

/** The address of a redirection; its host may be empty, which means the one that redirected. */
function redirectedTo(text: string, asked: Address): Address {
  const address = parseAddress(text)
  if (address !== undefined) return address
  const colon = text.lastIndexOf(':')
  // An IPv6 address in a redirection has no brackets.
  return addressFrom(text.slice(0, colon), text.slice(colon + 1), asked)
}

/** The reply to CLUSTER SLOTS: for each range its ends, then its nodes with the master first. */
function rangesOf(value: unknown, asked: Address): readonly SlotRange[] {
  if (!Array.isArray(value))
    throw new TidelineError('bad-response', `node ${formatAddress(asked)}: no list of slots`)
  return value.map((range: unknown) => {
    const [from, to, master] = Array.isArray(range) ? (range as unknown[]) : []
    const what = `node ${formatAddress(asked)}, list of slots`
    const [host, port] = Array.isArray(master) ? (master as unknown[]) : []
    const ends = { from: countOf({ value: from }, what), to: countOf({ value: to }, what) }
    if (ends.to >= SLOTS) throw new TidelineError('bad-response', `${what}: no slot ${ends.to}`)
    return { ...ends, master: addressFrom(host, port, asked) }
  })
}
