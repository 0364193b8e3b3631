import { expect, test } from 'vitest'
import type { Clock, SourceDeps } from '../../src/ports.ts'
import { systemClock } from '../../src/clock.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { createRunningSources } from '../../src/sources/running.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { until } from '../kit/until.ts'

const LIMITS = {
  seriesMax: 100,
  pointsPerSeriesMax: 100,
  historyMs: 3_600_000,
  futureToleranceMs: 5000,
  labelsMax: 10,
  labelLengthMax: 100,
}

/** A clock whose long sleeps end when the test says so; short ones are real. */
function graceClock(): Clock & { endGrace(): void } {
  const grace: (() => void)[] = []
  return {
    ...systemClock,
    sleep: (ms, signal) =>
      ms < 10_000
        ? systemClock.sleep(ms, signal)
        : new Promise((resolve) => {
            grace.push(resolve)
            signal.addEventListener('abort', () => resolve(), { once: true })
          }),
    endGrace: () => grace.splice(0).forEach((end) => end()),
  }
}

function stage() {
  const store = createSeriesStore(LIMITS, systemClock)
  const clock = graceClock()
  const log = new RecordingLogger()
  const depsOf = (name: string): SourceDeps => ({
    name,
    clock,
    sink: store,
    secrets: { read: () => Promise.reject(new Error('none')) },
    log,
  })
  const sources = createRunningSources({ store, log, depsOf })
  const life = new AbortController()
  const ended = sources.run(life.signal)
  return { store, clock, sources, end: () => (life.abort(), ended) }
}

/** Writes one sample for each origin, then lives until told to stop. */
function source(name: string, definition: string, origins: readonly string[]) {
  return {
    name,
    definition,
    create: ({ sink }: SourceDeps) => ({
      run(signal: AbortSignal) {
        const timestampMs = systemClock.nowMs()
        for (const origin of origins)
          sink.write({
            source: name,
            origin,
            atMs: timestampMs,
            complete: true,
            samples: [{ metric: 'm', labels: {}, kind: 'gauge', value: 1, timestampMs }],
          })
        return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      },
    }),
  }
}

const originsOf = (store: ReturnType<typeof stage>['store'], name: string) => [
  ...store.origins(name).keys(),
]

test('a changed source keeps the series it collects again and drops the others after a grace', async () => {
  const { store, clock, sources, end } = stage()
  sources.apply([source('s', 'one', ['a', 'b'])])
  await until('both origins', () => originsOf(store, 's').length === 2)
  const { generation } = store
  sources.apply([source('s', 'two', ['a'])])
  await until('the second life has written', () => {
    const health = store.origins('s').get('a')
    return health?.state === 'ok' && store.counters().batches === 3
  })
  expect(originsOf(store, 's')).toEqual(['a', 'b'])
  expect(store.generation).toBe(generation)
  clock.endGrace()
  await until('the other origin ends', () => originsOf(store, 's').length === 1)
  await end()
})

test('a removed source takes its series with it; another is left alone', async () => {
  const { store, sources, end } = stage()
  const kept = source('kept', 'k', ['k'])
  sources.apply([kept, source('gone', 'g', ['g'])])
  await until('both', () => store.counters().origins === 2)
  sources.apply([kept])
  await until('one is gone', () => originsOf(store, 'gone').length === 0)
  expect(originsOf(store, 'kept')).toEqual(['k'])
  expect(store.counters().batches).toBe(2)
  await end()
})

test('a source that ends for good fails its own signals and nothing else', async () => {
  const { store, sources, end } = stage()
  const broken = {
    name: 'broken',
    definition: 'b',
    create: () => ({ run: () => Promise.reject(new Error('no such module')) }),
  }
  sources.apply([broken, source('good', 'g', ['g'])])
  await until(
    'the failure is told',
    () => store.origins('broken').get('source')?.state === 'failing',
  )
  expect(store.origins('good').get('g')?.state).toBe('ok')
  await end()
})
