/** So many of those that are there no more are remembered, or as many as are there. */
const DEPARTED_MAX = 1000

/**
 * Where ever new ones come, those that went first by `timeOf` are forgotten. To be called where there is a new one only:
 * a source that fails, and takes all of them away, brings them back.
 */
export function forgetDeparted<Known>(
  known: Map<string, Known>,
  present: ReadonlySet<string>,
  timeOf: (one: Known) => number,
): void {
  const most = Math.max(DEPARTED_MAX, present.size)
  if (known.size <= most) return
  const departed = [...known].filter(([key]) => !present.has(key))
  departed.sort(([, a], [, b]) => timeOf(a) - timeOf(b))
  for (const [key] of departed.slice(0, Math.max(0, departed.length - most))) known.delete(key)
}
