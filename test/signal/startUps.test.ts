/** From start-ups that a cluster tells of to what is looked ahead to, and told to people. */
import { expect, test } from 'vitest'
import type { Signal, SignalReadings, Stabilization } from '../../src/model.ts'
import type { PodSelection, PodStartUp, StartUpWatch } from '../../src/ports.ts'
import { PREDICTIVE_DEFAULTS } from '../../src/forecast/predictive.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { createBoard } from '../../src/signal/board.ts'
import { createEvaluator } from '../../src/signal/evaluator.ts'
import { ManualClock, settle } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { signalOf } from '../kit/signals.ts'

const BEGIN_MS = Date.UTC(2026, 0, 5)
const MEASURING = { labelSelector: 'app=vision', quantile: 0.9, leastMs: 0, mostMs: 900_000 }

type Predictive = Extract<Stabilization, { policy: 'predictive' }>
const policy = (changes: Partial<Predictive> = {}): Predictive => ({
  policy: 'predictive',
  ...PREDICTIVE_DEFAULTS,
  startUp: MEASURING,
  ...changes,
})

/** A cluster whose pods start when the test says so. */
class FakePods implements StartUpWatch {
  readonly watched: { pods: PodSelection; told: (startUp: PodStartUp) => void; ended: boolean }[] =
    []
  failing: Error | undefined
  #serial = 0

  async watchStartUps(
    pods: PodSelection,
    told: (startUp: PodStartUp) => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.failing !== undefined) throw this.failing
    const watch = { pods, told, ended: false }
    this.watched.push(watch)
    await new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    )
    watch.ended = true
  }

  start(seconds: number, readyMs = BEGIN_MS, of = 0): void {
    const pod = `uid-${this.#serial++}`
    this.watched[of]?.told({ pod, ms: seconds * 1000, readyMs, witnessed: true })
  }
}

/** An evaluator that runs, with one gauge that each signal is made of. */
function life(signals: readonly Signal[], pods: FakePods | undefined, told: unknown[] = []) {
  const clock = new ManualClock(BEGIN_MS)
  const limits = { seriesMax: 10, pointsPerSeriesMax: 10_000, historyMs: 3_600_000 }
  const more = { futureToleranceMs: 5000, labelsMax: 8, labelLengthMax: 100 }
  const store = createSeriesStore({ ...limits, ...more }, clock)
  const board = createBoard()
  const log = new RecordingLogger()
  const watch = pods === undefined ? {} : { startUps: pods }
  const evaluator = createEvaluator({ clock, view: store, board, log, intervalMs: 1000, ...watch })
  evaluator.recall(told)
  evaluator.setSignals(signals)
  const stop = new AbortController()
  const running = evaluator.run(stop.signal)
  return {
    evaluator,
    log,
    clock,
    /** Lets 15 s pass with this load. */
    async load(value: number): Promise<SignalReadings> {
      const nowMs = clock.nowMs()
      const sample = { metric: 'm', labels: {}, kind: 'gauge', value, timestampMs: nowMs } as const
      store.write({ source: 's', origin: 'o', atMs: nowMs, complete: true, samples: [sample] })
      await clock.advance(15_000)
      const first = [...board.all()][0]
      if (first === undefined) throw new Error('no signal')
      return first
    },
    async stop() {
      stop.abort()
      await running
    },
  }
}

const logged = (log: RecordingLogger, event: string) =>
  log.entries.filter((entry) => entry.event === event)

test('what is configured holds until one was seen, then what was measured; each says so', async () => {
  const pods = new FakePods()
  const { load, log, stop } = life([signalOf({ stabilize: policy() })], pods)
  const reason = 'a pod takes 90 s to start, as configured: none seen yet'
  expect(await load(50)).toMatchObject({ startUp: { ms: 90_000, of: 'configured', reason } })
  expect(pods.watched.map((one) => one.pods)).toEqual([
    { namespace: 'vision', labelSelector: 'app=vision' },
  ])
  for (const seconds of [150, 151, 152, 153, 154, 155, 156, 157, 158, 400]) pods.start(seconds)
  const measured = await load(50)
  expect(measured.startUp).toEqual({
    ms: 158_000,
    of: 'measured',
    seen: 10,
    reason: 'a pod takes 158 s to start (p90 of 10 seen)',
  })
  expect(logged(log, 'start-up-known')).toHaveLength(1)
  for (let i = 0; i < 40; i++) await load(50 + (i % 7))
  const held = (await load(10)).readings[0]?.why.hold
  expect(held?.reason).toContain('in the next 195 s (95 %)')
  await stop()
})

test('bounds win over what was measured', async () => {
  const pods = new FakePods()
  const bounds = { ...MEASURING, leastMs: 60_000, mostMs: 120_000 }
  const { load, stop } = life([signalOf({ stabilize: policy({ startUp: bounds }) })], pods)
  await load(50)
  pods.start(20)
  const least = 'a pod takes 20 s to start (p90 of 1 seen), taken as 60 s by min'
  expect(await load(50)).toMatchObject({ startUp: { ms: 60_000, reason: least } })
  pods.start(500)
  const most = 'a pod takes 500 s to start (p90 of 2 seen), taken as 120 s by max'
  expect(await load(50)).toMatchObject({ startUp: { ms: 120_000, reason: most } })
  await stop()
})

test('signals of the same pods share what was seen; a pod selection nobody asks for is let go', async () => {
  const pods = new FakePods()
  const median = policy({ startUp: { ...MEASURING, quantile: 0.5 } })
  const one = signalOf({ id: 'vision/a', stabilize: median })
  const two = signalOf({ id: 'vision/b', name: 'b', stabilize: policy() })
  const plain = signalOf({ id: 'vision/c', name: 'c', stabilize: policy() })
  const unmeasured: Predictive = { policy: 'predictive', ...PREDICTIVE_DEFAULTS }
  const { load, evaluator, stop } = life([one, two, { ...plain, stabilize: unmeasured }], pods)
  await load(1)
  expect(pods.watched).toHaveLength(1)
  for (const seconds of [30, 40, 50]) pods.start(seconds)
  expect(await load(1)).toMatchObject({ startUp: { ms: 40_000 } })
  evaluator.setSignals([two])
  expect(await load(1)).toMatchObject({ startUp: { ms: 50_000 } })
  evaluator.setSignals([{ ...plain, stabilize: unmeasured }])
  const reason = 'a pod takes 90 s to start, as configured'
  expect(await load(1)).toMatchObject({ startUp: { ms: 90_000, reason } })
  expect(pods.watched.map(({ ended }) => ended)).toEqual([true])
  evaluator.setSignals([signalOf({ stabilize: { policy: 'fixed', windowMs: 60_000 } })])
  expect((await load(1)).startUp).toBeUndefined()
  await stop()
})

test('a watch that fails is tried again, and the log says so', async () => {
  const pods = new FakePods()
  pods.failing = new Error('no such thing')
  const { load, log, stop } = life([signalOf({ stabilize: policy() })], pods)
  expect(await load(1)).toMatchObject({ startUp: { of: 'configured' } })
  expect(logged(log, 'start-ups-not-watched').length).toBeGreaterThan(1)
  pods.failing = undefined
  await load(1)
  pods.start(45)
  expect(await load(1)).toMatchObject({ startUp: { ms: 45_000, of: 'measured' } })
  await stop()
  await settle()
  expect(pods.watched.map(({ ended }) => ended)).toEqual([true])
})

test('without a cluster what is configured holds, and the log says why', async () => {
  const { load, log, stop } = life([signalOf({ stabilize: policy() })], undefined)
  expect(await load(1)).toMatchObject({ startUp: { ms: 90_000, of: 'configured' } })
  expect(logged(log, 'start-ups-not-watched').map(({ fields }) => fields['error'])).toEqual([
    'there is no cluster to watch pods in',
  ])
  await stop()
})

test('over a restart, what was seen and the start-up in force are as before', async () => {
  const signal = signalOf({ stabilize: policy() })
  const pods = new FakePods()
  const before = life([signal], pods)
  await before.load(50)
  for (const seconds of [200, 210, 220]) pods.start(seconds)
  for (let i = 0; i < 40; i++) await before.load(50 + (i % 7))
  const remembered = structuredClone([...before.evaluator.remember()])
  await before.stop()

  const after = life([signal], new FakePods(), remembered)
  expect(logged(after.log, 'holds-recalled')).toHaveLength(1)
  const first = await after.load(10)
  expect(first).toMatchObject({ startUp: { ms: 220_000, of: 'measured', seen: 3 } })
  expect(first.readings[0]?.why.hold?.reason).toContain('in the next 255 s (95 %)')
  await after.stop()
})

test('what a file has of start-ups in another shape is passed over', async () => {
  const startUpsOf = '["vision","app=vision"]'
  const whole = { pod: 'a', ms: 30_000, readyMs: BEGIN_MS, witnessed: true }
  const seen = [null, 7, {}, { ...whole, ms: '30000' }, { ...whole, pod: 5 }, whole]
  const told = [null, 7, { startUpsOf }, { startUpsOf: 7, seen }, { startUpsOf, seen }]
  const { load, stop } = life([signalOf({ stabilize: policy() })], new FakePods(), told)
  expect(await load(1)).toMatchObject({ startUp: { ms: 30_000, seen: 1 } })
  await stop()
})
