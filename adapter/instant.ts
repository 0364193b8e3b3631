/**
 * A point in time as Kubernetes writes it, to the second. In messages it stays while an age would grow, so that
 * Kubernetes counts one event instead of making many.
 */
export function instant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
