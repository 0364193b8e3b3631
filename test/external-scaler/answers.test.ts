import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Reading, Signal } from '../../src/model.ts'
import { formatQuantity } from '../../adapter/metrics-api/quantity.ts'
import { answerExternal } from '../../adapter/metrics-api/answer.ts'
import { parseSelector } from '../../adapter/metrics-api/selector.ts'
import { podsOf } from '../metrics-api/fakes.ts'
import { signalOf } from '../kit/signals.ts'
import { absent, fresh, QUEUE, ref, stale, startScaler } from './scaler.ts'
import type { TriggerMetadata, Running, ScalerClient } from './scaler.ts'

let scaler: Running
let client: ScalerClient

beforeAll(async () => {
  scaler = await startScaler()
  client = scaler.client()
})
afterAll(() => scaler?.close())

const BY_TIER: Signal = { ...QUEUE, combine: { ...QUEUE.combine, by: ['tier', 'zone'] } }

describe('before the first evaluation', () => {
  test('nothing is known, and that is not a mistake of the trigger', async () => {
    expect(await client.spec()).toBe('UNAVAILABLE: no signal has been evaluated yet: starting')
  })
})

describe('the specification', () => {
  const rows: [string, Signal, TriggerMetadata, string, number, number][] = [
    ['from the definition', QUEUE, {}, 'queue-depth', 10, 10],
    ['target of the trigger', QUEUE, { target: '2.5' }, 'queue-depth', 3, 2.5],
    ['a small target is no zero', QUEUE, { target: '0.01' }, 'queue-depth', 1, 0.01],
    ['a target finer than KEDA reads', QUEUE, { target: '2.00051' }, 'queue-depth', 3, 2.001],
    ['from the environment', QUEUE, { targetFromEnv: '7' }, 'queue-depth', 7, 7],
    ['what is written wins', QUEUE, { target: '8', targetFromEnv: '7' }, 'queue-depth', 8, 8],
    ['a name of the trigger', QUEUE, { metricName: 'mine' }, 'mine', 10, 10],
    [
      'groups have names of their own',
      BY_TIER,
      { zone: 'A_1', tier: 'gold' },
      'queue-depth-gold-a-1',
      10,
      10,
    ],
    ['without defaults', signalOf(), { target: '4' }, 'queue', 4, 4],
    ['keys of KEDA', QUEUE, { enableTLS: 'true', unsafeSsl: 'false' }, 'queue-depth', 10, 10],
  ]
  test.each(rows)('%s', async (...[, signal, metadata, name, whole, float]) => {
    scaler.show(signal, stale('the source is down'))
    expect(await client.spec({ signal: 'queue', ...metadata })).toEqual({
      metricSpecs: [{ metricName: name, targetSize: whole, targetSizeFloat: float }],
    })
  })
})

const REFUSED = {
  metricSpecs: [{ metricName: 'tideline-trigger-refused', targetSize: 1, targetSizeFloat: 1 }],
} as const

describe('bad metadata is told by field, value and mend', () => {
  const rows: [string, Signal, TriggerMetadata, RegExp][] = [
    [
      'no signal',
      QUEUE,
      {},
      /^trigger metadata signal is missing: name a Signal of namespace vision$/,
    ],
    [
      'unknown signal',
      QUEUE,
      { signal: 'qeue' },
      /signal is "qeue": no such Signal in namespace vision; there are queue$/,
    ],
    [
      'no target anywhere',
      signalOf(),
      { signal: 'queue' },
      /target is missing: signal vision\/queue has no expose.keda.target/,
    ],
    [
      'target zero',
      QUEUE,
      { signal: 'queue', target: '0' },
      /target is "0": must be a number of at least 0.001/,
    ],
    ['target negative', QUEUE, { signal: 'queue', target: '-5' }, /target is "-5"/],
    ['target no number', QUEUE, { signal: 'queue', target: '5 msgs' }, /target is "5 msgs"/],
    ['target NaN', QUEUE, { signal: 'queue', target: 'NaN' }, /target is "NaN"/],
    [
      'target infinite',
      QUEUE,
      { signal: 'queue', target: '1e999' },
      /target is "1e999": must be a number of at most 9007199254740991/,
    ],
    ['target in hexadecimal', QUEUE, { signal: 'queue', target: '0x10' }, /target is "0x10"/],
    ['target in spaces', QUEUE, { signal: 'queue', target: ' 5 ' }, /target is " 5 "/],
    ['activation minus zero', QUEUE, { signal: 'queue', activation: '-0' }, /activation is "-0"/],
    ['target empty', QUEUE, { signal: 'queue', target: '' }, /target is ""/],
    [
      'activation negative',
      QUEUE,
      { signal: 'queue', activation: '-1' },
      /activation is "-1": must be a number of at least 0/,
    ],
    [
      'metric name',
      QUEUE,
      { signal: 'queue', metricName: 'Queue_Depth' },
      /metricName is "Queue_Depth": must be lower case/,
    ],
    [
      'misspelt key',
      QUEUE,
      { signal: 'queue', tresh: '1' },
      /tresh is "1": neither one of signal, metricName, target, activation nor a label of vision\/queue's groups \(it has no groups\): remove it/,
    ],
    [
      'label that is no group',
      BY_TIER,
      { signal: 'queue', pod: 'a' },
      /pod is "a".*its groups have tier, zone/,
    ],
    ['empty group', BY_TIER, { signal: 'queue', tier: '' }, /tier is "": name the group/],
    [
      'a secret is not repeated',
      QUEUE,
      { signal: 'queue', passwordFromEnv: 's3cret' },
      /passwordFromEnv is "…"/,
    ],
    ['a long value is cut', QUEUE, { signal: 'x'.repeat(500) }, /signal is "x{80}…"/],
  ]
  test.each(rows)('%s', async (_what, signal, metadata, message) => {
    scaler.show(signal, fresh(1))
    for (const outcome of [await client.value(metadata), await client.active(metadata)]) {
      expect(outcome).toMatch(/^INVALID_ARGUMENT: /)
      expect(String(outcome).replace('INVALID_ARGUMENT: ', '')).toMatch(message)
    }
    // Of a failure here KEDA would tell nobody the reason, and go on without this trigger.
    expect(await client.spec(metadata)).toEqual(REFUSED)
  })

  test('the name that stands for it is no name of a metric', async () => {
    scaler.show(QUEUE, fresh(1))
    const [{ metricName }] = REFUSED.metricSpecs
    const metadata = { signal: 'queue', metricName }
    expect(await client.value(metadata, undefined, metricName)).toMatch(
      /^INVALID_ARGUMENT: .*is kept for triggers that are refused/,
    )
    scaler.show({ ...QUEUE, expose: { keda: { name: metricName, target: 1, activation: 0 } } }, fresh(1)) // prettier-ignore
    expect(await client.active()).toMatch(/^INVALID_ARGUMENT/)
  })

  test('a call that names nothing', async () => {
    expect(await client.ask('GetMetrics', {})).toMatch(/^INVALID_ARGUMENT: .*namespace is missing/)
  })

  test('a metric of another trigger', async () => {
    scaler.show(QUEUE, fresh(1))
    expect(await client.value(undefined, undefined, 'other')).toBe(
      'INVALID_ARGUMENT: trigger metadata metricName is "other": this trigger\'s metric is queue-depth',
    )
  })
})

describe('each state of a reading', () => {
  const gold = { tier: 'gold', zone: 'a' }
  const tin = { tier: 'tin', zone: 'a' }
  const rows: [string, Signal, Reading[], TriggerMetadata, number | RegExp][] = [
    ['fresh', QUEUE, [fresh(12.5)], {}, 12.5],
    ['zero is a value', QUEUE, [fresh(0)], {}, 0],
    ['minus zero', QUEUE, [fresh(-0)], {}, 0],
    [
      'stale',
      QUEUE,
      [stale('connection refused')],
      {},
      /^UNAVAILABLE: signal vision\/queue has no fresh value: its data ends at 1970-01-01T00:00:00Z: connection refused$/,
    ],
    [
      'absent',
      QUEUE,
      [absent('timeout after 2 s')],
      {},
      /^UNAVAILABLE: .*source-failing: timeout after 2 s$/,
    ],
    ['the sum over groups', BY_TIER, [fresh(2, gold), fresh(3, tin)], {}, 5],
    ['one group', BY_TIER, [fresh(2, gold), fresh(3, tin)], { tier: 'tin' }, 3],
    [
      'one of the groups stale',
      BY_TIER,
      [fresh(2, gold), stale('gone quiet', tin)],
      {},
      /^UNAVAILABLE: .*\{tier=tin,zone=a\} its data ends at 1970-01-01T00:00:00Z: gone quiet/,
    ],
    [
      'another group stale',
      BY_TIER,
      [fresh(2, gold), stale('gone quiet', tin)],
      { tier: 'gold' },
      2,
    ],
    [
      'no such group',
      BY_TIER,
      [fresh(2, gold)],
      { tier: 'lead' },
      /^UNAVAILABLE: .*no group \{tier=lead\}; its groups are \{tier=gold,zone=a\}/,
    ],
    [
      'no group yet',
      BY_TIER,
      [absent('no pod answers')],
      { tier: 'gold' },
      /^UNAVAILABLE: .*no pod answers/,
    ],
    ['negative', QUEUE, [fresh(-3)], {}, /^OUT_OF_RANGE: signal vision\/queue is -3: KEDA/],
    ['not a number', QUEUE, [fresh(NaN)], {}, /^OUT_OF_RANGE: signal vision\/queue is NaN/],
    ['infinite', QUEUE, [fresh(Infinity)], {}, /^OUT_OF_RANGE/],
  ]
  test.each(rows)('%s', async (...[, signal, readings, groups, expected]) => {
    scaler.show(signal, ...readings)
    const metadata = { signal: 'queue', metricName: 'm', ...groups }
    const value = await client.value(metadata, undefined, 'm')
    const active = await client.active(metadata)
    if (typeof expected === 'number') {
      expect(value).toBe(expected)
      expect(active).toBe(expected > 0)
    } else {
      expect(value).toMatch(expected)
      // Both fail alike: an error of one alone would still fail the metric at KEDA.
      expect(active).toBe(value)
    }
  })

  test('readings nobody renews are not the truth', async () => {
    scaler.show(QUEUE, fresh(5))
    await scaler.clock.advance(30_000)
    expect(await client.value()).toBe(5)
    await scaler.clock.advance(1000)
    expect(await client.value()).toMatch(/^UNAVAILABLE: .*last evaluated at \d{4}-/)
    expect(await client.active()).toMatch(/^UNAVAILABLE/)
    expect(await client.spec()).toHaveProperty('metricSpecs')
  })
})

describe('numbers as KEDA reads them', () => {
  const rows: [number, number, number][] = [
    [0.2, 1, 0.2],
    [0.0001, 1, 0.001],
    [0.1 + 0.2, 1, 0.3],
    [1.0005, 2, 1.001],
    [2, 2, 2],
    [2.001, 3, 2.001],
    [1e12 + 0.5, 1e12 + 1, 1e12 + 0.5],
    // An HPA counts thousandths in 64 bits: more would be read as a number below zero.
    [9.3e15, Number.MAX_SAFE_INTEGER, 9_223_372_036_854_774],
    [1e300, Number.MAX_SAFE_INTEGER, 9_223_372_036_854_774],
  ]
  test.each(rows)('%d is %d and %d', async (value, whole, float) => {
    scaler.show(QUEUE, fresh(value))
    const asked = { scaledObjectRef: ref(), metricName: 'queue-depth' }
    expect(await client.ask('GetMetrics', asked)).toEqual({
      metricValues: [{ metricName: 'queue-depth', metricValue: whole, metricValueFloat: float }],
    })
  })

  test.each([0, 0.0004, 0.1 + 0.2, 1.0005, 7, 1234.5678, 3e9 + 0.1])(
    'the metrics API tells the same of %d',
    async (value) => {
      scaler.show(QUEUE, fresh(value))
      const selector = parseSelector('')
      const route = { kind: 'external', namespace: 'vision', metric: 'queue' } as const
      const deps = { reader: scaler.board, pods: podsOf([]) }
      const answer = answerExternal(deps, route, selector, scaler.clock.nowMs())
      if (answer.kind !== 'external') throw new Error(answer.failure.message)
      const text = answer.items.map((item) => formatQuantity(item.value)).join()
      expect(formatQuantity((await client.value()) as number)).toBe(text)
    },
  )
})

describe('activation', () => {
  test.each([
    [{ activation: '5' }, 5, false],
    [{ activation: '5' }, 5.001, true],
    [{ activation: '0' }, 0, false],
    [{}, 0.0001, true],
  ])('%o at %d', async (metadata, value, expected) => {
    scaler.show(QUEUE, fresh(value))
    expect(await client.active({ signal: 'queue', ...metadata })).toBe(expected)
  })

  test('from the definition', async () => {
    const keda = { name: 'queue-depth', target: 10, activation: 3 }
    scaler.show({ ...QUEUE, expose: { keda } }, fresh(3))
    expect(await client.active()).toBe(false)
    scaler.show({ ...QUEUE, expose: { keda } }, fresh(4))
    expect(await client.active()).toBe(true)
  })
})

test('a ScaledObject sees the signals of its own namespace alone', async () => {
  const other = { ...QUEUE, id: 'billing/queue', namespace: 'billing' }
  const evaluatedMs = scaler.clock.nowMs()
  scaler.showAll(
    { signal: QUEUE, evaluatedMs, readings: [fresh(1)] },
    { signal: other, evaluatedMs, readings: [fresh(2)] },
  )
  expect(await client.value()).toBe(1)
  expect(await client.value({ signal: 'queue' }, 'billing')).toBe(2)
  for (const namespace of ['third', 'vision/queue', '']) {
    const outcome = await client.value({ signal: 'queue' }, namespace)
    expect(outcome).toMatch(/^INVALID_ARGUMENT/)
    expect(outcome).not.toMatch(/billing|there are/)
  }
  expect(await client.value({ signal: 'billing/queue' }, 'vision')).toMatch(/no such Signal/)
})

test('calls are counted by method and status', () => {
  expect(scaler.calls).toContain('GetMetrics OK')
  expect(scaler.calls).toContain('IsActive UNAVAILABLE')
  expect(scaler.calls).toContain('IsActive INVALID_ARGUMENT')
})
