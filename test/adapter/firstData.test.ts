import { expect, test } from 'vitest'
import { awaited, firstData } from '../../adapter/firstData.ts'
import { ManualClock } from '../kit/manualClock.ts'

function waiting(names: readonly string[]) {
  const clock = new ManualClock(0)
  const heard = new Set<string>()
  const knows = firstData({ clock, names: () => names, heardOf: (name) => heard.has(name) })
  return { clock, heard, knows }
}

test('knows as soon as every source was heard of, and from then on', () => {
  const { heard, knows } = waiting(['pods', 'queues'])
  expect(knows()).toBe(false)
  heard.add('pods')
  expect(knows()).toBe(false)
  heard.add('queues')
  expect(knows()).toBe(true)
  heard.clear()
  expect(knows()).toBe(true)
})

test('a source that is never heard of keeps it back for five seconds', async () => {
  const { clock, knows } = waiting(['pods'])
  await clock.advance(4999)
  expect(knows()).toBe(false)
  await clock.advance(1)
  expect(knows()).toBe(true)
})

test('without sources there is nothing to wait for', () => {
  expect(waiting([]).knows()).toBe(true)
})

test('a source that reports come to, from nobody knows whom, is not waited for', () => {
  const pods = { labelSelector: 'app=vision' }
  const sources = [{ name: 'queues' }, { name: 'told', push: {} }, { name: 'pods', push: { pods } }]
  expect(awaited(sources)).toEqual(['queues', 'pods'])
})
