/** Counts and the store they go to, where something is broken off, behind, or of another configuration. */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { TidelineError } from '../../../src/errors.ts'
import type { Clock, WindowStore } from '../../../src/ports.ts'
import type { FetchedBatch, KafkaClient } from '../../../src/sources/kafka/client.ts'
import { kafkaEventsConfigSchema } from '../../../src/sources/kafka/events/config.ts'
import { countEvents } from '../../../src/sources/kafka/events/events.ts'
import { Publisher } from '../../../src/sources/kafka/events/publisher.ts'
import { TopicReader } from '../../../src/sources/kafka/events/reader.ts'
import { Totals } from '../../../src/sources/kafka/events/totals.ts'
import { memoryWindows } from '../../../src/store/memoryWindows.ts'
import { ManualClock, settle } from '../../kit/manualClock.ts'
import { RecordingLogger } from '../../kit/recordingLogger.ts'
import { RecordingSink } from '../../kit/recordingSink.ts'
import { secretsFrom } from '../../kit/trial.ts'
import { eventsConfig } from './eventsRun.ts'

const TOPIC = 'detections'
const WINDOW_MS = 60_000
const BUCKET_MS = 250
const never = new AbortController().signal

/** Two partitions, from offset 0 on. */
const client: KafkaClient = {
  topics: () => Promise.resolve(new Map([[TOPIC, { id: 'topic-id', partitions: [0, 1] }]])),
  listOffsets: ({ partitions, at }) =>
    Promise.resolve(new Map(partitions.map((one) => [one, { offset: at === 'latest' ? 100 : 0 }]))),
  committed: () => Promise.reject(new Error('not asked')),
  group: () => Promise.reject(new Error('not asked')),
  messageTimes: () => Promise.reject(new Error('not asked')),
  consume: () => Promise.reject(new Error('not asked')),
  close: () => Promise.resolve(),
}

const COUNTED_AS = { source: 'events', topic: TOPIC, group: 'tideline' }
const CLASH =
  'partition 0 of topic detections is counted by another configuration under the same source name "events" and group "tideline"'

function reader(
  windows: WindowStore,
  fingerprint = 'ours',
  clock: Clock = systemClock,
  failures: string[] = [],
): TopicReader {
  const settings = {
    ...{ ...COUNTED_AS, fingerprint, bounds: [], bucketMs: BUCKET_MS, windowMs: WINDOW_MS },
    ...{ latenessMs: 120_000, futureMs: 5000, maxSeries: 10, dropped: () => undefined },
    decode: (message: { timestampMs: number }, into: { timeMs: number; labels: string[] }) => {
      into.timeMs = message.timestampMs
      into.labels[0] = 'person'
      return 'event' as const
    },
  }
  return new TopicReader(settings, {
    ...{ client, windows, clock },
    storeFailed: (failure) => void failures.push(String(failure)),
  })
}

function totals(): Totals {
  return new Totals({
    ...{ topic: TOPIC, metric: 'detections', labelNames: ['class'], expected: [], values: [] },
    ...{ bucketMs: BUCKET_MS, windowMs: WINDOW_MS, forgetMs: 3_600_000 },
  })
}

function batch(partition: number, fetchedOffset: number, count: number, atMs: number) {
  const messages = Array.from({ length: count }, (_, index) => ({
    ...{ offset: fetchedOffset + index, timestampMs: atMs, key: null, value: null, headers: {} },
  }))
  const nextOffset = fetchedOffset + count
  const made: FetchedBatch = {
    ...{ topic: TOPIC, partition, fetchedOffset, nextOffset, endOffset: nextOffset },
    ...{ askedMs: atMs + 10, messages },
  }
  return made
}

async function counted(windows: WindowStore, partition: number): Promise<number> {
  const memo = (await windows.load(`${TOPIC}/${partition}`, never))?.position.memo
  return (JSON.parse(memo ?? '{}') as { counted: number }).counted
}

test('messages whose storing was broken off are counted once when they are read again', async () => {
  const windows = memoryWindows()
  let down = false
  const failing: WindowStore = {
    ...windows,
    commit: (...of) => (down ? Promise.reject(new Error('down')) : windows.commit(...of)),
  }
  const reading = reader(failing)
  await reading.assigned([0], never)
  const messages = batch(0, 0, 5, systemClock.nowMs())
  down = true
  const brokenOff = new AbortController()
  const storing = reading.batch(messages, brokenOff.signal)
  brokenOff.abort()
  await expect(storing).rejects.toThrow()
  down = false
  while ((await reading.batch(messages, never)) !== 'continue');
  expect(await counted(windows, 0)).toBe(5)
})

test('what the store has lost is begun anew, and said so', async () => {
  const windows = memoryWindows()
  let lost = false
  const losing: WindowStore = {
    ...windows,
    load: (...of) => (lost ? Promise.resolve(undefined) : windows.load(...of)),
    commit: (...of) => (lost ? Promise.resolve({ conflict: undefined }) : windows.commit(...of)),
  }
  const failures: string[] = []
  const reading = reader(losing, 'ours', systemClock, failures)
  await reading.assigned([0], never)
  lost = true
  expect(await reading.batch(batch(0, 0, 5, systemClock.nowMs()), never)).toBe('assign')
  expect(failures.join()).toContain('the window store has lost detections/0')
})

test('a window is not whole where another partition has dropped what it reaches', async () => {
  const windows = memoryWindows()
  const nowMs = systemClock.nowMs()
  const longAgo = { ...systemClock, nowMs: () => nowMs - 300_000 }
  const reading = reader(windows, 'ours', longAgo)
  await reading.assigned([0, 1], never)
  // The one is read up to now, the other up to 30 s ago: its window reaches 90 s back.
  await reading.batch(batch(1, 0, 1, nowMs - 30_000), never)
  await reading.batch(batch(0, 0, 7, nowMs - 80_000), never)
  await reading.batch(batch(0, 7, 1, nowMs), never)
  const fresh = totals()
  const asked = new Map([0, 1].map((partition) => [`${TOPIC}/${partition}`, undefined]))
  const found = await windows.changes(asked, never)
  for (const partition of [0, 1]) {
    const state = found.get(`${TOPIC}/${partition}`)
    if (state !== undefined) fresh.take(partition, state)
  }
  const reach = fresh.reach([0, 1])
  expect(reach?.throughMs).toBe(nowMs - 30_000 + 10)
  expect(reach?.coverMs).toBeGreaterThan((reach?.throughMs ?? 0) - WINDOW_MS)
})

test('what another configuration has counted is neither told nor added to', async () => {
  const windows = memoryWindows()
  const clock = new ManualClock(systemClock.nowMs())
  const storeFailures: string[] = []
  const ours = reader(windows, 'ours', clock, storeFailures)
  await ours.assigned([0, 1], never)
  const theirs = reader(windows, 'theirs')
  await theirs.assigned([0, 1], never)
  const nowMs = systemClock.nowMs()
  await theirs.batch(batch(0, 0, 3, nowMs), never)
  const verdict = ours.batch(batch(0, 0, 3, nowMs), never)
  await settle()
  expect(storeFailures.join()).toContain(CLASH)
  await clock.advance(5000)
  expect(await verdict).toBe('assign')
  expect(await counted(windows, 0)).toBe(3)

  const { publisher, failures, sink } = publishing(windows)
  await publisher.publish(never)
  expect(failures.join()).toContain(CLASH)
  expect(failures.join()).toContain(
    'another windowStore.redis.prefix and another kafkaEvents.group',
  )
  expect(sink.batches).toEqual([])
})

function publishing(windows: WindowStore, of: Partial<{ client: KafkaClient; clock: Clock }> = {}) {
  const failures: string[] = []
  const sink = new RecordingSink()
  const publisher = new Publisher(
    { ...COUNTED_AS, windowMs: WINDOW_MS, fingerprint: 'ours' },
    {
      ...{ name: 'events', client, windows, clock: systemClock, totals: totals(), sink, ...of },
      report: {
        failed: (thrown) => failures.push(String(thrown)),
        recovered: () => failures.push('recovered'),
      },
    },
  )
  const counted = () => {
    const samples = sink.batches.flatMap((one) => one.samples)
    const counts = samples.filter(({ metric }) => metric === 'detections')
    return counts.reduce((sum, { value }) => sum + value, 0)
  }
  return { publisher, failures, sink, counted }
}

describe('brokers that do not answer this replica, while others count on', () => {
  /** Both partitions are read by another replica; ours has told what there was. */
  async function stage() {
    const clock = new ManualClock()
    const windows = memoryWindows()
    const theirs = reader(windows, 'ours', clock)
    await theirs.assigned([0, 1], never)
    let topics: KafkaClient['topics'] = client.topics
    const ours = publishing(windows, {
      clock,
      client: { ...client, topics: (...of) => topics(...of) },
    })
    let read = 0
    /** A message a second, in both partitions, and what is told of it. */
    const pass = async (seconds: number) => {
      for (let second = 0; second < seconds; second += 1) {
        await clock.advance(1000)
        for (const partition of [0, 1])
          await theirs.batch(batch(partition, read, 1, clock.nowMs() - 500), never)
        read += 1
        await ours.publisher.publish(never)
      }
    }
    await pass(3)
    expect(ours.failures).toContain('recovered')
    return { ...ours, pass, topicsAre: (now: KafkaClient['topics']) => (topics = now) }
  }

  test.each<[string, string, KafkaClient['topics']]>([
    ['refuse', 'no broker', () => Promise.reject(new TidelineError('refused', 'no broker'))],
    [
      'hang',
      'no broker answered',
      (_, signal) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new Error('off'))),
        ),
    ],
  ])('they %s: what the others count is told on, for a time', async (_, cause, failing) => {
    const { pass, topicsAre, counted, failures, sink } = await stage()
    topicsAre(failing)
    const before = counted()
    await pass(20)
    expect(counted()).toBe(before + 40)
    expect(failures.at(-1)).toMatch(cause)
    // Longer than that, there may be partitions that nobody here knows of.
    await expect(pass(20)).rejects.toThrow(/which partitions topic detections has is not known/)
    const told = sink.batches.length
    await expect(pass(1)).rejects.toThrow(cause)
    expect(sink.batches.length).toBe(told)
    topicsAre(client.topics)
    for (let second = 0; second < 5; second += 1) await pass(1).catch(() => undefined)
    await pass(2)
    expect(failures.at(-1)).toBe('recovered')
    expect(sink.batches.length).toBeGreaterThan(told)
  })

  test('a topic that is not there any more is told no further', async () => {
    const { pass, topicsAre, sink } = await stage()
    topicsAre(() => Promise.resolve(new Map()))
    await expect(pass(5)).rejects.toThrow('topic detections does not exist')
    const told = sink.batches.length
    await expect(pass(1)).rejects.toThrow('topic detections does not exist')
    expect(sink.batches.length).toBe(told)
  })
})

describe('up to when a partition is read, where messages come as they are written', () => {
  const START_MS = systemClock.nowMs()

  /**
   * A message each 100 ms, that the fetch which waits for it brings; our clock is ahead by so much.
   * Answers with how far behind the true time the partition is told to be read at the end of each batch.
   */
  async function behind(aheadMs: number, lateMs = 0, waiting = 0): Promise<number[]> {
    const windows = memoryWindows()
    const reading = reader(windows)
    await reading.assigned([0], never)
    if (waiting > 0) await reading.batch(batch(0, 0, waiting, START_MS - 50_000), never)
    const told: number[] = []
    for (let step = 1; step <= 40; step += 1) {
      const trueMs = START_MS + step * 100
      const of = batch(0, waiting + step - 1, 1, trueMs - lateMs)
      // It was sent 40 ms before the message was there.
      await reading.batch({ ...of, askedMs: trueMs - 40 + aheadMs }, never)
      told.push(trueMs - ((await windows.load(`${TOPIC}/0`, never))?.position.throughMs ?? NaN))
    }
    return told.slice(-10)
  }

  test('clocks that agree: up to when it was asked', async () => {
    expect(await behind(0)).toEqual(Array(10).fill(40))
    expect(await behind(0, 0, 5)).toEqual(Array(10).fill(40))
  })

  test('our clock behind: no further than it says', async () => {
    expect(await behind(-1000)).toEqual(Array(10).fill(1040))
  })

  test.each([100, 500, 1500])('our clock ahead by %d ms: no further than there is', async (ms) => {
    for (const late of await behind(ms)) expect(late).toBeGreaterThanOrEqual(0)
  })

  test.each([300, 1900])(
    'producers that hold messages for %d ms: no further than those',
    async (ms) => {
      for (const late of await behind(0, ms)) expect(late).toBeGreaterThanOrEqual(ms)
    },
  )

  test('old messages are no matter of clocks: it is read on up to now', async () => {
    for (const late of await behind(0, 30_000)) expect(late).toBeLessThanOrEqual(2040)
  })
})

/** Whose counts a source of this configuration goes on from. */
async function lineageOf(config: Readonly<Record<string, unknown>>): Promise<string> {
  const windows = memoryWindows()
  const stop = new AbortController()
  const assigning: KafkaClient = {
    ...client,
    consume: async ({ assigned }, signal) => {
      await assigned(new Map([[TOPIC, [0]]]), signal)
      stop.abort()
    },
  }
  const deps = {
    ...{ name: 'events', clock: systemClock, secrets: secretsFrom({}), windows },
    ...{ sink: new RecordingSink(), log: new RecordingLogger() },
  }
  const parsed = eventsConfig({ brokers: ['kafka:9092'], topic: TOPIC, ...config })
  await countEvents(parsed, assigning, deps).run(stop.signal)
  const lineage = (await windows.load(`${TOPIC}/0`, never))?.position.lineage ?? ''
  return lineage.slice(0, lineage.lastIndexOf('/'))
}

test.each<[Readonly<Record<string, unknown>>, boolean]>([
  [{}, true],
  [{ labels: { class: { field: 'kind' } } }, false],
  [{ labels: { class: { field: 'class', default: 'none' } } }, false],
  [{ time: { field: 'at' } }, false],
  [{ where: [{ field: 'confidence', min: 0.5 }] }, false],
  [{ values: [{ field: 'confidence', metric: 'confidence' }] }, false],
  [{ window: '2m' }, false],
  [{ bucket: '500ms' }, false],
  [{ lateness: '1s' }, false],
  [{ future: '1s' }, false],
  [{ maxSeries: 10 }, false],
  [{ isolation: 'read-uncommitted' }, false],
  [{ expect: [{ class: 'person' }] }, true],
  [{ forgetAfter: '1h' }, true],
  [{ logPayload: true }, true],
  [{ clientId: 'other' }, true],
])('what was counted before counts on with %j: %s', async (config, same) =>
  expect((await lineageOf(config)) === (await lineageOf({}))).toBe(same),
)

test.each([
  [{ metric: 'size_sum', values: [{ field: 'v', metric: 'size' }] }, 'values.0.metric'],
  [{ metric: 'kafka_events_counted' }, 'metric'],
  [{ values: ['a', 'a'].map((metric) => ({ field: 'v', metric })) }, 'values.1.metric'],
  [
    { labels: { le: { key: true } }, values: [{ field: 'v', metric: 'a', buckets: [1] }] },
    'values.0.buckets',
  ],
])('two series of one name are refused: %j', (of, where) => {
  const config = { brokers: ['kafka:9092'], topic: TOPIC, metric: 'detections', ...of }
  const issues = kafkaEventsConfigSchema.safeParse(config).error?.issues ?? []
  expect(issues.map(({ path }) => path.join('.'))).toEqual([where])
})
