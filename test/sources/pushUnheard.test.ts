/** Whoever reports and cannot be counted is missed: a sum of the others is not the whole. */
import { expect, test } from 'vitest'
import type { PushReport } from '../../src/ports.ts'
import { begin } from './pushedMeasurements.ts'

function begun(config: object = {}, limits: Parameters<typeof begin>[1] = {}) {
  const all = begin(config, limits)
  const { clock, inlet, store } = all
  const report = (overrides: Partial<PushReport> = {}) => {
    const endMs = clock.nowMs()
    return inlet.report({
      ...{ namespace: 'vision', pod: 'v-0', service: 'detector', instance: 'a', sequence: 1 },
      ...{ startMs: endMs - 1000, endMs },
      counts: [{ model: 'yolo', version: '8', requests: 1, errors: 0 }],
      ...overrides,
    })
  }
  return { ...all, report, missed: () => store.silentOrigins('push') }
}

const refused = (reason: string) => ({ outcome: 'refused', reason })

test('a pod whose clock is wrong, until it is right', async () => {
  const { clock, report, missed, health } = begun()
  const endMs = clock.nowMs() + 60_000
  expect(report({ startMs: endMs - 1000, endMs })).toMatchObject(refused('invalid'))
  expect(missed()).toEqual(['vision/v-0'])
  expect(health('vision/v-0')).toMatchObject({ message: expect.stringMatching(/check the clocks/) })
  expect(report()).toMatchObject({ outcome: 'accepted' })
  expect(missed()).toEqual([])
  await clock.advance(130_000)
  expect(health('vision/v-0')).toMatchObject({ state: 'failing', code: 'timeout' })
})

test('a pod of too many series, for as long as it goes on', async () => {
  const { clock, report, missed } = begun({ seriesPerPod: 1 })
  for (let minute = 0; minute < 5; minute += 1) {
    expect(report()).toMatchObject(refused('limit'))
    expect(missed()).toEqual(['vision/v-0'])
    await clock.advance(60_000)
  }
  await clock.advance(80_000)
  expect(missed()).toEqual([])
})

test('a report that comes too late changes nothing for a pod that is counted', () => {
  const { report, missed, health } = begun()
  report()
  expect(report({ sequence: 2, startMs: 1, endMs: 2 })).toMatchObject(refused('too-old'))
  expect(missed()).toEqual([])
  expect(health('vision/v-0')).toMatchObject({ state: 'ok' })
})

test('a pod that was counted and hangs is missed for good, whatever it sends late', async () => {
  const { clock, report, series, health } = begun()
  report()
  await clock.advance(15_000)
  expect(report({ sequence: 2, startMs: 1, endMs: 2 })).toMatchObject(refused('too-old'))
  expect(health('vision/v-0')).toMatchObject({ state: 'failing', code: 'bad-response' })
  await clock.advance(300_000)
  expect(series('inference_requests')).toHaveLength(1)
  expect(health('vision/v-0')).toMatchObject({ state: 'failing' })
})

test('a pod that the store has no room for, also where another process of it finds some', async () => {
  const { clock, report, missed, series } = begun({}, { seriesMax: 3 })
  const count = (model: string) => ({ model, version: '8', requests: 1, errors: 0 })
  expect(report({ counts: [count('a'), count('b')] })).toMatchObject(refused('limit'))
  expect(report({ instance: 'b' })).toMatchObject(refused('limit'))
  expect(series('inference_requests')).toEqual([])
  expect(missed()).toEqual(['vision/v-0'])
  await clock.advance(121_000)
  expect(report({ instance: 'b', sequence: 2 })).toMatchObject({ outcome: 'accepted' })
  expect(missed()).toEqual([])
})

test('one process more than a pod may have', () => {
  const { report, missed } = begun()
  for (let index = 0; index < 16; index += 1) report({ instance: `i-${index}` })
  expect(missed()).toEqual([])
  expect(report({ instance: 'i-16' })).toMatchObject(refused('limit'))
  expect(missed()).toEqual(['vision/v-0/(others)'])
})

test('one pod more than may report, in its own namespace', () => {
  const { report, send, missed } = begun({ podsMax: 1 })
  report()
  expect(report({ pod: 'v-1' })).toMatchObject(refused('limit'))
  expect(send([{}], { namespace: 'shop' })).toMatchObject(refused('limit'))
  expect(missed()).toEqual(['vision/(others)', 'shop/(others)'])
})

test('a process of a name that is too long', () => {
  const { send, missed } = begun()
  expect(send([{}], { process: 'x'.repeat(257) })).toMatchObject(refused('invalid'))
  expect(missed()).toEqual(['vision/v-0/(others)'])
})

test('a pod beyond those that may report, but not one that is gone', async () => {
  const { clock, report, missed, present } = begun({ podsMax: 1, pods: { labelSelector: 'a=b' } })
  present('vision/v-0', 'vision/v-1')
  report()
  expect(missed()).toEqual(['vision/(others)'])
  report({ pod: 'v-2', startMs: 1, endMs: 2 })
  expect(missed()).toEqual(['vision/(others)'])
  for (let minute = 0; minute < 5; minute += 1) {
    await clock.advance(60_000)
    report({ sequence: minute + 2 })
    expect(missed()).toEqual(['vision/(others)'])
  }
  present('vision/v-0')
  await clock.advance(130_000)
  expect(missed()).toEqual([])
})
