import type { Logger, Stabilizer } from '../ports.ts'
import type { HoldState } from './hold.ts'

/** Holds of one signal, or some of them, as they outlive a process; `definition` is the signal's own, as JSON. */
export interface RememberedHolds {
  readonly signal: string
  readonly definition: string
  readonly holds: readonly (readonly [key: string, keepUntilMs: number, saved: unknown])[]
}

/** So few that telling them holds up no tick: what is learned of a series is 100 kB of text. */
const HOLDS_AT_ONCE = 16

/** What can be told of holds now, some at a time. */
export function* rememberHolds(
  of: { readonly signal: string; readonly definition: string },
  holds: HoldState,
  stabilizer: Stabilizer,
): Generator<RememberedHolds, void, undefined> {
  let some: RememberedHolds['holds'][number][] = []
  for (const [key, state] of holds) {
    some.push([key, state.keepUntilMs, stabilizer.save(state)])
    if (some.length < HOLDS_AT_ONCE) continue
    yield { ...of, holds: some }
    some = []
  }
  if (some.length > 0) yield { ...of, holds: some }
}

/** By signal; what has not the shape is left out. */
export function rememberedHolds(entries: readonly unknown[]): Map<string, RememberedHolds> {
  const bySignal = new Map<string, RememberedHolds>()
  for (const entry of entries) {
    if (typeof entry !== 'object' || entry === null) continue
    const one = entry as Partial<RememberedHolds>
    const { signal, definition, holds } = one
    if (typeof signal !== 'string' || typeof definition !== 'string' || !Array.isArray(holds))
      continue
    const before = bySignal.get(signal)
    const more = before?.definition === definition ? before.holds : []
    bySignal.set(signal, { signal, definition, holds: [...more, ...holds] })
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
  let strange = 0
  for (const [key, keepUntilMs, saved] of told.holds) {
    if (keepUntilMs < at.nowMs) continue
    const state = stabilizer.load(saved)
    if (state !== undefined) holds.set(key, state)
    else strange += 1
  }
  const reason = 'of another policy or version'
  if (strange > 0) at.log.info('holds-start-anew', { signal, holds: strange, reason })
  return holds.size
}
