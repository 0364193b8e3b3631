import { expect } from 'vitest'
import { LEAST_REPLICAS, PER_REPLICA } from './ways.ts'
import type { Load, Seen } from './ways.ts'

/** Within this share of its target an HPA does nothing. */
const TOLERANCE = 0.1
/** A load that lasts so many steps is seen at least once by everybody who looks each second. */
const SURELY_SEEN = 4
/** So much of a window may have gone by when it is looked at first. */
const EARLY_S = 2
/** Who looks four times a second and is kept from it for longer is on a machine that stood still. */
const STOOD_STILL_MS = 1000

/**
 * What a hold of `windowS` means for replicas, whatever the load: as many as the largest of the window needs, and no
 * more. `lateS` is how late they may come and go: collected, evaluated, looked at, ordered. As long as the machine stood
 * still they come and go later.
 */
export function expectHeldFor(
  windowS: number,
  {
    seen,
    played,
    lateS: usuallyLateS,
  }: { seen: readonly Seen[]; played: readonly Load[]; lateS: number },
): void {
  const lasting = played.map(({ atMs }, at) => {
    const some = played.slice(at, at + SURELY_SEEN)
    return { atMs, load: Math.min(...some.map(({ load }) => load)) }
  })
  for (const { atMs, replicas } of seen) {
    const lateS = usuallyLateS + stoodStillS(seen, atMs - (windowS + usuallyLateS) * 1000, atMs)
    const inTime = (fromS: number, toS: number) => ({
      fromMs: atMs - fromS * 1000,
      toMs: atMs - toS * 1000,
    })
    const least = largest(lasting, inTime(windowS - EARLY_S, lateS + SURELY_SEEN - 1))
    const most = largest(played, inTime(windowS + lateS, 0))
    const atMost = Math.max(
      LEAST_REPLICAS,
      Math.ceil(most / PER_REPLICA),
      Math.floor(most / PER_REPLICA / (1 - TOLERANCE)),
    )
    for (const [way, count] of replicas.entries()) {
      const second = ((atMs - (seen[0]?.atMs ?? 0)) / 1000).toFixed(1)
      const said = `way ${way}, second ${second}: loads of ${least} to ${most}`
      expect(count * PER_REPLICA * (1 + TOLERANCE), said).toBeGreaterThanOrEqual(least)
      expect(count, said).toBeLessThanOrEqual(atMost)
    }
  }
}

/** How long in all nobody was let look, between two times. */
function stoodStillS(seen: readonly Seen[], fromMs: number, toMs: number): number {
  const gaps = seen.map(({ atMs }, at) => (atMs > toMs ? 0 : atMs - (seen[at - 1]?.atMs ?? atMs)))
  const still = gaps.filter((gap, at) => gap > STOOD_STILL_MS && (seen[at]?.atMs ?? 0) > fromMs)
  return still.reduce((sum, gap) => sum + gap, 0) / 1000
}

/** Of what was played between two times, with what was in force at the first. */
function largest(
  played: readonly Load[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): number {
  const within = played.filter(({ atMs }, at) => {
    const endMs = played[at + 1]?.atMs ?? Infinity
    return endMs > fromMs && atMs <= toMs
  })
  return Math.max(0, ...within.map(({ load }) => load))
}
