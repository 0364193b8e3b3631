/** Loads with known answers, made from a seed: one mean for each slot of 15 s. */
export const DAY = 5760

/** Uniform in [0, 1), the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Requests of a Poisson process at `rate`, as a mean over 15 s (normal approximation). */
export function poisson(rate: number, next: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  return Math.max(0, Math.round(rate * 15 + normal * Math.sqrt(rate * 15))) / 15
}

export function flat(slots: number, rate: number, seed: number): number[] {
  const next = random(seed)
  return Array.from({ length: slots }, () => poisson(rate, next))
}

/** `high` for 5 minutes of every hour, else `low`. */
export function hourlyPulse(slots: number, low: number, high: number): number[] {
  return Array.from({ length: slots }, (_, i) => (i % 240 >= 100 && i % 240 < 120 ? high : low))
}

/** Up for 20 minutes, ten at the top, a crash, an hour of rest. */
export function ramps(slots: number, top: number, seed: number): number[] {
  const next = random(seed)
  return Array.from({ length: slots }, (_, i) => {
    const at = i % 360
    const rate = at < 80 ? 5 + ((top - 5) * at) / 80 : at < 120 ? top : 5
    return poisson(rate, next)
  })
}

export function wave(slots: number, mean: number, seed: number): number[] {
  const next = random(seed)
  const rate = (i: number) => mean * (1 + 0.8 * Math.sin((2 * Math.PI * i) / DAY))
  return Array.from({ length: slots }, (_, i) => poisson(rate(i), next))
}
