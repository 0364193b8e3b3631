import { describe, expect, test } from 'vitest'
import { PRESET_ATTRIBUTION, PRESET_NAMES, PRESETS } from '../../src/config/presets.ts'

describe.each(PRESET_NAMES)('preset %s', (engine) => {
  const signals = PRESETS[engine]

  test('names are unique and can be served', () => {
    const unique = (names: readonly (string | undefined)[]) =>
      expect(new Set(names).size).toBe(signals.length)
    unique(signals.map(({ name }) => name))
    unique(signals.map(({ expose }) => expose.external?.name))
    unique(signals.map(({ expose }) => expose.custom?.name))
    for (const { name, expose } of signals) {
      expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/)
      expect(expose.external?.name).toBe(`${engine}-${name}`)
      expect(expose.custom?.name).toMatch(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/)
    }
  })

  test('counters are read as rates, histograms by their buckets, levels as they are', () => {
    for (const { metric, window, combine } of signals) {
      expect(combine.by).toEqual(['namespace', 'pod'])
      expect(window.durationMs).toBeGreaterThan(0)
      if (metric.endsWith('_bucket')) expect(window.function).toBe('quantile')
      if (metric.endsWith('_total')) expect(window.function).toBe('rate')
      if (window.function === 'quantile') expect(metric).toMatch(/_bucket$/)
      // Shares are not summed: two caches that are half full are not one that is full.
      if (/usage|util|fraction|active/i.test(metric)) expect(combine.function).not.toBe('sum')
    }
  })

  test('queue depth, where the engine tells it, is the first signal', () => {
    if (PRESET_ATTRIBUTION[engine] === 'target')
      expect(signals[0]?.description).toMatch(/waiting|queue/)
  })
})
