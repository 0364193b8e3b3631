import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { TestContext } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { FailureCode, Labels, SampleKind } from '../../src/model.ts'
import type { PushInlet, SourceType, TargetDiscovery } from '../../src/ports.ts'
import { baseline, noSurplus, SOURCE_NAME, surplus, Trial } from './trial.ts'
import { until } from './until.ts'

/** A way for the upstream to be broken. */
export type Misbehaviour = 'refuse' | 'hang' | 'garbage' | 'unauthorized'

/** A sample that the source must bring; `labels` is a subset of the sample's. */
export interface ExpectedSample {
  readonly metric: string
  readonly labels?: Labels
  readonly kind: SampleKind
  readonly value: number
}

/** Collects as the upstream saw them. */
interface UpstreamRequests {
  readonly count: number
  /** Most collects of one origin that were open at one time. */
  readonly maxConcurrent: number
}

/**
 * A source under test with an upstream that the test commands. The upstream is real where that is possible
 * (a socket, a server); `config` asks for short intervals and timeouts (about 100 ms, timeout 80 ms) so that
 * the clauses are quick. A new harness is made for each clause.
 */
export interface Harness {
  readonly type: SourceType<unknown>
  /** Raw configuration with the required keys, as a person would write it; `overrides` are laid over it. */
  config(overrides?: Readonly<Record<string, unknown>>): unknown
  /**
   * Credentials that `config` refers to, by the reference's text: `{env: 'K'}` and `{file: 'K'}` read `K`,
   * `{secret: {name: 'n', key: 'k'}}` reads `n/k`. The values may appear in no log line, label or failure.
   */
  readonly secrets?: Readonly<Record<string, string>>
  readonly discovery?: TargetDiscovery
  readonly pushed?: PushInlet
  /** From now on the upstream shows this value. */
  show(value: number): Promise<void>
  /** What the source must bring after `show(value)`. */
  expected(value: number): ExpectedSample
  misbehave(how: Misbehaviour): Promise<void>
  /** Ends every misbehaviour. */
  behave(): Promise<void>
  /** The origin goes away for good (a pod is deleted). Absent where a source's origins cannot. */
  vanish?(): Promise<void>
  requests(): UpstreamRequests
  close(): Promise<void>
  /** Clauses that cannot apply, by number, with the reason. */
  readonly skip?: readonly { readonly clause: string; readonly reason: string }[]
}

/** Holds one kind of source to the contract of `SourceType`, `Component` and `SampleSink`. */
export function sourceContract(name: string, makeHarness: () => Promise<Harness>): void {
  describe(`source contract: ${name}`, () => {
    let harness: Harness
    let trial: Trial

    beforeEach(async () => {
      harness = await makeHarness()
      trial = new Trial(harness)
    })
    afterEach(async () => {
      await trial.stop()
      await harness.close()
    })

    for (const { number, title, holds } of CLAUSES) {
      test(`${number} ${title}`, { timeout: 90_000 }, async (context: TestContext) => {
        const reason = harness.skip?.find((entry) => entry.clause === number)?.reason
        if (reason !== undefined) context.skip(reason)
        await holds(harness, trial)
      })
    }
  })
}

interface Clause {
  readonly number: string
  readonly title: string
  readonly holds: (harness: Harness, trial: Trial) => Promise<void>
}

const ANSWERS: readonly {
  readonly number: string
  readonly how: Misbehaviour
  readonly codes: readonly FailureCode[]
}[] = [
  { number: '3.1', how: 'refuse', codes: ['refused'] },
  { number: '3.2', how: 'hang', codes: ['timeout'] },
  { number: '3.3', how: 'garbage', codes: ['bad-response', 'wrong-type'] },
  { number: '3.4', how: 'unauthorized', codes: ['unauthorized'] },
]

const CLAUSES: readonly Clause[] = [
  {
    number: '1.1',
    title: 'the schema takes the configuration and reads it the same way twice',
    holds: async (harness) => {
      const raw = harness.config()
      const copy = structuredClone(raw)
      expect(harness.type.schema.parse(raw)).toEqual(harness.type.schema.parse(copy))
      expect(raw).toEqual(copy)
      expect(harness.type.summary).toMatch(/\.$/)
    },
  },
  {
    number: '1.2',
    title: 'an unknown key is refused by name',
    holds: async (harness) => {
      const parsed = harness.type.schema.safeParse(harness.config({ intervall: '1s' }))
      expect(parsed.success).toBe(false)
      expect(JSON.stringify(parsed.error?.issues)).toContain('intervall')
    },
  },
  {
    number: '1.3',
    title: 'create asks nothing of the upstream',
    holds: async (harness, trial) => {
      const before = await baseline()
      trial.create()
      expect(harness.requests().count).toBe(0)
      expect(surplus(before)).toEqual({})
    },
  },
  {
    number: '2.1',
    title: 'the first batch comes in time, with value, kind, labels and times right',
    holds: async (harness, trial) => {
      await harness.show(7)
      const startMs = systemClock.nowMs()
      trial.start()
      const sample = await trial.sees(7)
      const batch = trial.sink.batches.find((each) => each.samples.includes(sample))
      expect(batch?.source).toBe(SOURCE_NAME)
      expect(batch?.origin).not.toBe('')
      expect(batch?.atMs).toBeGreaterThanOrEqual(startMs)
      expect(batch?.atMs).toBeLessThanOrEqual(systemClock.nowMs())
      for (const each of batch?.samples ?? []) {
        expect(Number.isFinite(each.value)).toBe(true)
        expect(each.timestampMs).toBeGreaterThan(startMs - 60_000)
        expect(each.timestampMs).toBeLessThanOrEqual(systemClock.nowMs() + 1000)
        for (const value of Object.values(each.labels)) expect(value).not.toBe('')
      }
    },
  },
  {
    number: '2.2',
    title: 'a changed value is brought, and zero is a value',
    holds: async (harness, trial) => {
      await harness.show(3)
      trial.start()
      await trial.sees(3)
      await harness.show(4)
      await trial.sees(4)
      await harness.show(0)
      await trial.sees(0)
    },
  },
  ...ANSWERS.map(({ number, how, codes }) => ({
    number,
    title: `${how}: nothing is written, ${codes.join(' or ')} is told, and it recovers`,
    holds: (harness: Harness, trial: Trial) => survives({ harness, trial, how, codes }),
  })),
  {
    number: '3.5',
    title: 'it starts while the upstream is down, and recovers',
    holds: async (harness, trial) => {
      await harness.show(9)
      await harness.misbehave('refuse')
      trial.start()
      await trial.fails(['refused'])
      expect(trial.sink.batches).toEqual([])
      await harness.behave()
      await harness.show(9)
      await trial.sees(9)
    },
  },
  {
    number: '4.1',
    title: 'collects of one origin never overlap',
    holds: async (harness, trial) => {
      await harness.show(1)
      trial.start()
      await trial.sees(1)
      await harness.misbehave('hang')
      await trial.fails(['timeout'])
      const failures = trial.sink.failures.length
      await until('more timeouts', () => trial.sink.failures.length >= failures + 3)
      expect(harness.requests().maxConcurrent).toBeLessThanOrEqual(1)
    },
  },
  {
    number: '5.1',
    title: 'abort settles in 1 s and leaves no handle',
    holds: async (harness, trial) => {
      await harness.show(1)
      const before = await baseline()
      trial.start()
      await trial.sees(1)
      await trial.settlesInTime()
      await noSurplus(before)
    },
  },
  {
    number: '5.2',
    title: 'abort settles in 1 s while the upstream hangs, and tells no failure',
    holds: async (harness, trial) => {
      await harness.show(1)
      const before = await baseline()
      await harness.misbehave('hang')
      trial.start()
      await until('a collect began', () => harness.requests().count > 0)
      const failures = trial.sink.failures.length
      await trial.settlesInTime()
      expect(trial.sink.failures.slice(failures).filter((f) => f.code !== 'timeout')).toEqual([])
      await harness.behave()
      await noSurplus(before)
    },
  },
  {
    number: '5.3',
    title: 'abort settles in 1 s while the upstream refuses',
    holds: async (harness, trial) => {
      const before = await baseline()
      await harness.misbehave('refuse')
      trial.start()
      await trial.fails(['refused'])
      await trial.settlesInTime()
      await noSurplus(before)
    },
  },
  {
    number: '5.4',
    title: 'stopped as soon as it was started, it settles at once and tells nothing',
    holds: async (_, trial) => {
      const before = await baseline()
      trial.start()
      await trial.settlesInTime()
      await noSurplus(before)
      expect(trial.sink.failures).toEqual([])
    },
  },
  {
    number: '5.5',
    title: 'after the stop nothing is told any more, and it can be started again',
    holds: async (harness, trial) => {
      await harness.show(2)
      trial.start()
      await trial.sees(2)
      await trial.settlesInTime()
      const told = trial.told()
      await harness.show(3)
      // Nothing can be waited for where nothing may happen: this is several intervals long.
      await systemClock.sleep(250, new AbortController().signal)
      expect(trial.told()).toBe(told)
      trial.start()
      await trial.sees(3)
      await trial.settlesInTime()
    },
  },
  {
    number: '6.1',
    title: 'an origin that is gone ends',
    holds: async (harness, trial) => {
      if (harness.vanish === undefined)
        throw new Error('give the harness vanish, or skip 6.1 with a reason')
      await harness.show(2)
      trial.start()
      await trial.sees(2)
      const origin = trial.sink.batches.at(-1)?.origin
      await harness.vanish()
      await until('end of the origin', () => trial.sink.ends.some((each) => each.origin === origin))
      expect(trial.settled).toBe(false)
    },
  },
  {
    number: '7.1',
    title: 'no credential is in a log line, a label or a failure',
    holds: (harness, trial) => keepsSecrets(harness, trial),
  },
]

interface Failing {
  readonly harness: Harness
  readonly trial: Trial
  readonly how: Misbehaviour
  readonly codes: readonly FailureCode[]
}

async function survives({ harness, trial, how, codes }: Failing): Promise<void> {
  await harness.show(5)
  trial.start()
  await trial.sees(5)
  await harness.misbehave(how)
  await trial.fails(codes)
  const written = trial.sink.batches.length
  const failures = trial.sink.failures.length
  const ends = trial.sink.ends.length
  await until('more failures', () => trial.sink.failures.length >= failures + 2)
  expect(trial.sink.batches.length).toBe(written)
  expect(trial.sink.ends.length).toBe(ends)
  expect(trial.settled).toBe(false)
  for (const failure of trial.sink.failures) {
    expect(failure.source).toBe(SOURCE_NAME)
    expect(failure.origin).toBe(trial.sink.batches.at(-1)?.origin)
    expect(failure.message).not.toBe('')
  }
  await harness.behave()
  await harness.show(6)
  await trial.sees(6)
  expect(trial.settled).toBe(false)
}

async function keepsSecrets(harness: Harness, trial: Trial): Promise<void> {
  await harness.show(2)
  trial.start()
  await trial.sees(2)
  for (const { number, how, codes } of ANSWERS) {
    if (harness.skip?.some((entry) => entry.clause === number)) continue
    await harness.misbehave(how)
    await trial.fails(codes)
    await harness.behave()
  }
  const { batches, failures, ends } = trial.sink
  const everything = JSON.stringify([trial.log.entries, failures, batches, ends])
  for (const value of Object.values(harness.secrets ?? {})) {
    expect(value.length).toBeGreaterThan(5)
    expect(everything.includes(value), 'a credential was told').toBe(false)
  }
}
