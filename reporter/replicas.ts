import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Answer, Report, Send } from './sender.ts'
import { callsIn, Sender } from './sender.ts'

/** The way to one replica of the adapter. */
export interface Way {
  readonly send: Send
  close(): void
}

interface Replica {
  readonly way: Way
  readonly sender: Sender
}

export interface ReplicasDeps {
  /** Addresses of all replicas, `ip:port`; may reject, and is asked again. */
  readonly find: () => Promise<readonly string[]>
  readonly findEveryMs?: number
  readonly open: (address: string) => Way
  readonly answered: (address: string, answer: Answer) => void
}

const FIND_EVERY_MS = 5000
/** While none is known. */
const FIND_FIRST_EVERY_MS = 500
const REPLICAS_MAX = 16
/** Reports that a replica which is new is told too, so that it need not wait for a window to fill. */
const RECENT_MAX = 30

/**
 * Every replica of the adapter, since each knows only what it was told. They are told side by side: one that is
 * away holds none of the others up.
 */
export class Replicas {
  readonly #deps: ReplicasDeps
  readonly #known = new Map<string, Replica>()
  readonly #recent: Report[] = []
  readonly #gone = { sent: 0, dropped: 0, droppedCalls: 0 }
  #findFault: string | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(deps: ReplicasDeps) {
    this.#deps = deps
    void this.#find()
  }

  /** Whether a report would go at once, to one of them at least. */
  get idle(): boolean {
    return [...this.#known.values()].some(({ sender }) => sender.idle)
  }

  add(report: Report): void {
    this.#recent.push(report)
    if (this.#recent.length > RECENT_MAX) this.#forget(this.#recent.shift())
    for (const { sender } of this.#known.values()) sender.add(report)
  }

  /** Sums over the replicas, those that are gone with them. */
  counters() {
    const sum = { ...this.#gone, lastFault: this.#findFault }
    for (const { sender } of this.#known.values()) {
      sum.sent += sender.sent
      sum.dropped += sender.dropped
      sum.droppedCalls += sender.droppedCalls
      sum.lastFault ??= sender.lastFault
    }
    return sum
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const report of this.#recent.splice(0)) this.#forget(report)
    const all = [...this.#known.values()]
    await Promise.all(all.map(({ sender }) => sender.close()))
    for (const { way } of all) way.close()
  }

  /** A report that nobody was there for is dropped. */
  #forget(report: Report | undefined): void {
    if (this.#known.size > 0 || report === undefined) return
    this.#gone.dropped += 1
    this.#gone.droppedCalls += callsIn(report)
  }

  async #find(): Promise<void> {
    try {
      const found = await this.#deps.find()
      this.#findFault = undefined
      // None at all is no answer: what is known goes on being told.
      if (found.length > 0 && !this.#closed) this.#follow(new Set(found.slice(0, REPLICAS_MAX)))
    } catch (thrown) {
      this.#findFault = `the adapter is not found: ${String(thrown)}`
    }
    if (this.#closed) return
    const { findEveryMs = FIND_EVERY_MS } = this.#deps
    const waitMs = this.#known.size === 0 ? Math.min(FIND_FIRST_EVERY_MS, findEveryMs) : findEveryMs
    this.#timer = setTimeout(() => void this.#find(), waitMs).unref()
  }

  #follow(found: ReadonlySet<string>): void {
    for (const [address, { way, sender }] of this.#known) {
      if (found.has(address)) continue
      this.#known.delete(address)
      void sender.close().then(() => {
        way.close()
        this.#gone.sent += sender.sent
        this.#gone.dropped += sender.dropped
        this.#gone.droppedCalls += sender.droppedCalls
      })
    }
    for (const address of found) {
      if (this.#known.has(address)) continue
      const way = this.#deps.open(address)
      const sender = new Sender(way.send, (answer) => this.#deps.answered(address, answer))
      this.#known.set(address, { way, sender })
      for (const report of this.#recent) sender.add(report)
    }
  }
}

/** All addresses that a name has; of one family, for the same replicas have one of each. */
export async function addressesOf(address: string): Promise<readonly string[]> {
  const at = address.lastIndexOf(':')
  const [host, port] = [address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), address.slice(at + 1)]
  const found = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host, family: isIP(host) }] // prettier-ignore
  const first = found.some(({ family }) => family === 4) ? 4 : 6
  return found
    .filter(({ family }) => family === first)
    .map((each) => (first === 4 ? `${each.address}:${port}` : `[${each.address}]:${port}`))
}
