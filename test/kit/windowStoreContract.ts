import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { WindowChange, WindowPosition, WindowState, WindowStore } from '../../src/ports.ts'

/** A store under test; `other` is what another process would open, the same one where the store is not shared. */
export interface WindowStoreHarness {
  readonly store: WindowStore
  readonly other: WindowStore
  close(): Promise<void>
}

const never = new AbortController().signal

function at(offset: number, lineage = 'a'): WindowPosition {
  return { lineage, offset, throughMs: 1000 + offset, memo: `memo ${offset}` }
}

function change(
  expected: WindowPosition | undefined,
  next: WindowPosition,
  buckets: Readonly<Record<number, string>> = {},
  keepFromMs = 0,
): WindowChange {
  return {
    expected: expected && { lineage: expected.lineage, offset: expected.offset },
    next,
    buckets: new Map(Object.entries(buckets).map(([start, content]) => [Number(start), content])),
    keepFromMs,
  }
}

/** Holds one kind of store to the contract of `WindowStore`. */
export function windowStoreContract(name: string, make: () => Promise<WindowStoreHarness>): void {
  describe(`window store contract: ${name}`, () => {
    let harness: WindowStoreHarness
    beforeEach(async () => {
      harness = await make()
    })
    afterEach(() => harness.close())
    for (const [title, holds] of CLAUSES) test(title, { timeout: 60_000 }, () => holds(harness))
  })
}

const CLAUSES: readonly (readonly [string, (harness: WindowStoreHarness) => Promise<void>])[] = [
  [
    'there is nothing at first',
    async ({ store }) => {
      expect(await store.load('t/0', never)).toBeUndefined()
      expect(await store.changes(new Map([['t/0', undefined]]), never)).toEqual(new Map())
    },
  ],
  [
    'what was committed is there, for another process too where the store is shared',
    async ({ store, other }) => {
      const first = change(undefined, at(5), { 1000: 'a "1"\n', 2000: 'ü' })
      expect(await store.commit('t/0', first, never)).toBe('done')
      const wanted = { position: at(5), buckets: first.buckets }
      expect(await store.load('t/0', never)).toMatchObject(wanted)
      expect(await other.load('t/0', never)).toMatchObject(wanted)
      expect(await other.load('t/1', never)).toBeUndefined()
    },
  ],
  [
    'a commit that expects something else changes nothing and says what is there',
    async ({ store, other }) => {
      await store.commit('t/0', change(undefined, at(5), { 1000: 'x' }), never)
      const wrong = [undefined, at(4), at(6), at(5, 'b')]
      for (const expected of wrong)
        expect(await other.commit('t/0', change(expected, at(9), { 1000: 'y' }), never)).toEqual({
          conflict: at(5),
        })
      expect((await store.load('t/0', never))?.buckets).toEqual(new Map([[1000, 'x']]))
      expect(await store.commit('t/9', change(at(1), at(2)), never)).toEqual({
        conflict: undefined,
      })
    },
  ],
  [
    'the same commit twice is done once, and the conflict shows that it is done',
    async ({ store }) => {
      await store.commit('t/0', change(undefined, at(5)), never)
      const next = change(at(5), at(8), { 1000: 'x' })
      expect(await store.commit('t/0', next, never)).toBe('done')
      expect(await store.commit('t/0', next, never)).toEqual({ conflict: at(8) })
    },
  ],
  [
    'a commit at the same offset moves the time alone',
    async ({ store }) => {
      await store.commit('t/0', change(undefined, at(5), { 1000: 'x' }), never)
      const later = { ...at(5), throughMs: 9000 }
      expect(await store.commit('t/0', change(at(5), later), never)).toBe('done')
      expect(await store.load('t/0', never)).toMatchObject({
        position: later,
        buckets: new Map([[1000, 'x']]),
      })
    },
  ],
  [
    'changes are the buckets set after an offset; all of another lineage or of a later offset',
    async ({ store, other }) => {
      await store.commit('t/0', change(undefined, at(5), { 1000: 'x', 2000: 'x' }), never)
      await store.commit('t/0', change(at(5), at(7), { 2000: 'y', 3000: 'y' }), never)
      await store.commit('t/0', change(at(7), at(9), { 3000: 'z' }), never)
      const all = { 1000: 'x', 2000: 'y', 3000: 'z' }
      const ask = async (since: { lineage: string; offset: number } | undefined) => {
        const found = (await other.changes(new Map([['t/0', since]]), never)).get('t/0')
        return [found?.whole, Object.fromEntries(found?.buckets ?? []), found?.position]
      }
      expect(await ask(undefined)).toEqual([true, all, at(9)])
      expect(await ask({ lineage: 'a', offset: 5 })).toEqual([
        false,
        { 2000: 'y', 3000: 'z' },
        at(9),
      ])
      expect(await ask({ lineage: 'a', offset: 7 })).toEqual([false, { 3000: 'z' }, at(9)])
      expect(await ask({ lineage: 'a', offset: 9 })).toEqual([false, {}, at(9)])
      expect(await ask({ lineage: 'a', offset: 10 })).toEqual([true, all, at(9)])
      expect(await ask({ lineage: 'b', offset: 9 })).toEqual([true, all, at(9)])
    },
  ],
  [
    'a new lineage drops what the one before left; old buckets are dropped as asked',
    async ({ store }) => {
      await store.commit('t/0', change(undefined, at(5), { 1000: 'x', 2000: 'x' }), never)
      await store.commit('t/0', change(at(5), at(0, 'b'), { 3000: 'y', 4000: 'y' }), never)
      const load = async () => Object.fromEntries((await store.load('t/0', never))?.buckets ?? [])
      expect(await load()).toEqual({ 3000: 'y', 4000: 'y' })
      await store.commit('t/0', change(at(0, 'b'), at(1, 'b'), {}, 4000), never)
      expect(await load()).toEqual({ 4000: 'y' })
    },
  ],
  [
    'many old buckets are dropped at once; the time never goes back',
    async ({ store }) => {
      const many = Object.fromEntries(Array.from({ length: 2500 }, (_, index) => [index, 'x']))
      await store.commit('t/0', change(undefined, at(5), many), never)
      const later = { ...at(5), throughMs: 9000 }
      await store.commit('t/0', change(at(5), later, {}, 2499), never)
      await store.commit('t/0', change(at(5), { ...at(5), throughMs: 8000 }), never)
      expect(await store.load('t/0', never)).toMatchObject({
        position: later,
        buckets: new Map([[2499, 'x']]),
      })
    },
  ],
  [
    'offsets are exact up to 2^53',
    async ({ store }) => {
      const large = Number.MAX_SAFE_INTEGER - 1
      await store.commit('t/0', change(undefined, at(large), { 1000: 'x' }), never)
      const done = await store.commit('t/0', change(at(large), at(large + 1), { 2000: 'y' }), never)
      expect(done).toBe('done')
      const asked = new Map([['t/0', { lineage: 'a', offset: large }]])
      const found = (await store.changes(asked, never)).get('t/0')
      expect(found?.position.offset).toBe(large + 1)
      expect(found?.buckets).toEqual(new Map([[2000, 'y']]))
    },
  ],
  [
    'many partitions are read at once',
    async ({ store }) => {
      const names = Array.from({ length: 100 }, (_, index) => `t/${index}`)
      await Promise.all(
        names.map((name, index) =>
          store.commit(name, change(undefined, at(index), { 1000: name }), never),
        ),
      )
      const found = await store.changes(new Map(names.map((name) => [name, undefined])), never)
      expect(found.size).toBe(100)
      for (const name of names) expect(found.get(name)?.buckets.get(1000)).toBe(name)
    },
  ],
  [
    'what is larger than one answer is read whole, also while it changes',
    async ({ store, other }) => {
      const large = (text: string) => text.repeat(100_000)
      const starts = Array.from({ length: 60 }, (_, index) => index * 250)
      const filled = Object.fromEntries(starts.map((start) => [start, large('a')]))
      await store.commit('t/0', change(undefined, at(0), filled), never)
      let offset = 0
      let reading = true
      const changing = (async () => {
        while (reading) {
          const one = { [starts[offset % starts.length] ?? 0]: large(`b${offset}`) }
          await store.commit('t/0', change(at(offset), at(offset + 1), one), never)
          offset += 1
        }
      })()
      const readings = []
      for (let round = 0; round < 5; round += 1) readings.push(await other.load('t/0', never))
      const since = { lineage: 'a', offset: 0 }
      const changes = (await other.changes(new Map([['t/0', since]]), never)).get('t/0')
      reading = false
      await changing
      expect(changes?.whole).toBe(false)
      for (const found of [...readings, changes]) {
        // Message n set bucket n: so the buckets as of an offset are known.
        const wanted = new Map(found === changes ? [] : starts.map((start) => [start, large('a')]))
        for (let n = 0; n < (found?.position.offset ?? -1); n += 1)
          wanted.set(starts[n % starts.length] ?? 0, large(`b${n}`))
        const shown = (buckets: ReadonlyMap<number, string> | undefined) =>
          Object.fromEntries(
            [...(buckets ?? [])]
              .toSorted(([a], [b]) => a - b)
              .map(([start, content]) => [start, `${content.slice(0, 5)} ${content.length}`]),
          )
        expect(shown(found?.buckets)).toEqual(shown(wanted))
      }
    },
  ],
  ['two writers and a reader: nothing is counted twice, nothing is missed', exactlyOnce],
]

/** Writers that each add up the numbers from where the store says, whatever the other does meanwhile. */
async function exactlyOnce({ store, other }: WindowStoreHarness): Promise<void> {
  const step = fc.record({ writer: fc.boolean(), count: fc.integer({ min: 1, max: 5 }) })
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const name = `property/${(run += 1)}`
      const writers = [new Adder(store, name), new Adder(other, name)]
      const reader = new Map<number, string>()
      let seen: WindowState | undefined
      for (const { writer, count } of steps) {
        await writers[writer ? 1 : 0]?.add(count)
        const found = (await store.changes(new Map([[name, seen?.position]]), never)).get(name)
        if (found === undefined) throw new Error('nothing is there')
        if (found.whole) reader.clear()
        for (const [start, content] of found.buckets) reader.set(start, content)
        seen = found
      }
      const loaded = await other.load(name, never)
      expect(reader).toEqual(loaded?.buckets)
      const offset = loaded?.position.offset ?? 0
      const total = [...reader.values()].reduce((sum, content) => sum + Number(content), 0)
      expect(total).toBe((offset * (offset - 1)) / 2)
    }),
    { numRuns: 30 },
  )
}

/** Message n holds the number n and belongs to bucket n mod 3. */
class Adder {
  readonly #store: WindowStore
  readonly #name: string
  #known: WindowState | undefined

  constructor(store: WindowStore, name: string) {
    this.#store = store
    this.#name = name
  }

  async add(count: number): Promise<void> {
    for (;;) {
      const known = this.#known
      const from = known?.position.offset ?? 0
      const buckets = new Map(known?.buckets)
      const set: Record<number, string> = {}
      for (let n = from; n < from + count; n += 1) {
        const content = String(Number(buckets.get(n % 3) ?? 0) + n)
        buckets.set(n % 3, content)
        set[n % 3] = content
      }
      const next = at(from + count)
      const done = await this.#store.commit(this.#name, change(known?.position, next, set), never)
      if (done === 'done') {
        this.#known = { position: next, buckets }
        return
      }
      this.#known = await this.#store.load(this.#name, never)
    }
  }
}
