import { describe, expect, test } from 'vitest'
import type { Batch } from '../../src/model.ts'
import { createSeriesStore } from '../../src/series/store.ts'
import { LIMITS, sample } from './line.ts'

const T0 = 1_000_000_000

function storeOf() {
  const store = createSeriesStore(LIMITS)
  const write = (origin: string, atMs: number, notes?: Batch['notes']) =>
    store.write({
      source: 's',
      origin,
      atMs,
      complete: true,
      samples: [sample('m', atMs, 1)],
      ...(notes === undefined ? {} : { notes }),
    })
  return { store, write }
}

describe('notes', () => {
  test('of each origin those of its newest batch are kept, by metric', () => {
    const { store, write } = storeOf()
    expect(store.notes('s', 'm')).toBeUndefined()
    write('x', T0, [
      { metric: 'm', text: 'estimated' },
      { metric: 'm', text: 'capped' },
      { metric: 'other', text: 'late' },
    ])
    write('y', T0, [{ metric: 'm', text: 'guessed' }])
    expect([...(store.notes('s', 'm') ?? [])]).toEqual([
      ['x', ['estimated', 'capped']],
      ['y', ['guessed']],
    ])
    write('x', T0 + 1, [{ metric: 'm', text: 'measured' }])
    expect(store.notes('s', 'm')?.get('x')).toEqual(['measured'])
    expect(store.notes('s', 'other')).toBeUndefined()
    write('x', T0 + 2)
    write('y', T0 + 2)
    expect(store.notes('s', 'm')).toBeUndefined()
  })

  test('they stay while the origin fails, as its values do, and go with it', () => {
    const { store, write } = storeOf()
    write('x', T0, [{ metric: 'm', text: 'estimated' }])
    store.fail('s', 'x', { code: 'timeout', message: 'no answer', atMs: T0 + 1 })
    expect(store.notes('s', 'm')?.get('x')).toEqual(['estimated'])
    store.end('s', 'x')
    expect(store.notes('s', 'm')).toBeUndefined()
  })

  test('an origin says no more than ten things of a metric', () => {
    const { store, write } = storeOf()
    write(
      'x',
      T0,
      Array.from({ length: 1000 }, (_, index) => ({ metric: 'm', text: `note ${index}` })),
    )
    expect(store.notes('s', 'm')?.get('x')).toHaveLength(10)
  })
})
