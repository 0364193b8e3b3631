import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Drain } from '../../src/sources/kafka/lag/drain.ts'
import { EndHistory } from '../../src/sources/kafka/lag/endHistory.ts'
import { PartitionMemory } from '../../src/sources/kafka/lag/partition.ts'
import type { Offsets } from '../../src/sources/kafka/lag/partition.ts'
import { RebalanceDamping, scalingLag } from '../../src/sources/kafka/lag/scaling.ts'
import type { Part } from '../../src/sources/kafka/lag/scaling.ts'

const consuming = { remade: false, consuming: true }
const uncommitted = (noCommit: 'earliest' | 'latest' | 'ignore') =>
  ({ noCommit, isolation: 'read-uncommitted' }) as const

describe('where a group reads on, and its lag', () => {
  test.each<[string, Offsets, 'earliest' | 'latest' | 'ignore', number | undefined]>([
    ['a commit', { earliest: 0, end: 10, committed: 7 }, 'latest', 3],
    ['a commit at the end', { earliest: 0, end: 10, committed: 10 }, 'latest', 0],
    ['a commit behind retention', { earliest: 8, end: 10, committed: 3 }, 'latest', 2],
    ['everything is deleted', { earliest: 10, end: 10, committed: 3 }, 'latest', 0],
    ['a commit younger than the end', { earliest: 0, end: 10, committed: 11 }, 'earliest', 0],
    ['no commit, earliest', { earliest: 4, end: 10, committed: undefined }, 'earliest', 6],
    ['no commit, latest', { earliest: 4, end: 10, committed: undefined }, 'latest', 0],
    ['no commit, ignore', { earliest: 4, end: 10, committed: undefined }, 'ignore', undefined],
  ])('%s', (_, offsets, noCommit, lag) => {
    const memory = new PartitionMemory(0)
    expect(memory.observe(offsets, uncommitted(noCommit), consuming).lag).toBe(lag)
  })

  test('a commit that stays beyond the end is one of another topic: the policy says where to begin', () => {
    const memory = new PartitionMemory(0)
    const offsets = { earliest: 0, end: 10, committed: 5000 }
    memory.observe(offsets, uncommitted('earliest'), consuming)
    const second = memory.observe(offsets, uncommitted('earliest'), consuming)
    expect(second).toEqual({ basis: 'beyond-end', next: 0, lag: 10 })
  })

  test('with an open transaction a commit beyond the committed messages is no other topic', () => {
    const memory = new PartitionMemory(0)
    const policy = { noCommit: 'earliest', isolation: 'read-committed' } as const
    const offsets = { earliest: 0, end: 10, committed: 14 }
    memory.observe(offsets, policy, consuming)
    expect(memory.observe(offsets, policy, consuming)).toMatchObject({ basis: 'committed', lag: 0 })
  })
})

describe('counters', () => {
  test('going back counts nothing, going on counts again', () => {
    const memory = new PartitionMemory(0)
    const consumed = [10, 40, 5, 5, 25].map((committed) => {
      memory.observe({ earliest: 0, end: 100, committed }, uncommitted('latest'), consuming)
      return memory.consumed
    })
    expect(consumed).toEqual([0, 30, 30, 30, 50])
  })

  test('a topic made anew counts from its first message, and old commits of it are no consumption', () => {
    const memory = new PartitionMemory(0)
    const policy = uncommitted('latest')
    memory.observe({ earliest: 0, end: 5000, committed: 4000 }, policy, consuming)
    memory.observe({ earliest: 0, end: 5010, committed: 4000 }, policy, consuming)
    const remade = { remade: true, consuming: true }
    memory.observe({ earliest: 0, end: 7, committed: 4000 }, policy, remade)
    expect([memory.produced, memory.consumed]).toEqual([17, 0])
    memory.observe({ earliest: 0, end: 9, committed: 3 }, policy, consuming)
    memory.observe({ earliest: 0, end: 9, committed: 8 }, policy, consuming)
    expect([memory.produced, memory.consumed]).toEqual([19, 5])
  })

  test('a commit of the topic before is none of the new one, even where it is larger', () => {
    const memory = new PartitionMemory(0)
    const policy = uncommitted('latest')
    memory.observe({ earliest: 0, end: 100, committed: 50 }, policy, consuming)
    const remade = { remade: true, consuming: true }
    memory.observe({ earliest: 0, end: 200, committed: 150 }, policy, remade)
    expect([memory.produced, memory.consumed]).toEqual([200, 0])
  })

  test('whatever the broker says, they never fall and never pass what was there', () => {
    const offset = fc.nat({ max: 1000 })
    const poll = fc.record({
      earliest: offset,
      end: offset,
      committed: fc.option(offset, { nil: undefined }),
      remade: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(poll, { maxLength: 30 }), (polls) => {
        const memory = new PartitionMemory(0)
        for (const { remade, ...offsets } of polls) {
          const before = [memory.produced, memory.consumed] as const
          const policy = uncommitted('earliest')
          const { lag = 0 } = memory.observe(offsets, policy, { remade, consuming: true })
          expect(lag).toBeGreaterThanOrEqual(0)
          expect(lag).toBeLessThanOrEqual(offsets.end)
          expect(memory.produced).toBeGreaterThanOrEqual(before[0])
          expect(memory.produced - before[0]).toBeLessThanOrEqual(offsets.end)
          expect(memory.consumed).toBeGreaterThanOrEqual(before[1])
          expect(memory.consumed - before[1]).toBeLessThanOrEqual(offsets.committed ?? 0)
        }
      }),
    )
  })
})

describe('partitions that do not move', () => {
  test('count polls with lag while somebody consumes; a move or an empty partition ends it', () => {
    const memory = new PartitionMemory(0)
    const at = (committed: number, end: number, consumes = true) => {
      const seen = { remade: false, consuming: consumes }
      memory.observe({ earliest: 0, end, committed }, uncommitted('latest'), seen)
      return memory.unmoved
    }
    expect([at(5, 9), at(5, 9), at(5, 12), at(5, 12, false), at(5, 12)]).toEqual([0, 1, 2, 2, 3])
    expect([at(6, 12), at(6, 12), at(12, 12), at(12, 12)]).toEqual([0, 1, 0, 0])
  })
})

const part = (partition: number, lag: number | undefined, more: Partial<Part> = {}): Part => ({
  partition,
  lag,
  next: lag === undefined ? undefined : 0,
  basis: 'committed',
  stuck: false,
  ...more,
})

describe('the lag that scales', () => {
  const policy = { noCommit: 'latest', excludeStuck: false, rebalanceHold: 0 } as const

  test.each<[string, object, Part[], number | undefined]>([
    ['is the total', {}, [part(0, 3), part(1, 4)], 7],
    ['partitions', { replicaLag: 5 }, [part(0, 30), part(1, 0)], 10],
    ['below the limit', { replicaLag: 5 }, [part(0, 3), part(1, 0)], 3],
    [
      'partitions with lag',
      { replicaLag: 5, limitTo: 'partitionsWithLag' },
      [part(0, 30), part(1, 0), part(2, 1)],
      10,
    ],
    ['stuck ones count', {}, [part(0, 3, { stuck: true }), part(1, 4)], 7],
    ['or not', { excludeStuck: true }, [part(0, 3, { stuck: true }), part(1, 4)], 4],
    ['the last consumer stays', { excludeStuck: true }, [part(0, 3, { stuck: true })], 1],
    ['nothing is nothing', { excludeStuck: true }, [part(0, 0), part(1, 0)], 0],
    [
      'without a commit a consumer starts',
      {},
      [part(0, 0, { basis: 'no-commit' }), part(1, 0, { basis: 'no-commit' })],
      2,
    ],
    [
      'unless that is not wanted',
      { startWithoutCommit: false },
      [part(0, 0, { basis: 'no-commit' })],
      0,
    ],
    [
      'earliest counts what is there',
      { noCommit: 'earliest' },
      [part(0, 0, { basis: 'no-commit' }), part(1, 9, { basis: 'no-commit' })],
      9,
    ],
    [
      'ignored partitions are not in it',
      { noCommit: 'ignore' },
      [part(0, undefined, { basis: 'no-commit' }), part(1, 9)],
      9,
    ],
    [
      'all ignored: not known',
      { noCommit: 'ignore' },
      [part(0, undefined, { basis: 'no-commit' })],
      undefined,
    ],
  ])('%s', (_, changes, parts, value) => {
    expect(scalingLag({ ...policy, ...changes }, parts).value).toBe(value)
  })

  test('what was done to it is told', () => {
    const { notes } = scalingLag({ ...policy, replicaLag: 5, excludeStuck: true }, [
      part(0, 30),
      part(1, 70, { stuck: true }),
      part(2, 0, { basis: 'no-commit' }),
    ])
    expect(notes).toEqual([
      'stuck partitions are left out: 1',
      '1 of 3 partitions have no committed offset and count one message each, so that a consumer starts',
      '31 is limited to 15: replicaLag 5 for each of 3 partitions',
    ])
  })
})

describe('damping', () => {
  const step =
    (damping: RebalanceDamping) => (value: number, state: 'stable' | 'rebalancing', s: number) =>
      damping.step({ value, notes: [] }, state, s * 1000).value

  test('takes no step downwards while the group rebalances, and falls when it has', () => {
    const at = step(new RebalanceDamping(120_000))
    expect([
      at(100, 'stable', 0),
      at(80, 'rebalancing', 5),
      at(140, 'rebalancing', 10),
      at(20, 'rebalancing', 15),
      at(20, 'stable', 20),
    ]).toEqual([100, 100, 140, 140, 20])
  })

  test('a group that never settles is not believed for ever', () => {
    const at = step(new RebalanceDamping(120_000))
    expect([at(100, 'stable', 0), at(5, 'rebalancing', 5), at(5, 'rebalancing', 124)]).toEqual([
      100, 100, 100,
    ])
    expect([at(5, 'rebalancing', 125), at(6, 'rebalancing', 400)]).toEqual([5, 6])
  })
})

describe('time to drain', () => {
  test('lag over what is consumed more than produced', () => {
    const drain = new Drain()
    expect(drain.secondsFor(0)).toBe(0)
    for (let poll = 0; poll < 5; poll += 1)
      drain.observe({ atMs: poll * 5000, produced: poll * 50, consumed: poll * 150 })
    expect(drain.secondsFor(400)).toBeCloseTo(20)
  })

  test('none where it grows, where it stands, and before there are rates', () => {
    const drain = new Drain()
    drain.observe({ atMs: 0, produced: 0, consumed: 0 })
    drain.observe({ atMs: 5000, produced: 0, consumed: 100 })
    expect(drain.secondsFor(10)).toBeUndefined()
    drain.observe({ atMs: 10_000, produced: 100, consumed: 100 })
    expect(drain.secondsFor(10)).toBeUndefined()
    drain.observe({ atMs: 15_000, produced: 300, consumed: 100 })
    expect(drain.secondsFor(10)).toBeUndefined()
    expect(drain.secondsFor(0)).toBe(0)
  })
})

describe('history of ends', () => {
  test('a message was produced when the end passed it', () => {
    const history = new EndHistory()
    for (const [ms, end] of [
      [0, 10],
      [1000, 10],
      [2000, 10],
      [3000, 20],
      [4000, 20],
    ] as const)
      history.note(ms, end)
    expect(history.producedMs(10)).toEqual({ ms: 2000, earlier: false })
    expect(history.producedMs(15)).toEqual({ ms: 2500, earlier: false })
    expect(history.producedMs(9)).toEqual({ ms: 0, earlier: true })
    expect(history.producedMs(20)).toBeUndefined()
  })

  test('an end that falls begins anew', () => {
    const history = new EndHistory()
    history.note(0, 10)
    history.note(1000, 3)
    expect(history.producedMs(2)).toEqual({ ms: 1000, earlier: true })
  })

  test('what is told of earlier times goes before', () => {
    const history = new EndHistory()
    history.note(10_000, 50)
    history.prepend([
      { atMs: 8000, end: undefined },
      { atMs: 6000, end: 30 },
      { atMs: 4000, end: 32 },
    ])
    expect(history.producedMs(40)).toEqual({ ms: 6000 + (2000 * 8) / 18, earlier: false })
    expect(history.producedMs(10)).toEqual({ ms: 4000, earlier: true })
  })

  test('it stays small however long it goes on, and keeps its beginning', () => {
    const history = new EndHistory()
    for (let poll = 0; poll < 20_000; poll += 1) history.note(poll * 5000, poll * 10)
    expect(history.length).toBeLessThanOrEqual(256)
    expect(history.producedMs(0)).toEqual({ ms: 0, earlier: false })
  })

  test('it stays small, and is off by no more than the points are apart', () => {
    const steps = fc.array(fc.record({ ms: fc.integer({ min: 1, max: 60 }), more: fc.nat(20) }), {
      minLength: 2,
      maxLength: 3000,
    })
    fc.assert(
      fc.property(steps, (path) => {
        const history = new EndHistory()
        const truth: { ms: number; end: number }[] = []
        let ms = 0
        let end = 0
        for (const each of path) {
          ms += each.ms
          end += each.more
          truth.push({ ms, end })
          history.note(ms, end)
          expect(history.length).toBeLessThanOrEqual(256)
        }
        for (const { end: offset } of truth.slice(-60)) {
          if (offset >= end) continue
          const found = history.producedMs(offset)
          const after = truth.find((point) => point.end > offset)!
          const before = truth.findLast((point) => point.end <= offset)!
          expect(found?.ms).toBeGreaterThanOrEqual(before.ms)
          expect(found?.ms).toBeLessThanOrEqual(after.ms)
        }
      }),
      { numRuns: 50 },
    )
  })
})
