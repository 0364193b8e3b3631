import type { Labels, Signal } from '../model.ts'
import type { SignalReader } from '../ports.ts'
import { seriesTest } from '../series/labels.ts'

/**
 * Requests a second that one replica is to take at most: the least target for a KEDA trigger, which is a
 * replica's load, among the signals that are a rate of requests and are made of all that is asked about (the
 * labels of what one pod serves). Undefined where there is none, or while no such signal is fresh: what is not
 * known limits nobody.
 */
export function admissibleRate(
  reader: SignalReader,
  served: readonly Labels[],
): number | undefined {
  let least: number | undefined
  for (const { signal, readings } of reader.all()) {
    const target = signal.expose.keda?.target
    if (target === undefined || !isRateOf(signal, served)) continue
    const known = readings.some(
      (reading) =>
        reading.state === 'fresh' &&
        reading.why.fallback === undefined &&
        served.every((labels) =>
          Object.entries(reading.labels).every(([name, value]) => labels[name] === value),
        ),
    )
    if (known) least = Math.min(target, least ?? target)
  }
  return least
}

function isRateOf({ selection, window }: Signal, served: readonly Labels[]): boolean {
  const { metric, matchers, scope } = selection
  if (metric !== 'inference_requests' || served.length === 0) return false
  if (window.function !== 'rate' && window.function !== 'ewma') return false
  const owner = scope === undefined ? [] : [{ ...scope, operator: '=' as const }]
  const test = seriesTest([...owner, ...matchers])
  return served.every((labels) => test({ labels }))
}
