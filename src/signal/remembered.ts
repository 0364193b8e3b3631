import type { Logger, Stabilizer } from '../ports.ts'
import type { HoldState } from './hold.ts'

/** Holds of one signal as they outlive a process; `definition` is the signal's own, as JSON. */
export interface RememberedHolds {
  readonly signal: string
  readonly definition: string
  readonly holds: readonly (readonly [key: string, keepUntilMs: number, saved: unknown])[]
}

/** What can be told of holds now. */
export function rememberHolds(
  of: { readonly signal: string; readonly definition: string },
  holds: HoldState,
  stabilizer: Stabilizer,
): RememberedHolds {
  const entries = [...holds].map(
    ([key, state]) => [key, state.keepUntilMs, stabilizer.save(state)] as const,
  )
  return { ...of, holds: entries }
}

/** By signal; what has not the shape is left out. */
export function rememberedHolds(entries: readonly unknown[]): Map<string, RememberedHolds> {
  const bySignal = new Map<string, RememberedHolds>()
  for (const entry of entries) {
    if (typeof entry !== 'object' || entry === null) continue
    const one = entry as Partial<RememberedHolds>
    const { signal, definition, holds } = one
    if (typeof signal === 'string' && typeof definition === 'string' && Array.isArray(holds))
      bySignal.set(signal, { signal, definition, holds })
  }
  return bySignal
}

/**
 * Puts holds back that are of the same definition and still matter. The time since they were told is a gap in
 * the data, and each policy treats it as one. Answers how many were put back.
 */
export function recallHolds(
  told: RememberedHolds,
  into: { readonly holds: HoldState; readonly definition: string; readonly stabilizer: Stabilizer },
  at: { readonly nowMs: number; readonly log: Logger },
): number {
  const { holds, definition, stabilizer } = into
  const { signal } = told
  if (told.definition !== definition) {
    at.log.info('holds-start-anew', { signal, reason: 'the signal was changed meanwhile' })
    return 0
  }
  for (const [key, keepUntilMs, saved] of told.holds) {
    if (keepUntilMs < at.nowMs) continue
    const state = stabilizer.load(saved)
    if (state !== undefined) holds.set(key, state)
    else at.log.info('holds-start-anew', { signal, key, reason: 'of another policy or version' })
  }
  return holds.size
}
