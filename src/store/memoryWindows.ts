import type { WindowChange, WindowPosition, WindowState, WindowStore } from '../ports.ts'

interface Kept {
  readonly position: WindowPosition
  readonly buckets: Map<number, { readonly content: string; readonly offset: number }>
}

/** Windows of this process alone; they end with it. */
export function memoryWindows(): WindowStore {
  const partitions = new Map<string, Kept>()
  return {
    shared: false,
    load: (partition) => Promise.resolve(whole(partitions.get(partition))),
    commit(partition, change) {
      const kept = partitions.get(partition)
      if (!isExpected(kept?.position, change.expected))
        return Promise.resolve({ conflict: kept?.position })
      partitions.set(partition, changed(kept, change))
      return Promise.resolve('done')
    },
    changes(asked) {
      const found = new Map<string, WindowState & { readonly whole: boolean }>()
      for (const [partition, since] of asked) {
        const kept = partitions.get(partition)
        if (kept === undefined) continue
        const { lineage, offset } = kept.position
        const all = since?.lineage !== lineage || since.offset > offset
        const after = all ? -1 : since.offset
        found.set(partition, { ...bucketsAfter(kept, after), whole: all })
      }
      return Promise.resolve(found)
    },
    close: () => Promise.resolve(),
  }
}

function isExpected(
  position: WindowPosition | undefined,
  expected: WindowChange['expected'],
): boolean {
  return position?.lineage === expected?.lineage && position?.offset === expected?.offset
}

function changed(kept: Kept | undefined, change: WindowChange): Kept {
  const { next, keepFromMs } = change
  const goesOn = kept !== undefined && kept.position.lineage === next.lineage
  const buckets: Kept['buckets'] = goesOn ? kept.buckets : new Map()
  for (const [startMs, content] of change.buckets)
    buckets.set(startMs, { content, offset: next.offset })
  for (const startMs of buckets.keys()) if (startMs < keepFromMs) buckets.delete(startMs)
  const throughMs = goesOn ? Math.max(kept.position.throughMs, next.throughMs) : next.throughMs
  return { position: { ...next, throughMs }, buckets }
}

function whole(kept: Kept | undefined): WindowState | undefined {
  return kept === undefined ? undefined : bucketsAfter(kept, -1)
}

function bucketsAfter({ position, buckets }: Kept, after: number): WindowState {
  const found = new Map<number, string>()
  for (const [startMs, { content, offset }] of buckets)
    if (offset > after) found.set(startMs, content)
  return { position, buckets: found }
}
