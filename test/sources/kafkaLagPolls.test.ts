/** The source over a table in place of a broker, with time moved by hand; the real broker has its own tests. */
import { describe, expect, test } from 'vitest'
import { TidelineError } from '../../src/errors.ts'
import { kafkaLagConfigSchema } from '../../src/sources/kafka/lag/config.ts'
import { lagGroupSchema } from '../../src/sources/kafka/lag/groupConfig.ts'
import { pollLag } from '../../src/sources/kafka/lag/lag.ts'
import { FakeKafka } from '../kit/fakeKafka.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { RecordingSink } from '../kit/recordingSink.ts'
import { secretsFrom } from '../kit/trial.ts'

const INTERVAL_MS = 5000

interface Stage {
  readonly kafka: FakeKafka
  readonly sink: RecordingSink
  readonly clock: ManualClock
  /** Lets one more poll happen. */
  next(): Promise<void>
  /** Value of the newest sample; `partition` undefined: of the group. */
  value(metric: string, partition?: number, origin?: string): number | undefined
  notes(metric: string, origin?: string): readonly string[]
}

const running: AbortController[] = []

async function stage(
  groups: readonly Readonly<Record<string, unknown>>[],
  prepare: (kafka: FakeKafka, nowMs: number) => void,
): Promise<Stage> {
  const kafka = new FakeKafka()
  const sink = new RecordingSink()
  const clock = new ManualClock()
  prepare(kafka, clock.nowMs())
  const stop = new AbortController()
  running.push(stop)
  const component = pollLag(
    {
      interval: INTERVAL_MS,
      timeout: INTERVAL_MS,
      groups: groups.map((group) => lagGroupSchema.parse({ group: 'g', topics: ['t'], ...group })),
    },
    { offsets: kafka, times: kafka },
    { name: 'k', clock, sink, secrets: secretsFrom({}), log: new RecordingLogger() },
  )
  void component.run(stop.signal)
  await clock.advance(0)
  const batchOf = (origin = 't@g') => sink.batches.findLast((batch) => batch.origin === origin)
  return {
    kafka,
    sink,
    clock,
    next: () => clock.advance(INTERVAL_MS),
    value: (metric, partition, origin) =>
      batchOf(origin)?.samples.find(
        (sample) =>
          sample.metric === metric &&
          sample.labels['partition'] === (partition === undefined ? undefined : String(partition)),
      )?.value,
    notes: (metric, origin) =>
      (batchOf(origin)?.notes ?? [])
        .filter((note) => note.metric === metric)
        .map(({ text }) => text),
  }
}

const denied = (message: string) => new TidelineError('unauthorized', message)

describe('one poll', () => {
  test('tells the lag of each partition, and of the group', async () => {
    const { sink } = await stage([{}], (kafka, nowMs) => {
      kafka.create('t', 2)
      kafka.produce('t', 0, nowMs - 30_000, nowMs - 20_000, nowMs - 10_000)
      kafka.produce('t', 1, nowMs - 5000)
      kafka.commit('g', 't', { 0: 1, 1: 1 })
      kafka.groups.set('g', { state: 'stable', members: 2 })
    })
    const [batch] = sink.batches
    expect(batch).toMatchObject({ source: 'k', origin: 't@g', complete: true })
    expect(
      batch?.samples.map(({ metric, labels, kind, value }) => [metric, labels, kind, value]),
    ).toEqual([
      ...[0, 1].flatMap((partition) => {
        const labels = { topic: 't', group: 'g', partition: String(partition) }
        return [
          ['kafka_group_lag', labels, 'gauge', [2, 0][partition]],
          ['kafka_group_lag_seconds', labels, 'gauge', [20, 0][partition]],
          ['kafka_topic_produced', labels, 'cumulative', 0],
          ['kafka_group_consumed', labels, 'cumulative', 0],
        ]
      }),
      ...[
        ['kafka_group_scaling_lag', 2],
        ['kafka_group_partitions', 2],
        ['kafka_group_stuck_partitions', 0],
        ['kafka_group_rebalancing', 0],
        ['kafka_group_members', 2],
      ].map(([metric, value]) => [metric, { topic: 't', group: 'g' }, 'gauge', value]),
    ])
  })

  test('asks each thing once, however many groups read a topic', async () => {
    const { kafka } = await stage(
      ['a', 'b', 'c'].map((group) => ({ group, topics: ['t', 'u'], lagSeconds: 'off' })),
      (table) => {
        table.create('t', 3)
        table.create('u', 3)
      },
    )
    expect(kafka.calls.toSorted()).toEqual([
      'committed a t,u',
      'committed b t,u',
      'committed c t,u',
      'group a',
      'group b',
      'group c',
      'listOffsets t earliest read-uncommitted',
      'listOffsets t latest read-uncommitted',
      'listOffsets u earliest read-uncommitted',
      'listOffsets u latest read-uncommitted',
      'topics t,u',
    ])
  })

  test('what only some partitions are asked for, the others are not told of', async () => {
    const { sink, value } = await stage([{ partitions: [2, '0-1'] }], (kafka) => {
      kafka.create('t', 5)
      kafka.commit('g', 't', { 0: 0, 1: 0, 2: 0, 3: 0, 4: 0 })
      for (let partition = 0; partition < 5; partition += 1) kafka.produce('t', partition, 1, 2)
    })
    expect(value('kafka_group_scaling_lag')).toBe(6)
    expect(value('kafka_group_partitions')).toBe(3)
    const told = new Set(sink.latest().map(({ labels }) => labels['partition']))
    expect([...told]).toEqual(['0', '1', '2', undefined])
  })
})

describe('what fails fails alone, and by its name', () => {
  test('a topic that is not there, a partition that is not there', async () => {
    const { sink, value } = await stage(
      [{ topics: ['t', 'gone'] }, { group: 'h', partitions: [0, 7] }],
      (kafka) => kafka.create('t', 2),
    )
    expect(sink.failures.map(({ origin, code, message }) => [origin, code, message])).toEqual([
      ['gone@g', 'not-found', 'topic gone does not exist: create it, or mend its name'],
      ['t@h', 'not-found', 'topic t has no partition 7: it has 2, the first is 0'],
    ])
    expect(value('kafka_group_partitions')).toBe(2)
  })

  test('a topic that may not be described spoils the answer of all, so each is asked alone', async () => {
    const { sink, value } = await stage([{ topics: ['t', 'secret'] }], (kafka) => {
      kafka.create('t', 2)
      kafka.create('secret', 1)
      const failure = denied('no DESCRIBE on topic secret')
      kafka.faults.set('topics t,secret', failure)
      kafka.faults.set('topics secret', failure)
    })
    expect(sink.failures).toMatchObject([{ origin: 'secret@g', code: 'unauthorized' }])
    expect(value('kafka_group_partitions')).toBe(2)
  })

  test('a group that may not be described leaves other groups alone', async () => {
    const { sink, value } = await stage([{}, { group: 'h' }], (kafka) => {
      kafka.create('t', 1)
      kafka.faults.set('committed g t', denied('no DESCRIBE on group g'))
    })
    expect(sink.failures).toMatchObject([
      { origin: 't@g', code: 'unauthorized', message: 'no DESCRIBE on group g' },
    ])
    expect(value('kafka_group_lag', 0, 't@h')).toBe(0)
  })

  test('a topic whose leader does not answer times out; the others are told in time', async () => {
    const { sink, clock, value } = await stage([{ topics: ['t', 'slow'] }], (kafka) => {
      kafka.create('t', 1)
      kafka.create('slow', 1)
      kafka.hangs.add('listOffsets slow latest read-uncommitted')
    })
    expect(value('kafka_group_lag', 0)).toBe(0)
    expect(sink.failures).toEqual([])
    await clock.advance(INTERVAL_MS)
    expect(sink.failures).toMatchObject([{ origin: 'slow@g', code: 'timeout' }])
    expect(sink.failures).toHaveLength(1)
  })

  test('where the state of the group is not told, neither members nor rebalancing are, and it is noted', async () => {
    const { value, notes } = await stage([{}], (kafka) => {
      kafka.create('t', 1)
      kafka.commit('g', 't', { 0: 0 })
      kafka.faults.set('group g', new TidelineError('bad-response', 'what?'))
    })
    expect(value('kafka_group_lag', 0)).toBe(0)
    expect(value('kafka_group_members')).toBeUndefined()
    expect(value('kafka_group_rebalancing')).toBeUndefined()
    expect(notes('kafka_group_scaling_lag')).toEqual([
      'not damped: the state of the group is not told: what?',
    ])
  })
})

describe('lag in seconds', () => {
  const behind = (kafka: FakeKafka, nowMs: number) => {
    kafka.create('t', 1)
    kafka.produce('t', 0, nowMs - 90_000, nowMs - 60_000, nowMs - 30_000)
    kafka.commit('g', 't', { 0: 1 })
  }

  test('is looked up when the group moves, not at each poll, and grows in between', async () => {
    const { kafka, value, notes, next } = await stage([{}], behind)
    expect(value('kafka_group_lag_seconds', 0)).toBe(60)
    expect(notes('kafka_group_lag_seconds')).toEqual(["from the messages' timestamps"])
    await next()
    await next()
    expect(kafka.count('messageTimes')).toBe(1)
    expect(value('kafka_group_lag_seconds', 0)).toBeGreaterThan(65)
    kafka.commit('g', 't', { 0: 2 })
    await next()
    expect(kafka.count('messageTimes')).toBe(2)
    expect(value('kafka_group_lag_seconds', 0)).toBeLessThan(50)
  })

  test('without READ it is interpolated, the broker is not asked again for a while, and it is noted', async () => {
    const { kafka, value, notes, next, clock } = await stage([{}], (table, nowMs) => {
      behind(table, nowMs)
      table.faults.set('messageTimes t', denied('no'))
    })
    expect(value('kafka_group_lag_seconds', 0)).toBe(60)
    expect(notes('kafka_group_lag_seconds')).toEqual([
      'interpolated from the offsets of the end: READ on topic t is not allowed',
    ])
    await next()
    await next()
    expect(kafka.count('messageTimes')).toBe(1)
    // The ladder of times is asked for once.
    expect(kafka.count('listOffsets t timestamp')).toBe(9)
    await clock.advance(300_000)
    expect(kafka.count('messageTimes')).toBe(2)
  })

  test('what is older than all that is known is told as a lower bound', async () => {
    const { value, notes } = await stage([{ lagSeconds: 'interpolate' }], (kafka, nowMs) => {
      kafka.create('t', 1)
      kafka.produce('t', 0, nowMs - 200_000_000, nowMs - 190_000_000, nowMs - 1000)
      kafka.commit('g', 't', { 0: 0 })
    })
    expect(value('kafka_group_lag_seconds', 0)).toBe(86_400)
    expect(notes('kafka_group_lag_seconds')).toContain(
      'at least: the history of 1 partitions does not go back far enough',
    )
  })

  test('where nothing tells, there is no number', async () => {
    const { value, notes } = await stage([{ lagSeconds: 'interpolate' }], (kafka, nowMs) => {
      behind(kafka, nowMs)
      kafka.faults.set('listOffsets t timestamp read-uncommitted', denied('no'))
    })
    expect(value('kafka_group_lag_seconds', 0)).toBeUndefined()
    expect(value('kafka_group_lag', 0)).toBe(2)
    expect(notes('kafka_group_lag_seconds')).toContain('not known of 1 partitions: no history yet')
  })

  test('fetch never interpolates; off tells nothing', async () => {
    const fetching = await stage([{ lagSeconds: 'fetch' }], (kafka, nowMs) => {
      behind(kafka, nowMs)
      kafka.faults.set('messageTimes t', denied('no'))
    })
    expect(fetching.value('kafka_group_lag_seconds', 0)).toBeUndefined()
    expect(fetching.notes('kafka_group_lag_seconds')).toEqual([
      'not known: READ on topic t is not allowed',
    ])
    const off = await stage([{ lagSeconds: 'off' }], behind)
    expect(off.value('kafka_group_lag_seconds', 0)).toBeUndefined()
    expect(off.kafka.count('messageTimes')).toBe(0)
  })

  test('a look-up that hangs costs the time, not the lag', async () => {
    const { value, notes, clock } = await stage([{}], (kafka, nowMs) => {
      behind(kafka, nowMs)
      kafka.hangs.add('messageTimes t')
    })
    await clock.advance(INTERVAL_MS / 2)
    expect(value('kafka_group_lag', 0)).toBe(2)
    expect(notes('kafka_group_lag_seconds')[0]).toContain('no answer in time')
  })

  test.each([
    ['its id', 'another', 3],
    ['its end, which fell', 'id-1', 2],
  ])(
    'a topic made anew is known by %s: old times are not told of its messages',
    async (_, id, end) => {
      const { kafka, value, next, clock } = await stage([{}], behind)
      expect(value('kafka_group_lag_seconds', 0)).toBe(60)
      const times = Array.from({ length: end }, () => clock.nowMs())
      kafka.topicTable.set('t', { id, partitions: [{ earliest: 0, times }] })
      await next()
      expect(value('kafka_group_lag_seconds', 0)).toBeLessThanOrEqual(5)
      expect(value('kafka_group_lag', 0)).toBe(end - 1)
    },
  )

  test('marks of transactions at the end are no late message, and are not looked for again', async () => {
    const { kafka, value, next } = await stage([{ isolation: 'read-committed' }], (table) => {
      table.create('t', 1)
      table.commit('g', 't', { 0: 0 })
      table.partition('t', 0).stableEnd = 1
    })
    expect(value('kafka_group_lag', 0)).toBe(1)
    expect(value('kafka_group_lag_seconds', 0)).toBe(0)
    await next()
    await next()
    expect(kafka.count('messageTimes')).toBe(1)
    expect(value('kafka_group_lag_seconds', 0)).toBe(0)
  })
})

describe('from poll to poll', () => {
  test('a topic made anew gives neither a negative nor a giant count', async () => {
    const { kafka, value, next } = await stage([{}], (table) => {
      table.create('t', 1)
      table.produce('t', 0, ...Array.from({ length: 500 }, () => 1))
      table.commit('g', 't', { 0: 400 })
    })
    kafka.create('t', 1)
    kafka.produce('t', 0, 1, 2, 3)
    await next()
    expect(value('kafka_topic_produced', 0)).toBe(3)
    expect(value('kafka_group_consumed', 0)).toBe(0)
    kafka.commit('g', 't', { 0: 0 })
    await next()
    expect(value('kafka_group_lag', 0)).toBe(3)
  })

  test('partitions that are added count from the next poll', async () => {
    const { kafka, value, next } = await stage([{}], (table) => {
      table.create('t', 1)
      table.commit('g', 't', { 0: 0 })
    })
    kafka.topicTable.get('t')?.partitions.push({ earliest: 0, times: [1, 2] })
    kafka.commit('g', 't', { 1: 0 })
    await next()
    expect(value('kafka_group_partitions')).toBe(2)
    expect(value('kafka_group_scaling_lag')).toBe(2)
  })

  test('a stuck partition is counted and named, and left out where that is asked for', async () => {
    const { kafka, value, notes, next } = await stage(
      [{ stuckAfter: 3, excludeStuck: true }],
      (table) => {
        table.create('t', 2)
        table.produce('t', 0, 1, 2, 3)
        table.produce('t', 1, 1)
        table.commit('g', 't', { 0: 0, 1: 0 })
        table.groups.set('g', { state: 'stable', members: 2 })
      },
    )
    const lags = [value('kafka_group_scaling_lag')]
    for (let poll = 1; poll <= 3; poll += 1) {
      kafka.produce('t', 1, 1)
      kafka.commit('g', 't', { 1: poll })
      await next()
      lags.push(value('kafka_group_scaling_lag'))
    }
    expect(lags).toEqual([4, 4, 4, 1])
    expect(value('kafka_group_stuck_partitions')).toBe(1)
    expect(notes('kafka_group_stuck_partitions')).toEqual(['partitions 0'])
    expect(notes('kafka_group_scaling_lag')).toEqual(['stuck partitions are left out: 0'])
    expect(value('kafka_group_lag', 0)).toBe(3)
  })

  test('no partition of a group without members is stuck: nobody tried', async () => {
    const { value, next } = await stage([{ stuckAfter: 2, excludeStuck: true }], (kafka) => {
      kafka.create('t', 1)
      kafka.produce('t', 0, 1, 2)
      kafka.commit('g', 't', { 0: 0 })
      kafka.groups.set('g', { state: 'empty', members: 0 })
    })
    for (let poll = 0; poll < 5; poll += 1) await next()
    expect(value('kafka_group_stuck_partitions')).toBe(0)
    expect(value('kafka_group_scaling_lag')).toBe(2)
  })

  test('while the group rebalances its lag does not fall', async () => {
    const { kafka, value, notes, next } = await stage([{}], (table) => {
      table.create('t', 1)
      table.produce('t', 0, 1, 2, 3, 4)
      table.commit('g', 't', { 0: 0 })
      table.groups.set('g', { state: 'stable', members: 1 })
    })
    kafka.groups.set('g', { state: 'rebalancing', members: 2 })
    kafka.commit('g', 't', { 0: 3 })
    await next()
    expect(value('kafka_group_scaling_lag')).toBe(4)
    expect(value('kafka_group_rebalancing')).toBe(1)
    expect(value('kafka_group_lag', 0)).toBe(1)
    expect(notes('kafka_group_scaling_lag')).toEqual([
      'held while the group rebalances; it would be 1',
    ])
    kafka.groups.set('g', { state: 'stable', members: 2 })
    await next()
    expect(value('kafka_group_scaling_lag')).toBe(1)
  })

  test('the time to drain is that of the rates of the last polls', async () => {
    const { kafka, value, next } = await stage([{}], (table) => {
      table.create('t', 1)
      table.produce('t', 0, ...Array.from({ length: 1000 }, () => 1))
      table.commit('g', 't', { 0: 0 })
    })
    for (let poll = 1; poll <= 4; poll += 1) {
      kafka.commit('g', 't', { 0: poll * 100 })
      await next()
    }
    // Between the first poll and the slots there is not a whole interval.
    expect(value('kafka_group_drain_seconds')).toBeGreaterThan(20)
    expect(value('kafka_group_drain_seconds')).toBeLessThanOrEqual(30)
    kafka.commit('g', 't', { 0: 1000 })
    await next()
    expect(value('kafka_group_drain_seconds')).toBe(0)
  })

  test('stops at once, closes the client, and tells nothing any more', async () => {
    const { kafka, sink, clock } = await stage([{}], (table) => table.create('t', 1))
    const told = sink.batches.length
    running.at(-1)?.abort()
    await clock.advance(60_000)
    expect(sink.batches).toHaveLength(told)
    expect(kafka.closed).toBe(2)
  })
})

describe('configuration', () => {
  const issues = (entry: object) =>
    (lagGroupSchema.safeParse({ group: 'g', topics: ['t'], ...entry }).error?.issues ?? []).map(
      ({ path, message }) => `${path.join('.')}: ${message}`,
    )

  test.each<[object, string]>([
    [
      { noCommit: 'earliest', startWithoutCommit: true },
      'startWithoutCommit: has no meaning with noCommit: earliest; leave it out, or write noCommit: latest',
    ],
    [
      { limitTo: 'partitions' },
      'limitTo: partitions needs replicaLag, the lag that one replica may have',
    ],
    [
      { limitTo: 'none', replicaLag: 5 },
      'replicaLag: has no meaning with limitTo: none; leave one of them out',
    ],
    [{ partitions: ['9-3'] }, 'partitions.0: the range 9-3 ends before it begins: write 3-9'],
    [
      { partitions: ['x'] },
      'partitions.0: must be the number of a partition, such as 3, or a range of them, such as 10-20',
    ],
    [{ topics: ['a/b'] }, 'topics.0: must be the name of a topic: letters, digits, ".", "_", "-"'],
  ])('%j', (entry, issue) => {
    expect(issues(entry)).toEqual([issue])
  })

  test('partitions are a set', () => {
    const { partitions } = lagGroupSchema.parse({
      group: 'g',
      topics: ['t'],
      partitions: [5, '0-2', 1],
    })
    expect(partitions).toEqual([0, 1, 2, 5])
  })

  const refusals = (config: object) =>
    (
      kafkaLagConfigSchema.safeParse({
        brokers: ['kafka:9092'],
        groups: [{ group: 'g', topics: ['t'] }],
        ...config,
      }).error?.issues ?? []
    ).map(({ path, message }) => `${path.join('.')}: ${message}`)

  test.each<[object, string[]]>([
    [{}, []],
    [{ interval: '500ms' }, ['interval: must be 1s or more']],
    [{ interval: '2s', timeout: '3s' }, ['timeout: must be at most the interval']],
    [
      { groups: ['a', 'b'].map((extra) => ({ group: 'g', topics: ['t', extra] })) },
      ['groups: topic t of group g is read twice: leave one of them out'],
    ],
    [
      { brokers: ['http://kafka:9092'] },
      ['brokers.0: must be host:port, such as kafka.queues:9092, without a scheme'],
    ],
  ])('source %j', (config, issues) => {
    expect(refusals(config)).toEqual(issues)
  })
})
