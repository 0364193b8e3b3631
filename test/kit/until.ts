/** Polls until `condition` gives a truthy value and returns it; throws, naming `what`, at the deadline. */
export async function until<T>(
  what: string,
  condition: () => T,
  deadlineMs = 20_000,
): Promise<NonNullable<T>> {
  const endMs = performance.now() + deadlineMs
  for (;;) {
    const value = condition()
    if (value) return value
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
