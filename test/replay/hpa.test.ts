import { describe, expect, test } from 'vitest'
import type { ScaleEvent, ScalingRules } from '../../src/replay/hpa.ts'
import { costOf } from '../../src/replay/fleet.ts'
import { DEFAULT_BEHAVIOR, Hpa, recommend, scaleLimit } from '../../src/replay/hpa.ts'
import { compare, knownOnGrid, onGrid } from '../../src/replay/compare.ts'

describe('recommendation', () => {
  test.each([
    ['below', 8.6, 4.4, 3, 2],
    ['within 10 %: as it is', 3 * 4.4 * 1.05, 4.4, 3, 3],
    ['just above 10 %', 3 * 4.4 * 1.1001, 4.4, 3, 4],
    ['no load', 0, 4.4, 3, 0],
  ])('%s', (...[, usage, target, replicas, expected]) => {
    expect(recommend(usage, target, replicas, 0.1)).toBe(expected)
  })
})

const { up, down } = DEFAULT_BEHAVIOR
const mixed: ScalingRules = {
  select: 'Max',
  policies: [
    { type: 'Percent', value: 10, periodSeconds: 60 },
    { type: 'Pods', value: 5, periodSeconds: 60 },
  ],
}
const NOW = 1e6

describe('limits of one sync', () => {
  const none: readonly ScaleEvent[] = []
  test.each<[string, 'up' | 'down', number, ScalingRules, readonly ScaleEvent[], number]>([
    ['four pods', 'up', 1, up, none, 5],
    ['doubled', 'up', 10, up, none, 20],
    ['the least policy', 'up', 10, { ...up, select: 'Min' }, none, 14],
    ['disabled', 'up', 10, { ...up, select: 'Disabled' }, none, 10],
    ['the period began with ten', 'up', 14, up, [{ at: NOW - 10, change: 4 }], 20],
    ['an event as old as the period', 'up', 14, up, [{ at: NOW - 15, change: 4 }], 28],
    ['all may go', 'down', 100, down, none, 0],
    ['ten percent', 'down', 100, mixed, none, 90],
    ['five pods', 'down', 100, { ...mixed, select: 'Min' }, none, 95],
  ])('%s', (...[, direction, replicas, rules, ups, expected]) => {
    expect(scaleLimit(direction, replicas, rules, { ups, downs: [], now: NOW })).toBe(expected)
  })
})

function service(capacity: number) {
  return {
    capacity,
    startDelaySeconds: 90,
    metricDelaySeconds: 0,
    sloWaitSeconds: 5,
    queueSeconds: 60,
    minReplicas: 1,
    maxReplicas: 100,
    counted: new Uint8Array(5000).fill(1),
  }
}

test('300 s hold ten replicas for twenty syncs after the last high one', () => {
  const settings = { ...DEFAULT_BEHAVIOR, target: 1, minReplicas: 1, maxReplicas: 100 }
  const hpa = new Hpa(settings, 10)
  const during = Array.from({ length: 60 }, (_, k) => {
    const { replicas } = hpa
    hpa.sync(k < 20 ? 10 : 1, (k + 1) * 15, 300)
    return replicas
  })
  expect(during[39]).toBe(10)
  expect(during[40]).toBe(1)
})

test('pods serve six syncs after their order, where they take 90 s', () => {
  const load = new Float64Array(60).map((_, k) => (k < 20 ? 0.7 : 50))
  const seen: [number, number][] = []
  costOf(load, load, 300, {
    service: service(1),
    target: 1,
    sees: (total, ready) => seen.push([total, ready]),
  })
  const paced = [1, 5, 10, 20, 40, 50, 50]
  expect(seen.slice(20, 27).map(([total]) => total)).toEqual(paced)
  expect(seen.slice(26, 33).map(([, ready]) => ready)).toEqual(paced)
})

test('a load that fits violates nothing', () => {
  const load = new Float64Array(400).fill(5)
  const cost = costOf(load, load, 300, { service: service(1), target: 0.7 })
  expect(cost.violations).toBe(0)
  expect(cost.flapsPerDay).toBe(0)
})

test('rows of a minute hold for four syncs; values are known at their end', () => {
  const rows = [1, 2, 4].map((value, i) => ({ seconds: 60 * (i + 1), value }))
  expect([...onGrid(rows)]).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4])
  const known = knownOnGrid(rows, [1, 2, 4])
  expect([...known]).toEqual([1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4])
})

test('a policy that knows the load that comes needs fewer replicas for the same service', () => {
  const load = new Float64Array(1000).map((_, k) => (k % 100 < 20 ? 10 : 1))
  const ahead = load.map((_, k) => Math.max(...load.subarray(k, k + 9)))
  const [standard, knowing] = compare(
    load,
    new Map([['knowing', { exposed: ahead, windowSeconds: new Float64Array(1000) }]]),
    service(1),
  )
  expect(knowing?.equal.replicaHours).toBeLessThan(standard?.equal.replicaHours ?? 0)
})
