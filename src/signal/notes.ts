import type { Series } from '../model.ts'

const SHOWN_MAX = 5

/** What the origins of these series say of their metric, each text once; undefined where it is nothing. */
export function notesOn(
  series: readonly Series[],
  notes: ReadonlyMap<string, readonly string[]>,
): readonly string[] | undefined {
  const texts = new Set<string>()
  for (const { origin } of series) for (const text of notes.get(origin) ?? []) texts.add(text)
  if (texts.size === 0) return undefined
  const shown = [...texts].slice(0, SHOWN_MAX)
  return texts.size > SHOWN_MAX ? [...shown, `and ${texts.size - SHOWN_MAX} more`] : shown
}
