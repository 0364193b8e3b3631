import type { z } from 'zod'

/** What schemas of sources say of fields that do not go together. */
type Context = Pick<z.RefinementCtx, 'addIssue'>

export function checkTimeout(
  { timeout, interval }: { readonly timeout?: number; readonly interval: number },
  context: Context,
): void {
  if (timeout === undefined || timeout <= interval) return
  const message = 'must not be longer than interval'
  context.addIssue({ code: 'custom', path: ['timeout'], message })
}

/** No two entries of the list `at` have the same text in `field`. */
export function checkOnce<Field extends string>(
  entries: readonly Readonly<Record<Field, string>>[],
  { at, field }: { readonly at: string; readonly field: Field },
  context: Context,
): void {
  const seen = new Set<string>()
  for (const [index, { [field]: text }] of entries.entries()) {
    if (seen.has(text))
      context.addIssue({
        code: 'custom',
        path: [at, index, field],
        message: `${text} is there twice`,
      })
    seen.add(text)
  }
}
