/** When it writes; how the API server judges what is written is the end-to-end test's. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Reading } from '../../src/model.ts'
import { Behavior } from '../../adapter/hpa-behavior/behavior.ts'
import type { NamedObject, ObjectReceiver, Tree } from '../../adapter/hpa-behavior/ports.ts'
import { createBoard } from '../../src/signal/board.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { signalOf } from '../kit/signals.ts'

const why = { series: { fresh: 1, stale: 0, warmingUp: 0 } }
const ABSENT: Reading = { state: 'absent', labels: {}, reason: 'no-series', cause: '', why }

function fresh(leastMs: number): Reading {
  const window = { leastMs, reason: 'because' }
  return { state: 'fresh', labels: {}, value: 1, dataMs: 0, windowMs: 0, why: { ...why, window } }
}

let clock: ManualClock
let log: RecordingLogger
let mode: 'write' | 'restore'
let turn: { held: boolean }
let sent: Tree[]
let refuse: number | undefined
let receiver: ObjectReceiver | undefined
let life: AbortController
let ended: Promise<void>
let behavior: Behavior
const board = createBoard()

const hpa = (annotations: Tree, more: Tree = {}): NamedObject => ({
  metadata: { name: 'worker', namespace: 'vision', uid: 'u', annotations, ...more },
  spec: {},
})
const ASKS = { 'tideline.dev/scale-down-window': 'queue' }

/** The object as the API server would show it after this apply. */
function answer(body: Tree): NamedObject {
  const spec = body['spec'] as Tree | undefined
  const fieldsV1 = {
    'f:spec': { 'f:behavior': { 'f:scaleDown': { 'f:stabilizationWindowSeconds': {} } } },
  }
  const managedFields =
    spec === undefined ? [] : [{ manager: 'tideline', operation: 'Apply', fieldsV1 }]
  return { ...hpa(ASKS, { managedFields }), spec: spec ?? {} }
}

function tell(reading: Reading, act?: 'behavior'): void {
  const signal = signalOf(act === undefined ? {} : { act })
  board.publish([{ signal, evaluatedMs: 0, readings: [reading] }], true)
}

const windows = () =>
  sent.map((body) => {
    const spec = body['spec'] as { behavior: { scaleDown: Tree } } | undefined
    return spec?.behavior.scaleDown['stabilizationWindowSeconds']
  })

beforeEach(async () => {
  clock = new ManualClock()
  log = new RecordingLogger()
  mode = 'write'
  turn = { held: true }
  sent = []
  refuse = undefined
  life = new AbortController()
  behavior = new Behavior({
    clock,
    log,
    turn,
    reader: board,
    scope: { namespaces: [], scaledObjects: false },
    rules: () => ({
      mode,
      restingMs: 300_000,
      minChange: 0.1,
      minStepMs: 10_000,
      intervalMs: 15_000,
      graceMs: 60_000,
    }),
    cluster: {
      request: async (method, _path, body) => {
        if (method !== 'PATCH') return {}
        sent.push(body as Tree)
        if (refuse !== undefined)
          throw Object.assign(new Error('conflict with "kubectl"'), { status: refuse })
        return answer(body as Tree)
      },
      watch: async (_path, given) => void (receiver = given),
    },
  })
  ended = behavior.run(life.signal)
  await clock.advance(1)
})
afterEach(async () => {
  life.abort()
  await ended
})

describe('an annotated HPA', () => {
  test('gets the window decided, once for as long as it will do', async () => {
    tell(fresh(480_000), 'behavior')
    receiver?.replace([hpa(ASKS)])
    await clock.advance(60_000)
    expect(windows()).toEqual([480])
    expect(behavior.account().windows).toMatchObject([{ name: 'worker', seconds: 480 }])
  })

  test('is written to by nobody who has not the turn', async () => {
    turn.held = false
    tell(fresh(480_000), 'behavior')
    receiver?.replace([hpa(ASKS)])
    await clock.advance(60_000)
    expect(sent).toEqual([])
    turn.held = true
    await clock.advance(1000)
    expect(windows()).toEqual([480])
  })

  test('keeps its window while the signal is unknown, and gets its own back after the grace', async () => {
    tell(fresh(480_000), 'behavior')
    receiver?.replace([hpa(ASKS)])
    await clock.advance(1000)
    tell(ABSENT, 'behavior')
    await clock.advance(59_000)
    expect(windows()).toEqual([480])
    await clock.advance(3_000)
    expect(windows()).toEqual([480, undefined])
  })

  test('gets its own back as soon as the mode is `restore`, and a window again when it is not', async () => {
    tell(fresh(480_000), 'behavior')
    receiver?.replace([hpa(ASKS)])
    await clock.advance(1000)
    mode = 'restore'
    await clock.advance(60_000)
    expect(windows()).toEqual([480, undefined])
    mode = 'write'
    await clock.advance(1000)
    expect(windows()).toEqual([480, undefined, 480])
  })

  test('that another owns is tried again after a minute, and told once', async () => {
    refuse = 409
    tell(fresh(480_000), 'behavior')
    receiver?.replace([hpa(ASKS)])
    await clock.advance(59_000)
    expect(sent).toHaveLength(1)
    await clock.advance(3_000)
    expect(sent).toHaveLength(2)
    expect(behavior.account().writes.get('conflict')).toBe(2)
  })

  test('whose signal holds its value as well is left alone, and this is said', async () => {
    tell(fresh(480_000))
    receiver?.replace([hpa(ASKS)])
    await clock.advance(60_000)
    expect(sent).toEqual([])
    expect(log.entries.map(({ event }) => event)).toEqual(['behavior-signal'])
  })

  test('that KEDA makes is left to the ScaledObject', async () => {
    tell(fresh(480_000), 'behavior')
    receiver?.replace([hpa(ASKS, { ownerReferences: [{ kind: 'ScaledObject' }] })])
    await clock.advance(5000)
    expect(sent).toEqual([])
  })
})
