import type { Season } from './season.ts'

/** What a load did at this time before: the facts that a hold is explained by. */
export interface Returns {
  /** It came to this much. */
  readonly level: number
  readonly every: 'day' | 'hour'
  /** On so many of the `known` last days, or hours. */
  readonly times: number
  readonly known: number
  /** It did so yesterday, or an hour ago. */
  readonly newest: boolean
  /** Slots until it did: the last time where it did then, else the longest of all times. */
  readonly slots: number
}

/** Ten minutes: what comes back later is no reason to hold now. */
const AHEAD_SLOTS = 40
/** This share of what is held: an HPA with it would want nearly as much. */
const AS_MUCH = 0.8
/** What lies closer above the load is headroom, not a load that comes back. */
const HIGHER = 1.1
const EVERY = [
  { every: 'day', lag: 5760, most: 7 },
  { every: 'hour', lag: 240, most: 6 },
] as const

/** What a load that is now `load` would have come back to, were it to what is `held`; undefined where that is hardly more. */
export function levelOf(held: number, load: number): number | undefined {
  const level = Number((AS_MUCH * held).toPrecision(2))
  return level > HIGHER * load ? level : undefined
}

/**
 * Whether the load came to `level` within ten minutes of the minute of `slot` on earlier days, or in earlier hours. A
 * time at which it was there already is none at which it came back. Undefined where it was so on less than half of
 * them, or the last time not and before only once. They are counted back to one that is not known.
 */
export function returnsOf(season: Season, slot: number, level: number): Returns | undefined {
  for (const { every, lag, most } of EVERY) {
    let times = 0
    let known = 0
    let newest = false
    let slots = 0
    for (let back = 1; back <= most; back++) {
      const reached = season.slotsUntil(level, slot - (slot % 4) - back * lag, AHEAD_SLOTS)
      if (reached === undefined) break
      known += 1
      if (!(reached > 0 && reached <= AHEAD_SLOTS)) continue
      times += 1
      if (back === 1) newest = true
      if (newest ? back === 1 : reached > slots) slots = reached
    }
    if (times > 0 && 2 * times >= known && (newest || times > 1))
      return { level, every, times, known, newest, slots }
  }
  return undefined
}

/** As "yesterday at this time load came back to 80 within 4 min, as on 3 of the last 4 days". */
export function returnsText({ level, every, times, known, newest, slots }: Returns): string {
  const what = `load came back to ${level} within ${Math.ceil(slots / 4)} min`
  const share = `${times} of the last ${known} ${every}s`
  if (every === 'day') {
    if (!newest) return `on ${share} at this time ${what}`
    return `yesterday at this time ${what}${known > 1 ? `, as on ${share}` : ''}`
  }
  if (!newest) return `in ${share} at this minute ${what}`
  return `an hour ago ${what}${known > 1 ? `, as in ${share}` : ''}`
}
