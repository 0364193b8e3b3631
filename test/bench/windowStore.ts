/**
 * What the window store in Redis costs beside a bare client that keeps the same buckets in a hash without asking
 * whether somebody else wrote (HSET, HGETALL), by turns in one run against one server; and how long it takes to read
 * much of it whole. Run alone: `node test/bench/windowStore.ts`.
 */
import { Redis } from 'ioredis'
import { systemClock } from '../../src/clock.ts'
import type { WindowStore } from '../../src/ports.ts'
import { singleRoute } from '../../src/sources/redis/routes.ts'
import { redisWindows } from '../../src/store/redisWindows.ts'
import { startRedis } from '../setup/redisServer.ts'
import type { BenchRow } from './evaluate.ts'

const PARTITIONS = 12
const BUCKETS = 1200
/** Rounds of what is small, and of what is large. */
const OFTEN = 500
const RARELY = 30
/** Of a bucket in which 20 sets of label values occurred. */
const CONTENT = JSON.stringify(
  Array.from({ length: 20 }, (_, index) => [`["person","dock-${index}"]`, 1]),
)
const never = new AbortController().signal
const names = Array.from({ length: PARTITIONS }, (_, index) => `bench/${index}`)

export async function benchWindowStore(): Promise<readonly BenchRow[]> {
  const server = await startRedis()
  const bare = new Redis({ host: server.host, port: server.port })
  const store = redisWindows({
    route: singleRoute(server, () => Promise.resolve({ database: 0 })),
    ...{ clock: systemClock, prefix: 'bench:', keepMs: 3_600_000 },
  })
  try {
    await fill(store, bare)
    const turns = new Turns(store, bare)
    const [set, commit, changes] = await byTurns(OFTEN, [
      () => turns.set(),
      () => turns.commit(),
      () => turns.changes(),
    ])
    const [all, whole] = await byTurns(RARELY, [() => turns.all(), () => turns.whole()])
    const of = `window store, ${PARTITIONS} partitions`
    return [
      { what: `${of}: bare HSET of a bucket each`, value: set ?? NaN, unit: 'ms' },
      { what: `${of}: commit of a bucket each`, value: commit ?? NaN, unit: 'ms' },
      { what: `${of}: what a commit has changed`, value: changes ?? NaN, unit: 'ms' },
      { what: `${of}: bare HGETALL of ${BUCKETS} buckets each`, value: all ?? NaN, unit: 'ms' },
      { what: `${of}: all ${BUCKETS} buckets each`, value: whole ?? NaN, unit: 'ms' },
      ...(await large(store)),
    ]
  } finally {
    bare.disconnect()
    await store.close()
    await server.stop()
  }
}

async function fill(store: WindowStore, bare: Redis): Promise<void> {
  for (const name of names) {
    const buckets = bucketsOf(BUCKETS, CONTENT)
    await store.commit(name, { expected: undefined, next: at(0), buckets, keepFromMs: 0 }, never)
    await bare.hset(`bare:${name}`, Object.fromEntries(buckets))
  }
}

/** What is measured; each call is for all partitions. */
class Turns {
  readonly #store: WindowStore
  readonly #bare: Redis
  #offset = 0

  constructor(store: WindowStore, bare: Redis) {
    this.#store = store
    this.#bare = bare
  }

  async set(): Promise<void> {
    const start = (this.#offset % BUCKETS) * 250
    await Promise.all(names.map((name) => this.#bare.hset(`bare:${name}`, start, CONTENT)))
  }

  async commit(): Promise<void> {
    const expected = at(this.#offset)
    const next = at((this.#offset += 1))
    const buckets = new Map([[(this.#offset % BUCKETS) * 250, CONTENT]])
    const change = { expected, next, buckets, keepFromMs: 0 }
    const done = await Promise.all(names.map((name) => this.#store.commit(name, change, never)))
    if (done.some((one) => one !== 'done')) throw new Error('a commit was refused')
  }

  /** What the last commit set. */
  async changes(): Promise<void> {
    await this.#ask(at(this.#offset - 1), 1)
  }

  async all(): Promise<void> {
    await Promise.all(names.map((name) => this.#bare.hgetall(`bare:${name}`)))
  }

  async whole(): Promise<void> {
    await this.#ask(undefined, BUCKETS)
  }

  async #ask(since: ReturnType<typeof at> | undefined, count: number): Promise<void> {
    const found = await this.#store.changes(new Map(names.map((name) => [name, since])), never)
    for (const name of names)
      if (found.get(name)?.buckets.size !== count) throw new Error('other buckets than asked for')
  }
}

/** The largest that the configuration allows by default: 3600 buckets, 1000 sets of label values in each. */
async function large(store: WindowStore): Promise<readonly BenchRow[]> {
  const buckets = 3600
  const content = JSON.stringify(
    Array.from({ length: 1000 }, (_, index) => [`["person","dock-${index}"]`, 1]),
  )
  const step = 100
  for (let from = 0; from < buckets; from += step) {
    const filled = bucketsOf(step, content, from)
    const expected = from === 0 ? undefined : at(from - step)
    await store.commit('large/0', { expected, next: at(from), buckets: filled, keepFromMs: 0 }, never) // prettier-ignore
  }
  const startMs = performance.now()
  const found = await store.load('large/0', never)
  const seconds = (performance.now() - startMs) / 1000
  if (found?.buckets.size !== buckets) throw new Error('not whole')
  const bytes = (buckets * content.length) / 1e6
  return [{ what: `window store: ${bytes.toFixed(0)} MB of one partition`, value: seconds, unit: 's' }] // prettier-ignore
}

function at(offset: number) {
  return { lineage: 'bench', offset, throughMs: 0, memo: '{}' }
}

function bucketsOf(count: number, content: string, from = 0): Map<number, string> {
  return new Map(Array.from({ length: count }, (_, index) => [(from + index) * 250, content]))
}

/** Median of each in ms; they take turns. */
async function byTurns(
  rounds: number,
  works: readonly (() => Promise<void>)[],
): Promise<readonly number[]> {
  const times = works.map(() => [] as number[])
  for (let round = Math.floor(-rounds / 5); round < rounds; round += 1)
    for (const [index, work] of works.entries()) {
      const startMs = performance.now()
      await work()
      if (round >= 0) times[index]?.push(performance.now() - startMs)
    }
  return times.map((of) => of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)] ?? NaN)
}

if (import.meta.main) {
  for (const { what, value, unit } of await benchWindowStore())
    process.stdout.write(`${what.padEnd(66)} ${value.toFixed(2)} ${unit}\n`)
}
