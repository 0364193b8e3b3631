/** What the scripts and INFO answer. */
import { TidelineError } from '../errors.ts'
import type { WindowPosition } from '../ports.ts'

const POSITION_FIELDS = 4

/** How it drops keys when its memory is full; undefined where it does not, or its memory has no limit. */
export function evictionIn(info: string): string | undefined {
  const limited = /^maxmemory:[1-9]/m.test(info)
  const policy = /^maxmemory_policy:([a-z-]+)/m.exec(info)?.[1]
  return limited && policy !== 'noeviction' ? policy : undefined
}

export function pageOf(answer: unknown, partition: string) {
  const position = positionOf(answer, partition)
  if (position === undefined) return undefined
  const [whole, pairs, score, start]: readonly unknown[] = Array.isArray(answer)
    ? answer.slice(POSITION_FIELDS)
    : []
  if (!Array.isArray(pairs) || typeof score !== 'string' || typeof start !== 'string')
    throw unreadable(partition)
  const buckets = new Map<number, string>()
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    const [startMs, content]: readonly unknown[] = [Number(pairs[index]), pairs[index + 1]]
    if (!Number.isFinite(startMs) || typeof content !== 'string') throw unreadable(partition)
    buckets.set(Number(startMs), content)
  }
  return { position, buckets, whole: whole === 1, last: [score, start] as const }
}

export function positionOf(answer: unknown, partition: string): WindowPosition | undefined {
  if (!Array.isArray(answer)) throw unreadable(partition)
  if (answer.length === 0) return undefined
  const [lineage, offset, through, memo]: readonly unknown[] = answer
  const position = { offset: Number(offset), throughMs: Number(through) }
  if (
    typeof lineage !== 'string' ||
    typeof memo !== 'string' ||
    typeof offset !== 'string' ||
    typeof through !== 'string' ||
    !Number.isSafeInteger(position.offset) ||
    !Number.isFinite(position.throughMs)
  )
    throw unreadable(partition)
  return { lineage, memo, ...position }
}

function unreadable(partition: string): TidelineError {
  return new TidelineError(
    'bad-response',
    `the window of ${partition} in Redis was not written by this version: delete its keys`,
  )
}
